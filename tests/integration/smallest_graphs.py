"""The smallest graphs on which the fuzzer found defects, listed by the rewrite that repairs each."""

from __future__ import annotations

from typing import Any

from tests.fuzzing.graphs import Graph, Input, Node, Shape

PICTURE: Shape = (-1, 4, 6, 6)
LAYER = {
    "channels": 4,
    "kernel": [1, 1],
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "bias": False,
}
POOLING = {"kind": "avg", "size": 3, "stride": 2, "padding": 0, "ceil_mode": False, "exclusive": False}


def _graph(shape: Shape, *nodes: Node, y: Shape | None = None, outputs: tuple[str, ...] = ()) -> Graph:
    """A graph of one input `x`, and of a second one of shape `y` if that is given."""
    inputs = (Input("x", shape), *((Input("y", y),) if y else ()))
    return Graph(0, inputs, nodes, outputs or (nodes[-1].name,))


def _node(name: str, operator: str, *inputs: str, **settings: Any) -> Node:
    return Node(name, operator, inputs, name, settings)


def _conv(name: str, source: str, layout: str = "NCHW", **settings: Any) -> Node:
    operator = "conv2d" if layout == "NCHW" else "conv2d_last"
    return _node(name, operator, source, **{**LAYER, **settings}, data_format=layout)


def _pool(name: str, source: str, **settings: Any) -> Node:
    return _node(name, "pool2d", source, **{**POOLING, **settings})


def _mean(name: str, source: str) -> Node:
    return _node(name, "adaptive_pool2d", source, kind="avg", size=1)


PRODUCT = {"transpose_x": False, "transpose_y": False}

SMALLEST: dict[str, tuple[str, Graph]] = {
    "channels_last_bias": (
        "compute_channels_first",
        _graph((-1, 1, 4, 4), _conv("a", "x", "NHWC", bias=True)),
    ),
    "channels_last_offset": (
        "compute_channels_first",
        _graph(
            PICTURE,
            _conv("a", "x", "NHWC"),
            _node("b", "scale", "a", factor=1.3, bias=-1.0, bias_first=False),
        ),
    ),
    "both_orders": ("compute_channels_first", _graph(PICTURE, _conv("a", "x"), _conv("b", "a", "NHWC"))),
    "channels_last_minimum": (
        "compute_channels_first",
        _graph(
            PICTURE,
            _conv("a", "x", "NHWC"),
            _node("b", "reduce", "a", kind="min", axes=[3], keep=False),
        ),
    ),
    "channels_last_rows": (
        "compute_channels_first",
        _graph(
            (-1, 6, 16),
            _node("a", "batch_norm", "x", data_format="NLC"),
            _node("b", "linear", "a", outputs=4, bias=False),
        ),
    ),
    "two_activations": (
        "separate_second_activations",
        _graph(PICTURE, _conv("a", "x"), _node("b", "abs", "a"), _node("c", "hardswish", "b")),
    ),
    "two_activations_of_a_product": (
        "separate_second_activations",
        _graph(
            (-1, 8),
            _node("a", "linear", "x", outputs=4, bias=True),
            _node("b", "gelu", "a"),
            _node("c", "sigmoid", "b"),
        ),
    ),
    "normalisation_read_twice": (
        "separate_normalised_readers",
        _graph(
            (-1, 8, 6),
            _node("a", "batch_norm", "x", data_format="NCL"),
            _node("b", "relu", "a"),
            _node("c", "linear", "a", outputs=4, bias=True),
            outputs=("b", "c"),
        ),
    ),
    "product_of_convolved": (
        "order_operands",
        _graph(
            (-1, 8, 4, 4),
            _conv("a", "x"),
            _conv("b", "x", kernel=[3, 3], padding=1),
            _node("c", "matmul", "a", "b", **PRODUCT),
        ),
    ),
    "square_of_a_matrix": (
        "separate_equal_factors",
        _graph(
            (-1, 4, 8, 8),
            _node("a", "matmul", "x", "x", **PRODUCT),
            _conv("b", "a"),
        ),
    ),
    "mul_of_rows": ("multiply_rows", _graph(PICTURE, _node("a", "mul", "x", outputs=4, columns=3))),
    "mul_of_joined_rows": ("multiply_rows", _graph(PICTURE, _node("a", "mul", "x", outputs=4, columns=1))),
    "mean_of_an_input": ("", _graph((-1, 4, 7, 7), _mean("a", "x"), _conv("b", "a"))),
    "mean_of_a_layer": ("", _graph(PICTURE, _conv("a", "x", bias=True), _mean("b", "a"), _conv("c", "b"))),
    "product_at_the_end": (
        "",
        _graph(
            (-1, 4, 16),
            _node("a", "linear", "x", outputs=10, bias=False),
            _node("b", "binary", "a", "a", kind="multiply"),
        ),
    ),
    "quantized_behind_a_transposed_convolution": (
        "",
        _graph(
            (-1, 12, 4, 4),
            _node("a", "conv2d_transpose", "x", **LAYER | {"kernel": [3, 3]}, data_format="NCHW"),
            _conv("b", "a", kernel=[3, 3]),
        ),
    ),
    "concatenated_and_read_by_a_layer": (
        "",
        _graph(
            (-1, 1, 4, 4),
            _node("a", "softmax", "x", axis=-1),
            _node("b", "mul", "a", outputs=10, columns=3),
            _conv("c", "b", channels=16),
            _node("d", "scale", "c", factor=4.0, bias=0.0, bias_first=False),
            _node("e", "concat", "b", "d", axis=1),
            outputs=("c", "e"),
        ),
    ),
    "concatenated_for_a_layer": (
        "",
        _graph(
            (-1, 1, 4, 10),
            _conv("b", "x", channels=2),
            _conv("c", "b", channels=16),
            _node("d", "scale", "c", factor=8.0, bias=0.0, bias_first=False),
            _node("e", "concat", "b", "d", axis=1),
            _conv("f", "e"),
            outputs=("c", "f"),
        ),
    ),
    "saturated_beside_a_layer": (
        "",
        Graph(
            165,
            (Input("in0", (-1, 1, 4, 5)),),
            (
                _conv("n0", "in0", channels=8, kernel=[1, 3], stride=2, padding=[0, 1]),
                _node("n1", "matmul", "n0", "n0", **PRODUCT | {"transpose_y": True}),
                _node("n2", "linear", "n1", outputs=5, bias=True),
                _node("n4", "relu6", "n1"),
            ),
            ("n2", "n4"),
        ),
    ),
    "saturated_beside_a_sum": (
        "",
        Graph(
            165,
            (Input("in0", (-1, 1, 4, 5)),),
            (
                _conv("n0", "in0", channels=8, kernel=[1, 3], stride=2, padding=[0, 1]),
                _node("n1", "matmul", "n0", "n0", **PRODUCT | {"transpose_y": True}),
                _node("n2", "linear", "n0", outputs=2, bias=True),
                _node("n3", "binary", "n1", "n2", kind="add"),
                _node("n4", "linear", "n3", outputs=5, bias=True),
                _node("n5", "relu6", "n1"),
            ),
            ("n4", "n5"),
        ),
    ),
    "quotient_in_front_of_a_layer": (
        "divide_by_reciprocals",
        _graph(
            (-1, 4, 4, 5),
            _conv("a", "x", kernel=[3, 2]),
            _node("b", "with_parameter", "a", kind="divide", shape=(1,), first=True),
            _conv("c", "b", kernel=[2, 2]),
        ),
    ),
    "square_in_front_of_a_layer": (
        "keep_equal_operands_fp32",
        Graph(
            533,
            (Input("in0", (-1, 6, 12)),),
            (
                _node("n0", "conv1d", "in0", **LAYER | {"kernel": [1]}, data_format="NCL"),
                _node("n1", "split", "n0", parts=2, part=0, axis=1),
                _node("n3", "binary", "n1", "n1", kind="multiply"),
                _node("n5", "matmul_stored", "n3", outputs=4, transposed=False),
            ),
            ("n5",),
        ),
    ),
    "reshaped_times_its_transpose": (
        "separate_reshaped_factors",
        _graph(
            (-1, 8),
            _node("a", "tanh", "x"),
            _node("b", "linear", "x", outputs=4, bias=False),
            _node("c", "reshape", "a", shape=[0, 2, 4]),
            _node("d", "transpose", "c", order=[0, 2, 1]),
            _node("e", "matmul", "d", "c", **PRODUCT),
            outputs=("b", "e"),
        ),
    ),
    "product_and_a_larger_tensor": (
        "separate_broadcast_products",
        _graph(
            (-1, 1, 8),
            _node("a", "linear", "x", outputs=6, bias=False),
            _node("b", "matmul", "a", "a", transpose_x=False, transpose_y=True),
            _node("c", "binary", "a", "b", kind="add"),
        ),
    ),
    "product_of_rectified_and_signed": (
        "",
        _graph(
            (-1, 1, 2, 1),
            _node("a", "linear", "x", outputs=8, bias=False),
            _node("b", "relu", "a"),
            _node("c", "slice", "b", axis=3, start=6, stop=7, step=1),
            _node("d", "matmul", "c", "x", transpose_x=True, transpose_y=False),
        ),
    ),
    "normalised_transposed_convolution_in_a_product": (
        "order_operands",
        _graph(
            (-1, 8, 6, 6),
            _node("a", "conv2d_transpose", "x", **LAYER | {"kernel": [3, 3]}, data_format="NCHW"),
            _node("b", "layer_norm", "a", dimensions=1),
            _node("c", "stored_first", "b", rows=3),
            _conv("d", "x"),
            outputs=("c", "d"),
        ),
    ),
    "one_part_twice": (
        "separate_equal_parts",
        _graph(PICTURE, _node("a", "concat", "x", "x", "x", axis=1), _conv("b", "a")),
    ),
    "smaller_operand_first": (
        "put_repeated_operands_second",
        _graph(
            PICTURE,
            _node("a", "reduce", "x", kind="sum", axes=[3], keep=True),
            _node("b", "binary", "a", "x", kind="add"),
            _conv("c", "b"),
        ),
    ),
    "convolution_and_its_input": (
        "",
        _graph(PICTURE, _conv("a", "x"), _node("b", "binary", "x", "a", kind="add")),
    ),
    "reshaped_behind_a_transposed_convolution": (
        "",
        _graph(
            (-1, 4, 6, 6),
            _node("a", "conv2d_transpose", "x", **LAYER | {"kernel": [5, 1]}, data_format="NCHW"),
            _node("b", "linear", "a", outputs=4, bias=False),
        ),
    ),
    "window_larger_than_the_picture": (
        "compute_wrong_kernels_natively",
        _graph(
            (-1, 8, 7, 8),
            _conv("a", "x", kernel=[3, 3], stride=3),
            _pool("b", "a"),
        ),
    ),
    "first_part_of_a_split": (
        "",
        _graph(
            (-1, 6, 12),
            _node("a", "scale", "x", factor=4.0, bias=0.0, bias_first=False),
            _node("b", "concat", "a", "x", axis=1),
            _node("c", "split", "b", parts=2, part=0, axis=1),
            _node("d", "with_number", "c", kind="add", number=1.0, first=False),
            _node("e", "binary", "d", "c", kind="multiply"),
            _node("f", "matmul_stored", "e", outputs=4, transposed=False),
        ),
    ),
    "multiple_of_the_other_factor": (
        "separate_equal_factors",
        _graph(
            (-1, 6, 8),
            _node("a", "relu", "x"),
            _node("b", "scale", "a", factor=2.0, bias=0.0, bias_first=False),
            _node("c", "matmul", "b", "a", transpose_x=False, transpose_y=True),
            _node("d", "linear", "c", outputs=4, bias=False),
        ),
    ),
    "factor_behind_a_reshaped_layer": (
        "keep_scale_factors",
        _graph(
            (-1, 6, 12),
            _node("a", "matmul_stored", "x", outputs=4, transposed=False),
            _node("b", "reshape", "a", shape=[-1, 24]),
            _node("c", "scale", "b", factor=0.5, bias=0.0, bias_first=False),
        ),
    ),
    "factor_behind_a_factor": (
        "keep_scale_factors",
        _graph(
            (-1, 8, 6, 7),
            _node("a", "matmul", "x", "y", transpose_x=False, transpose_y=True),
            _node("b", "relu", "a"),
            _node("c", "scale", "b", factor=1.3, bias=0.0, bias_first=True),
            _node("d", "reduce", "c", kind="max", axes=[2, 3], keep=True),
            _node("e", "linear", "d", outputs=4, bias=False),
            y=(-1, 8, 6, 7),
        ),
    ),
    "operands_that_are_both_repeated": (
        "put_repeated_operands_second",
        _graph(
            (-1, 1, 2, 2),
            _node("a", "relu", "x"),
            _node("b", "binary", "a", "y", kind="add"),
            _node("c", "mul", "b", outputs=4, columns=1),
            y=(-1, 16, 1, 2),
        ),
    ),
    "transposed_beside_an_input": (
        "",
        _graph(
            (-1, 4, 8, 8),
            _node("a", "batch_norm", "x", data_format="NHWC"),
            _node("b", "binary", "a", "y", kind="add"),
            _node("c", "matmul_stored", "b", outputs=4, transposed=False),
            y=(-1, 4, 8, 8),
        ),
    ),
    "concatenated_and_pooled": (
        "",
        _graph(
            (-1, 3, 4, 4),
            _node("a", "sigmoid", "x"),
            _node("b", "concat", "x", "a", axis=1),
            _node("c", "mul", "b", outputs=4, columns=1),
            _pool("d", "a", size=2, stride=1, exclusive=True),
            _conv("e", "d"),
            outputs=("c", "e"),
        ),
    ),
    "one_row": (
        "separate_repeated_rows",
        _graph(
            (-1, 8, 8, 1),
            _node("a", "conv2d_transpose", "x", **LAYER, data_format="NCHW"),
            _node("b", "binary", "a", "y", kind="multiply"),
            y=(-1, 4, 1, 1),
        ),
    ),
    "log_softmax_of_columns": (
        "separate_repeated_rows",
        _graph(
            (-1, 4, 7, 8),
            _node("a", "conv2d_transpose", "x", **LAYER, data_format="NCHW"),
            _node("b", "log_softmax", "a", axis=2),
        ),
    ),
    "factors_of_products": (
        "",
        _graph(
            (-1, 8, 8),
            _node("a", "linear", "x", outputs=8, bias=False),
            _node("b", "sigmoid", "a"),
            _node("c", "transpose", "b", order=[0, 2, 1]),
            _node("d", "matmul", "b", "c", **PRODUCT),
            _node("e", "linear", "b", outputs=4, bias=False),
            outputs=("d", "e"),
        ),
    ),
    "six_dimensions": (
        "compute_wrong_kernels_natively",
        _graph((-1, 1, 2, 4, 6, 4), _node("a", "layer_norm", "x", dimensions=1)),
    ),
    "two_rectified_factors": (
        "sign_factors",
        _graph(
            PICTURE,
            _node("a", "relu", "x"),
            _node("b", "relu", "y"),
            _node("c", "matmul", "a", "b", transpose_x=True, transpose_y=False),
            _conv("d", "c"),
            y=PICTURE,
        ),
    ),
    "sum_of_rectified_tensors_as_a_factor": (
        "sign_factors",
        _graph(
            (-1, 1, 4, 4),
            _node("a", "relu", "x"),
            _node("b", "take", "a", place=0),
            _node("c", "slice", "b", axis=2, start=0, stop=4, step=1),
            _node("d", "linear", "y", outputs=4, bias=False),
            _node("e", "binary", "b", "c", kind="add"),
            _node("f", "matmul", "e", "d", transpose_x=False, transpose_y=True),
            y=(-1, 4, 4),
        ),
    ),
    "products_with_exchanged_factors": (
        "separate_exchanged_factors",
        _graph(
            (-1, 1, 4, 4),
            _node("a", "matmul", "x", "y", transpose_x=False, transpose_y=False),
            _node("b", "transpose", "a", order=[0, 2, 1, 3]),
            _node("c", "reshape", "b", shape=[0, 4, 8]),
            _node("d", "matmul", "y", "x", transpose_x=True, transpose_y=True),
            _node("e", "linear", "c", outputs=4, bias=False),
            y=(-1, 1, 4, 8),
            outputs=("d", "e"),
        ),
    ),
    "input_added_to_a_layer": (
        "",
        _graph(
            PICTURE,
            _node("a", "binary", "x", "y", kind="add"),
            _conv("b", "a"),
            _node("c", "binary", "y", "b", kind="add"),
            y=PICTURE,
        ),
    ),
    "product_with_a_stored_first_factor": (
        "",
        _graph(
            (-1, 8, 12),
            _node("a", "linear", "x", outputs=4, bias=False),
            _node("b", "relu", "a"),
            _node("c", "stored_first", "b", rows=8),
        ),
    ),
    "transposed_beside_a_transposed_convolution": (
        "",
        _graph(
            (-1, 8, 8, 8),
            _node(
                "a",
                "conv2d_transpose",
                "x",
                **LAYER | {"kernel": [3, 3], "padding": [1, 1]},
                data_format="NCHW",
            ),
            _node("b", "batch_norm", "y", data_format="NHWC"),
            _node("c", "binary", "b", "a", kind="add"),
            _node("d", "matmul_stored", "c", outputs=4, transposed=False),
            y=(-1, 4, 8, 8),
        ),
    ),
    "slice_of_the_padding": (
        "",
        _graph(
            (-1, 3, 6, 6),
            _conv("a", "x", kernel=[2, 2], stride=2, padding=[0, 2, 1, 1], bias=True),
            _node("b", "slice", "a", axis=2, start=3, stop=4, step=1),
            _conv("c", "b"),
            _node("d", "concat", "b", "c", axis=1),
        ),
    ),
    "sum_read_by_a_saturating_function": (
        "",
        _graph(
            PICTURE,
            _node("a", "batch_norm", "x", data_format="NCHW"),
            _conv("b", "a"),
            _node("c", "gelu", "a"),
            _conv("d", "c", bias=True),
            _node("e", "binary", "d", "a", kind="add"),
            _node("f", "clip", "e", low=-0.2, high=0.3),
            _conv("g", "e"),
            outputs=("b", "f", "g"),
        ),
    ),
    "average_beyond_the_edge": (
        "compute_wrong_kernels_natively",
        _graph((-1, 4, 8, 8), _conv("a", "x"), _pool("b", "a", ceil_mode=True)),
    ),
}
"""By name; "" where the conversion to each layout, or its switches, have the repair."""
