"""The smallest graphs that a rewrite of the FP32 model repairs."""

from __future__ import annotations

from tests.fuzzing.graphs import Graph, Input
from tests.integration.smallest.build import LAYER, PICTURE, PRODUCT, conv, graph, node, pool

REWRITTEN: dict[str, tuple[str, Graph]] = {
    "channels_last_bias": (
        "compute_channels_first",
        graph((-1, 1, 4, 4), conv("a", "x", "NHWC", bias=True)),
    ),
    "channels_last_offset": (
        "compute_channels_first",
        graph(
            PICTURE,
            conv("a", "x", "NHWC"),
            node("b", "scale", "a", factor=1.3, bias=-1.0, bias_first=False),
        ),
    ),
    "both_orders": ("compute_channels_first", graph(PICTURE, conv("a", "x"), conv("b", "a", "NHWC"))),
    "channels_last_minimum": (
        "compute_channels_first",
        graph(
            PICTURE,
            conv("a", "x", "NHWC"),
            node("b", "reduce", "a", kind="min", axes=[3], keep=False),
        ),
    ),
    "channels_last_rows": (
        "compute_channels_first",
        graph(
            (-1, 6, 16),
            node("a", "batch_norm", "x", data_format="NLC"),
            node("b", "linear", "a", outputs=4, bias=False),
        ),
    ),
    "two_activations": (
        "separate_second_activations",
        graph(PICTURE, conv("a", "x"), node("b", "abs", "a"), node("c", "hardswish", "b")),
    ),
    "two_activations_of_a_product": (
        "separate_second_activations",
        graph(
            (-1, 8),
            node("a", "linear", "x", outputs=4, bias=True),
            node("b", "gelu", "a"),
            node("c", "sigmoid", "b"),
        ),
    ),
    "normalisation_read_twice": (
        "separate_normalised_readers",
        graph(
            (-1, 8, 6),
            node("a", "batch_norm", "x", data_format="NCL"),
            node("b", "relu", "a"),
            node("c", "linear", "a", outputs=4, bias=True),
            outputs=("b", "c"),
        ),
    ),
    "product_of_convolved": (
        "order_operands",
        graph(
            (-1, 8, 4, 4),
            conv("a", "x"),
            conv("b", "x", kernel=[3, 3], padding=1),
            node("c", "matmul", "a", "b", **PRODUCT),
        ),
    ),
    "square_of_a_matrix": (
        "separate_equal_factors",
        graph(
            (-1, 4, 8, 8),
            node("a", "matmul", "x", "x", **PRODUCT),
            conv("b", "a"),
        ),
    ),
    "mul_of_rows": ("multiply_rows", graph(PICTURE, node("a", "mul", "x", outputs=4, columns=3))),
    "mul_of_joined_rows": ("multiply_rows", graph(PICTURE, node("a", "mul", "x", outputs=4, columns=1))),
    "quotient_in_front_of_a_layer": (
        "divide_by_reciprocals",
        graph(
            (-1, 4, 4, 5),
            conv("a", "x", kernel=[3, 2]),
            node("b", "with_parameter", "a", kind="divide", shape=(1,), first=True),
            conv("c", "b", kernel=[2, 2]),
        ),
    ),
    "square_in_front_of_a_layer": (
        "keep_equal_operands_fp32",
        Graph(
            533,
            (Input("in0", (-1, 6, 12)),),
            (
                node("n0", "conv1d", "in0", **LAYER | {"kernel": [1]}, data_format="NCL"),
                node("n1", "split", "n0", parts=2, part=0, axis=1),
                node("n3", "binary", "n1", "n1", kind="multiply"),
                node("n5", "matmul_stored", "n3", outputs=4, transposed=False),
            ),
            ("n5",),
        ),
    ),
    "reshaped_times_its_transpose": (
        "separate_reshaped_factors",
        graph(
            (-1, 8),
            node("a", "tanh", "x"),
            node("b", "linear", "x", outputs=4, bias=False),
            node("c", "reshape", "a", shape=[0, 2, 4]),
            node("d", "transpose", "c", order=[0, 2, 1]),
            node("e", "matmul", "d", "c", **PRODUCT),
            outputs=("b", "e"),
        ),
    ),
    "product_and_a_larger_tensor": (
        "separate_broadcast_products",
        graph(
            (-1, 1, 8),
            node("a", "linear", "x", outputs=6, bias=False),
            node("b", "matmul", "a", "a", transpose_x=False, transpose_y=True),
            node("c", "binary", "a", "b", kind="add"),
        ),
    ),
    "normalised_transposed_convolution_in_a_product": (
        "order_operands",
        graph(
            (-1, 8, 6, 6),
            node("a", "conv2d_transpose", "x", **LAYER | {"kernel": [3, 3]}, data_format="NCHW"),
            node("b", "layer_norm", "a", dimensions=1),
            node("c", "stored_first", "b", rows=3),
            conv("d", "x"),
            outputs=("c", "d"),
        ),
    ),
    "one_part_twice": (
        "separate_equal_parts",
        graph(PICTURE, node("a", "concat", "x", "x", "x", axis=1), conv("b", "a")),
    ),
    "smaller_operand_first": (
        "put_repeated_operands_second",
        graph(
            PICTURE,
            node("a", "reduce", "x", kind="sum", axes=[3], keep=True),
            node("b", "binary", "a", "x", kind="add"),
            conv("c", "b"),
        ),
    ),
    "window_larger_than_the_picture": (
        "compute_wrong_kernels_natively",
        graph(
            (-1, 8, 7, 8),
            conv("a", "x", kernel=[3, 3], stride=3),
            pool("b", "a"),
        ),
    ),
    "multiple_of_the_other_factor": (
        "separate_equal_factors",
        graph(
            (-1, 6, 8),
            node("a", "relu", "x"),
            node("b", "scale", "a", factor=2.0, bias=0.0, bias_first=False),
            node("c", "matmul", "b", "a", transpose_x=False, transpose_y=True),
            node("d", "linear", "c", outputs=4, bias=False),
        ),
    ),
    "factor_behind_a_reshaped_layer": (
        "keep_scale_factors",
        graph(
            (-1, 6, 12),
            node("a", "matmul_stored", "x", outputs=4, transposed=False),
            node("b", "reshape", "a", shape=[-1, 24]),
            node("c", "scale", "b", factor=0.5, bias=0.0, bias_first=False),
        ),
    ),
    "factor_behind_a_factor": (
        "keep_scale_factors",
        graph(
            (-1, 8, 6, 7),
            node("a", "matmul", "x", "y", transpose_x=False, transpose_y=True),
            node("b", "relu", "a"),
            node("c", "scale", "b", factor=1.3, bias=0.0, bias_first=True),
            node("d", "reduce", "c", kind="max", axes=[2, 3], keep=True),
            node("e", "linear", "d", outputs=4, bias=False),
            y=(-1, 8, 6, 7),
        ),
    ),
    "operands_that_are_both_repeated": (
        "put_repeated_operands_second",
        graph(
            (-1, 1, 2, 2),
            node("a", "relu", "x"),
            node("b", "binary", "a", "y", kind="add"),
            node("c", "mul", "b", outputs=4, columns=1),
            y=(-1, 16, 1, 2),
        ),
    ),
    "one_row": (
        "separate_repeated_rows",
        graph(
            (-1, 8, 8, 1),
            node("a", "conv2d_transpose", "x", **LAYER, data_format="NCHW"),
            node("b", "binary", "a", "y", kind="multiply"),
            y=(-1, 4, 1, 1),
        ),
    ),
    "log_softmax_of_columns": (
        "separate_repeated_rows",
        graph(
            (-1, 4, 7, 8),
            node("a", "conv2d_transpose", "x", **LAYER, data_format="NCHW"),
            node("b", "log_softmax", "a", axis=2),
        ),
    ),
    "six_dimensions": (
        "compute_wrong_kernels_natively",
        graph((-1, 1, 2, 4, 6, 4), node("a", "layer_norm", "x", dimensions=1)),
    ),
    "two_rectified_factors": (
        "sign_factors",
        graph(
            PICTURE,
            node("a", "relu", "x"),
            node("b", "relu", "y"),
            node("c", "matmul", "a", "b", transpose_x=True, transpose_y=False),
            conv("d", "c"),
            y=PICTURE,
        ),
    ),
    "sum_of_rectified_tensors_as_a_factor": (
        "sign_factors",
        graph(
            (-1, 1, 4, 4),
            node("a", "relu", "x"),
            node("b", "take", "a", place=0),
            node("c", "slice", "b", axis=2, start=0, stop=4, step=1),
            node("d", "linear", "y", outputs=4, bias=False),
            node("e", "binary", "b", "c", kind="add"),
            node("f", "matmul", "e", "d", transpose_x=False, transpose_y=True),
            y=(-1, 4, 4),
        ),
    ),
    "products_with_exchanged_factors": (
        "separate_exchanged_factors",
        graph(
            (-1, 1, 4, 4),
            node("a", "matmul", "x", "y", transpose_x=False, transpose_y=False),
            node("b", "transpose", "a", order=[0, 2, 1, 3]),
            node("c", "reshape", "b", shape=[0, 4, 8]),
            node("d", "matmul", "y", "x", transpose_x=True, transpose_y=True),
            node("e", "linear", "c", outputs=4, bias=False),
            y=(-1, 1, 4, 8),
            outputs=("d", "e"),
        ),
    ),
    "average_beyond_the_edge": (
        "compute_wrong_kernels_natively",
        graph((-1, 4, 8, 8), conv("a", "x"), pool("b", "a", ceil_mode=True)),
    ),
}
"""The rewrite and the graph, by name."""
