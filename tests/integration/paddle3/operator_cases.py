"""A small function for each operator of the table. Paddle 3 alone imports this file, beside NumPy.

A case is a function, or a layer with parameters, and its inputs. Behind them may stand the dimensions that
the program leaves free, and the right answers. The name of a case is the PIR operator that it is for; further
cases of an operator have a suffix behind a colon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import _C_ops as ops
from paddle.nn import functional

Case = tuple[Any, ...]
SEED = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return SEED.standard_normal(shape).astype("float32")


def positive(*shape: int) -> Any:
    return SEED.uniform(0.1, 0.9, shape).astype("float32")


def whole(most: int, *shape: int, dtype: str = "int64") -> Any:
    return SEED.integers(0, most, shape).astype(dtype)


def truths(*shape: int) -> Any:
    return SEED.integers(0, 2, shape).astype("bool")


def boxes(count: int, side: float = 30.0) -> Any:
    """[count, 4]: left, top, right, bottom."""
    corners = SEED.uniform(0, side / 2, (count, 2))
    return np.concatenate([corners, corners + SEED.uniform(2, side / 2, (count, 2))], 1).astype("float32")


def one(function: Callable[..., Any], *inputs: Any) -> Case:
    return function, list(inputs)


def assigned(kind: str, x: Any) -> Case:
    numbers = np.array([2**40 + 1 if kind == "int64" else 1.5, 2, 3]).astype(kind)
    return one(lambda a: a.astype(kind) + paddle.to_tensor(numbers), x)


def on_signed(*functions: str) -> Mapping[str, Case]:
    return {name: one(getattr(paddle, name), floats(2, 3, 4)) for name in functions}


def on_positive(*functions: str) -> Mapping[str, Case]:
    return {name: one(getattr(paddle, name), positive(2, 3, 4)) for name in functions}


def activations() -> Mapping[str, Case]:
    names = (
        *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
        *("log_softmax", "mish", "relu", "relu6", "selu", "silu", "softmax", "softplus", "softshrink"),
        *("softsign", "swish", "thresholded_relu"),
    )
    return {
        **{name: one(getattr(functional, name), floats(2, 3, 4)) for name in names},
        **on_signed("abs", "asinh", "atan", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor", "round"),
        **on_signed("sigmoid", "sign", "sin", "sinh", "square", "stanh", "tan", "tanh", "trunc"),
        **on_positive("acos", "asin", "atanh", "digamma", "erfinv", "lgamma", "log", "log10", "log1p"),
        **on_positive("log2", "logit", "reciprocal", "rsqrt", "sqrt"),
        "acosh": one(paddle.acosh, positive(2, 3) + 1),
        "gelu:tanh": one(lambda x: functional.gelu(x, approximate=True), floats(2, 3)),
        "leaky_relu:slope": one(lambda x: functional.leaky_relu(x, 0.3), floats(2, 3)),
        "logsigmoid": one(functional.log_sigmoid, floats(2, 3)),
        "maxout": one(lambda x: functional.maxout(x, 2), floats(2, 4, 3, 3)),
        "prelu": one(paddle.nn.PReLU(4, 0.2), floats(2, 4, 3, 3)),
        "softmax:axis": one(lambda x: functional.softmax(x, 1), floats(2, 3, 4)),
        "softplus:beta": one(lambda x: functional.softplus(x, 2.0, 1.0), floats(2, 3)),
        "swish:beta": one(paddle.nn.Swish(), floats(2, 3)),
        "tanh_shrink": one(functional.tanhshrink, floats(2, 3)),
        "relu:in place": one(lambda x: functional.relu_(x + 1), floats(2, 3)),
    }


def arithmetic() -> Mapping[str, Case]:
    pair = [floats(2, 3, 4), positive(2, 3, 4)]
    names = ("add", "divide", "fmax", "fmin", "heaviside", "maximum", "minimum", "multiply", "subtract")
    return {
        **{name: (getattr(paddle, name), pair) for name in (*names, "atan2")},
        "add:broadcast": one(paddle.add, floats(2, 3, 4), floats(4)),
        "add_n": (lambda x, y: paddle.add_n([x, y]), pair),
        "addmm": one(
            lambda a, x, y: paddle.addmm(a, x, y, 0.5, 2.0), floats(2, 4), floats(2, 3), floats(3, 4)
        ),
        "clip": one(lambda x: paddle.clip(x, -0.5, 0.5), floats(2, 3)),
        "clip:tensor": one(lambda x, y: paddle.clip(x, y.min(), y.max()), floats(2, 3), positive(3)),
        "elementwise_pow": one(paddle.pow, positive(2, 3), floats(2, 3)),
        "floor_divide": one(paddle.floor_divide, whole(90, 2, 3), whole(8, 2, 3) + 1),
        "increment": one(lambda x: ops.increment(x + 1, 2.0), floats(1)),
        "lerp": one(paddle.lerp, floats(2, 3), floats(2, 3), positive(2, 3)),
        "pow": one(lambda x: ops.pow(x, 3.0), floats(2, 3)),
        "remainder": one(paddle.remainder, whole(90, 2, 3), whole(8, 2, 3) + 1),
        "scale": one(lambda x: paddle.scale(x, 2.0, 1.5), floats(2, 3)),
        "scale:bias first": one(lambda x: paddle.scale(x, 2.0, 1.5, bias_after_scale=False), floats(2, 3)),
        "scale:python": one(lambda x: 1 - x * 3 / 2, floats(2, 3)),
        "scale:tensor": one(lambda x, y: paddle.scale(x, y), floats(2, 3), positive(1)),
    }


def products() -> Mapping[str, Case]:
    return {
        "bmm": one(paddle.bmm, floats(2, 3, 4), floats(2, 4, 5)),
        "cross": one(paddle.cross, floats(2, 3), floats(2, 3)),
        "dot": one(paddle.dot, floats(4), floats(4)),
        "einsum": one(lambda x, y: paddle.einsum("bij,bjk->bik", x, y), floats(2, 3, 4), floats(2, 4, 5)),
        "kron": one(paddle.kron, floats(2, 3), floats(2, 2)),
        "matmul": one(paddle.matmul, floats(2, 3, 4), floats(4, 5)),
        "matmul:transposed": one(lambda x, y: paddle.matmul(x, y, True, True), floats(4, 3), floats(5, 4)),
        "matmul:linear": one(paddle.nn.Linear(4, 5), floats(2, 3, 4)),
        "matmul_with_flatten": one(
            lambda x, y: ops.matmul_with_flatten(x, y, 1, 1), floats(2, 3, 4), floats(12, 5)
        ),
        "mv": one(paddle.mv, floats(3, 4), floats(4)),
    }


def logic() -> Mapping[str, Case]:
    numbers = [whole(3, 4, 5, dtype="float32"), whole(3, 4, 5, dtype="float32")]
    names = (
        *("equal", "equal_all", "greater_equal", "greater_than", "isclose", "allclose"),
        *("less_equal", "less_than", "not_equal"),
    )
    odd = np.array([[1.0, np.inf, np.nan], [-np.inf, 0.0, 2.0]], "float32")
    return {
        **{name: (getattr(paddle, name), numbers) for name in names},
        **{
            name: one(getattr(paddle, name), whole(9, 3, 4), whole(9, 3, 4))
            for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
        },
        **{
            name: one(getattr(paddle, name), truths(3, 4), truths(3, 4))
            for name in ("logical_and", "logical_or", "logical_xor")
        },
        **{name: one(getattr(paddle, name), odd) for name in ("isfinite", "isinf", "isnan")},
        "bitwise_not": one(paddle.bitwise_not, whole(9, 3, 4)),
        "is_empty": one(paddle.is_empty, floats(2, 3)),
        "isclose:tolerance": one(lambda x, y: paddle.isclose(x, y, 0.1, 0.2), floats(3, 4), floats(3, 4)),
        "logical_not": one(paddle.logical_not, truths(3, 4)),
    }


def reductions() -> Mapping[str, Case]:
    cases: dict[str, Case] = {}
    for name in ("amax", "amin", "max", "mean", "min", "prod", "sum", "logsumexp"):
        function = getattr(paddle, name)
        cases[name] = one(lambda x, f=function: f(x, axis=1), floats(2, 3, 4))
        cases[f"{name}:all"] = one(lambda x, f=function: f(x), floats(2, 3, 4))
        cases[f"{name}:kept"] = one(lambda x, f=function: f(x, axis=[0, 2], keepdim=True), floats(2, 3, 4))
    for name in ("all", "any"):
        function = getattr(paddle, name)
        cases[name] = one(lambda x, f=function: f(x, axis=1), truths(2, 3, 4))
        cases[f"{name}:all"] = one(lambda x, f=function: f(x), truths(2, 3, 4))
    return {
        **cases,
        "argmax": one(lambda x: paddle.argmax(x, 1), floats(2, 5)),
        "argmax:int32": one(lambda x: paddle.argmax(x, -1, keepdim=True, dtype="int32"), floats(2, 5)),
        "argmax:flat": one(paddle.argmax, floats(2, 5)),
        "argmin": one(lambda x: paddle.argmin(x, 1), floats(2, 5)),
        "argsort": one(lambda x: paddle.argsort(x, 1), floats(2, 5)),
        "argsort:descending": one(lambda x: paddle.sort(x, 1, descending=True), floats(2, 5)),
        "bincount": one(paddle.bincount, whole(5, 12)),
        "cumprod": one(lambda x: paddle.cumprod(x, 1), floats(2, 5)),
        "cumsum": one(lambda x: paddle.cumsum(x, 1), floats(2, 5)),
        "cumsum:flat": one(paddle.cumsum, floats(2, 5)),
        "dist": one(paddle.dist, floats(2, 5), floats(2, 5)),
        "frobenius_norm": one(lambda x: paddle.linalg.norm(x, "fro", [1, 2]), floats(2, 3, 4)),
        "kthvalue": one(lambda x: paddle.kthvalue(x, 2, 1), floats(2, 5)),
        "logcumsumexp": one(lambda x: paddle.logcumsumexp(x, 1), floats(2, 5)),
        "max:where": one(lambda x: x.max() - x.min(), floats(3)),
        "mean_all": one(lambda x: ops.mean_all(x), floats(2, 3)),
        "mode": one(lambda x: paddle.mode(x, 1), whole(3, 2, 7, dtype="float32")),
        "nonzero": one(paddle.nonzero, whole(2, 3, 4)),
        "norm": one(lambda x: ops.norm(x, 1, 1e-10, True)[0], floats(2, 5)),
        "numel": one(paddle.numel, floats(2, 5)),
        "p_norm": one(lambda x: paddle.linalg.norm(x, 2, 1), floats(2, 5)),
        "p_norm:normalize": one(lambda x: functional.normalize(x, axis=1), floats(2, 5)),
        "searchsorted": one(paddle.searchsorted, np.sort(floats(6)), floats(2, 3)),
        "sum:integers": one(lambda x: x.sum(axis=1), whole(9, 2, 5, dtype="int32")),
        "sum:truths": one(lambda x: x.sum(), truths(2, 5)),
        "topk": one(lambda x: paddle.topk(x, 2, 1), floats(2, 5)),
        "topk:smallest": one(lambda x: paddle.topk(x, 2, 1, largest=False), floats(2, 5)),
        "trace": one(paddle.trace, floats(3, 4)),
        "unique": one(paddle.unique, whole(4, 9)),
        "unique:all": one(lambda x: paddle.unique(x, True, True, True), whole(4, 9)),
        "unique_consecutive": one(paddle.unique_consecutive, np.array([1, 1, 2, 2, 3, 1, 1])),
        "viterbi_decode": one(
            lambda x, t, n: paddle.text.viterbi_decode(x, t, n, False),
            floats(2, 4, 3),
            floats(3, 3),
            np.array([4, 3]),
        ),
    }


def shapes() -> Mapping[str, Case]:
    x = floats(2, 3, 4)
    return {
        "broadcast_tensors": one(lambda a, b: paddle.broadcast_tensors([a, b]), floats(1, 3), floats(2, 1)),
        "concat": one(lambda a, b: paddle.concat([a, b], 1), x, floats(2, 5, 4)),
        "expand": one(lambda a: paddle.expand(a, [2, 3, 4]), floats(3, 1)),
        "expand:tensor": one(lambda a, b: paddle.expand(a, paddle.shape(b)), floats(1, 4), floats(5, 4)),
        "expand_as": one(paddle.expand_as, floats(1, 4), floats(5, 4)),
        "flatten": one(lambda a: paddle.flatten(a, 1), x),
        "flip": one(lambda a: paddle.flip(a, [1]), x),
        "meshgrid": one(lambda a, b: paddle.meshgrid(a, b), floats(3), floats(4)),
        "reshape": one(lambda a: paddle.reshape(a, [-1, 6]), x),
        "reshape:zero": one(lambda a: paddle.reshape(a, [0, -1]), x),
        "reshape:tensor": one(lambda a: paddle.reshape(a, [paddle.shape(a)[0], 12]), x),
        "reshape:computed": (
            lambda a, w: functional.conv2d(reshape_to_own_size(a.flatten(2), a), w),
            [floats(1, 2, 4, 4), floats(3, 2, 1, 1)],
            {0: [0, 2, 3]},
        ),
        "roll": one(lambda a: paddle.roll(a, 2, 1), x),
        "roll:flat": one(lambda a: paddle.roll(a, 2), x),
        "shape": one(lambda a: ops.shape(a), x),
        "shape64": one(paddle.shape, x),
        "split": one(lambda a: paddle.split(a, [1, 2], 1), x),
        "split:rest": one(lambda a: paddle.split(a, [1, -1], 2), x),
        "split_with_num": one(lambda a: paddle.split(a, 2, 2), x),
        "split:member": one(lambda a: paddle.chunk(a, 2, 2)[1] * 2, x),
        "squeeze": one(lambda a: paddle.squeeze(a, 1), floats(2, 1, 3)),
        "squeeze:all": one(paddle.squeeze, floats(2, 1, 3, 1)),
        "stack": one(lambda a, b: paddle.stack([a, b], 1), x, floats(2, 3, 4)),
        "tile": one(lambda a: paddle.tile(a, [2, 1, 3]), x),
        "tile:tensor": one(lambda a, n: paddle.tile(a, n), x, np.array([2, 1, 3], "int32")),
        "transpose": one(lambda a: paddle.transpose(a, [2, 0, 1]), x),
        "unbind": one(lambda a: paddle.unbind(a, 1), x),
        "unsqueeze": one(lambda a: paddle.unsqueeze(a, [0, 2]), x),
        "unstack": one(lambda a: paddle.unstack(a, 1), x),
    }


def parts() -> Mapping[str, Case]:
    x = floats(4, 5, 6)
    return {
        "crop": one(lambda a: paddle.crop(a, [2, 3, 2], [1, 1, 2]), x),
        "diag": one(paddle.diag, floats(4)),
        "diag_embed": one(paddle.diag_embed, floats(2, 3)),
        "diagonal": one(paddle.diagonal, x),
        "gather": one(lambda a, i: paddle.gather(a, i, 1), x, np.array([0, 3])),
        "gather_nd": one(paddle.gather_nd, x, np.array([[0, 3], [1, 2]])),
        "gather_tree": one(functional.gather_tree, whole(3, 4, 2, 3), whole(3, 4, 2, 3)),
        "index_add": one(lambda a, i, v: paddle.index_add(a, i, 0, v), x, np.array([0, 3]), floats(2, 5, 6)),
        "index_sample": one(paddle.index_sample, floats(2, 5), whole(5, 2, 3)),
        "index_select": one(lambda a, i: paddle.index_select(a, i, 1), x, np.array([0, 3])),
        "masked_select": one(paddle.masked_select, floats(3, 4), truths(3, 4)),
        "multiplex": one(
            lambda a, b, i: paddle.multiplex([a, b], i),
            floats(3, 4),
            floats(3, 4),
            whole(2, 3, 1, dtype="int32"),
        ),
        "pad": one(lambda a: functional.pad(a, [1, 0, 2, 1, 0, 3], value=0.5), x),
        "pad3d": one(lambda a: functional.pad(a, [1, 2, 0, 1], "reflect"), floats(1, 2, 5, 6)),
        "pad3d:constant": one(lambda a: functional.pad(a, [1, 2, 0, 1], value=0.5), floats(1, 2, 5, 6)),
        "put_along_axis": one(
            lambda a, i, v: paddle.put_along_axis(a, i, v, 1), floats(3, 5), whole(5, 3, 1), floats(3, 1)
        ),
        "repeat_interleave": one(lambda a: paddle.repeat_interleave(a, 2, 1), x),
        "repeat_interleave_with_tensor_index": one(
            lambda a, n: paddle.repeat_interleave(a, n, 0), floats(3, 2), np.array([2, 0, 1])
        ),
        "scatter": one(paddle.scatter, floats(4, 3), np.array([2, 0]), floats(2, 3)),
        "scatter_nd_add": one(paddle.scatter_nd_add, floats(4, 3), np.array([[2], [0], [2]]), floats(3, 3)),
        "set_value": one(set_value, x),
        "set_value_with_tensor": one(set_value_with_tensor, x, floats(5, 6)),
        "slice": one(lambda a: a[1:3, :, 2], x),
        "slice:computed": one(lambda a: a[: a.shape[0] - 1, 1:], x),
        "slice:tensor": one(lambda a, n: a[: n[0]], x, np.array([2], "int32")),
        "strided_slice": one(lambda a: a[:, ::2, ::-1], x),
        "take_along_axis": one(lambda a, i: paddle.take_along_axis(a, i, 1), floats(3, 5), whole(5, 3, 2)),
        "tril": one(paddle.tril, floats(4, 4)),
        "triu": one(lambda a: paddle.triu(a, 1), floats(4, 4)),
        "where": one(paddle.where, truths(3, 4), floats(3, 4), floats(3, 4)),
    }


def set_value(x: Any) -> Any:
    y = x * 1
    y[1:3, 0] = 2.5
    return y


def set_value_with_tensor(x: Any, part: Any) -> Any:
    y = x * 1
    y[1] = part
    return y


def reshape_to_own_size(x: Any, like: Any) -> Any:
    size = paddle.shape(like)
    return paddle.reshape(x, [size[0], 2, size[2], size[3]])


class Arrays:
    """Functions that write what a loop computes into a list of tensors. Each gets a tensor and a count."""

    @staticmethod
    def write(x: Any, count: Any) -> tuple[Any, Any]:
        listed, i = paddle.tensor.create_array("float32"), paddle.zeros([1], "int64")
        while i < count:
            x = paddle.tanh(x)
            paddle.tensor.array_write(x, i, listed)
            i = i + 1
        return listed, i

    @staticmethod
    def read(x: Any, count: Any) -> Any:
        listed, i = Arrays.write(x, count)
        return paddle.tensor.array_read(listed, i - 2)

    @staticmethod
    def length(x: Any, count: Any) -> Any:
        return paddle.tensor.array_length(Arrays.write(x, count)[0])

    @staticmethod
    def concatenate(x: Any, count: Any) -> Any:
        rows, i = [], paddle.zeros([1], "int64")
        while i < count:
            x = paddle.tanh(x)
            rows.append(x)
            i = i + 1
        return paddle.concat(rows, 0)


def lists_of_tensors() -> Mapping[str, Case]:
    inputs = (floats(2, 3), np.array([3]))
    return {
        "add:of what is taken to the CPU": one(lambda a: a.cpu() + a, floats(2, 3)),
        "array_length": one(Arrays.length, *inputs),
        "array_read": one(Arrays.read, *inputs),
        "array_to_tensor": one(Arrays.concatenate, *inputs),
        "array_write": one(Arrays.read, *inputs),
    }


def creation() -> Mapping[str, Case]:
    x = floats(2, 3)
    return {
        "arange": one(lambda a: a + paddle.arange(0, 3, 1, "float32"), x),
        "arange:integers": one(lambda a: paddle.arange(paddle.shape(a)[0]), x),
        "assign": one(paddle.assign, x),
        "assign_out": one(lambda a: paddle.assign(a, paddle.zeros([2, 3])), x),
        "assign_value": one(lambda a: a + paddle.to_tensor(np.array([1.5, 2, 3], "float32")), x),
        **{f"assign_value:{kind}": assigned(kind, x) for kind in ("float64", "int32", "int64")},
        "assign_value:truths": one(lambda a: paddle.to_tensor([True, False]) & (a[:, 0] > 0), x),
        "cast": one(lambda a: paddle.cast(a * 3, "int32"), x),
        "cast:truths": one(lambda a: (a > 0).astype("float32"), x),
        "eye": one(lambda a: a + paddle.eye(2, 3), x),
        "full": one(lambda a: a + paddle.full([2, 3], 1.5), x),
        "full:infinity": one(lambda a: paddle.where(a > 0, a, paddle.full([2, 3], float("-inf"))), x),
        "full:great integers": one(lambda a: a.astype("int64") + paddle.full([3], 2**40 + 1, "int64"), x),
        "full_batch_size_like": one(
            lambda a: ops.full_batch_size_like(
                a, [-1, 4], paddle.base.core.DataType.FLOAT32, 0.5, 0, 0, paddle.CPUPlace()
            ),
            x,
        ),
        "full_int_array": one(
            lambda a: (
                ops.full_int_array([1, 2], paddle.base.core.DataType.INT64, paddle.CPUPlace())
                + paddle.shape(a)
            ),
            x,
        ),
        "full_like": one(lambda a: paddle.full_like(a, 2.5) + a, x),
        "full_with_tensor": one(lambda a: paddle.full([paddle.shape(a)[0], 2], 1.5), x),
        "linspace": one(lambda a: a + paddle.linspace(0, 1, 3), x),
        "one_hot": one(lambda a: functional.one_hot(a, 5), whole(5, 2, 3)),
        "sequence_mask": one(lambda a: functional.sequence_mask(a, 5, "int64"), whole(5, 4)),
        "sequence_mask:longest": one(lambda a: functional.sequence_mask(a, dtype="int64"), whole(5, 4)),
        "share_data": one(lambda a: a.detach() + 1, x),
        "tril_indices": one(lambda a: a.sum().astype("int64") * 0 + paddle.tril_indices(3, 3, 0), x),
        "triu_indices": one(lambda a: a.sum().astype("int64") * 0 + paddle.triu_indices(3, 3, 0), x),
    }


def layers() -> Mapping[str, Case]:
    nn, picture = paddle.nn, floats(2, 4, 8, 8)
    return {
        "affine_channel": one(
            lambda x, s, b: ops.affine_channel(x, s, b, "NCHW"), picture, floats(4), floats(4)
        ),
        "affine_grid": one(lambda t: functional.affine_grid(t, [2, 3, 4, 5]), floats(2, 2, 3)),
        "batch_norm": one(nn.BatchNorm2D(4), picture),
        "batch_norm:1d": one(nn.BatchNorm1D(4), floats(3, 4)),
        "bilinear": one(nn.Bilinear(3, 4, 5), floats(2, 3), floats(2, 4)),
        "channel_shuffle": one(lambda x: functional.channel_shuffle(x, 2), picture),
        "conv2d": one(nn.Conv2D(4, 6, 3, 2, 1), picture),
        "conv2d:groups": one(nn.Conv2D(4, 6, 3, padding=2, dilation=2, groups=2, bias_attr=False), picture),
        "conv2d:same": one(nn.Conv2D(4, 6, 3, padding="SAME"), picture),
        "conv2d:1d": one(nn.Conv1D(4, 6, 3), floats(2, 4, 8)),
        "conv2d_transpose": one(nn.Conv2DTranspose(4, 6, 3, 2, 1, output_padding=1), picture),
        "conv2d_transpose:size": one(
            lambda x, w: functional.conv2d_transpose(x, w, stride=2, output_size=[18, 18]),
            picture,
            floats(4, 3, 3, 3),
        ),
        "conv3d": one(nn.Conv3D(2, 3, 3, padding=1), floats(1, 2, 4, 5, 6)),
        "conv3d_transpose": one(nn.Conv3DTranspose(2, 3, 3), floats(1, 2, 4, 5, 6)),
        "deformable_conv": one(
            paddle.vision.ops.DeformConv2D(4, 6, 3, padding=1),
            picture,
            floats(2, 18, 8, 8),
            positive(2, 9, 8, 8),
        ),
        "depthwise_conv2d": one(nn.Conv2D(4, 4, 3, padding=1, groups=4), picture),
        "depthwise_conv2d_transpose": one(nn.Conv2DTranspose(4, 4, 3, 2, groups=4), picture),
        "dropout": one(nn.Dropout(0.3), floats(2, 3)),
        "dropout:scaled": one(nn.Dropout(0.3, mode="downscale_in_infer"), floats(2, 3)),
        "embedding": one(nn.Embedding(9, 4, padding_idx=0), whole(9, 2, 5)),
        "fold": one(lambda x: functional.fold(x, [4, 5], [2, 2], 1), floats(2, 12, 12)),
        "grid_sample": one(functional.grid_sample, picture, positive(2, 5, 5, 2)),
        "group_norm": one(nn.GroupNorm(2, 4), picture),
        "instance_norm": one(nn.InstanceNorm2D(4), picture),
        "label_smooth": one(functional.label_smooth, positive(2, 5)),
        "layer_norm": one(nn.LayerNorm(8), picture),
        "layer_norm:plain": one(nn.LayerNorm([8, 8], weight_attr=False, bias_attr=False), picture),
        "pow:local response": one(nn.LocalResponseNorm(3), picture),
        "max_pool2d_with_index": one(lambda x: functional.max_pool2d(x, 2, return_mask=True), picture),
        "pixel_shuffle": one(nn.PixelShuffle(2), picture),
        "pixel_unshuffle": one(nn.PixelUnshuffle(2), picture),
        "pool2d": one(nn.MaxPool2D(3, 2, 1), picture),
        "pool2d:average": one(nn.AvgPool2D(3, 2, 1, exclusive=False), picture),
        "pool2d:adaptive": one(nn.AdaptiveAvgPool2D([2, 3]), picture),
        "pool2d:ceiling": one(nn.MaxPool2D(3, 2, ceil_mode=True), picture),
        "pool2d:adaptive maximum": one(nn.AdaptiveMaxPool2D(2), picture),
        "pool3d": one(nn.MaxPool3D(2), floats(1, 2, 4, 6, 8)),
        "rnn": one(nn.LSTM(4, 5), floats(2, 6, 4)),
        "rnn:gru": one(nn.GRU(4, 5, 2, "bidirect"), floats(2, 6, 4)),
        "rnn:simple": one(nn.SimpleRNN(4, 5), floats(2, 6, 4)),
        "shuffle_channel": one(lambda x: ops.shuffle_channel(x, 2), picture),
        "temporal_shift": one(lambda x: functional.temporal_shift(x, 2, 0.25), picture),
        "unfold": one(lambda x: functional.unfold(x, 3, 2, 1), picture),
        "unpool": one(
            lambda x: functional.max_unpool2d(*functional.max_pool2d(x, 2, return_mask=True), 2), picture
        ),
    }


def resizing() -> Mapping[str, Case]:
    def resize(mode: str, size: Any = None, factor: Any = None, **more: Any) -> Any:
        return lambda x: functional.interpolate(x, size, factor, mode, **more)

    picture = floats(1, 2, 6, 8)
    channels_last = {"data_format": "NHWC"}
    return {
        "bicubic_interp": one(resize("bicubic", [9, 12]), picture),
        "bilinear_interp": one(resize("bilinear", [9, 12]), picture),
        "bilinear_interp:corners": one(resize("bilinear", factor=2, align_corners=True), picture),
        "bilinear_interp:mode": one(resize("bilinear", [9, 12], align_mode=1), picture),
        "bilinear_interp:last": one(resize("bilinear", [9, 12], **channels_last), floats(1, 6, 8, 2)),
        "bilinear_interp:like": one(
            lambda x, y: functional.interpolate(x, paddle.shape(y)[2:], mode="bilinear"),
            picture,
            floats(1, 2, 9, 12),
        ),
        "linear_interp": one(resize("linear", [9], data_format="NCW"), floats(1, 2, 6)),
        "nearest_interp": one(resize("nearest", factor=2), picture),
        "nearest_interp:size": one(resize("nearest", [12, 16]), picture),
        "trilinear_interp": one(resize("trilinear", [4, 6, 8], data_format="NCDHW"), floats(1, 2, 3, 4, 5)),
    }


def detection() -> Mapping[str, Case]:
    vision, picture = paddle.vision.ops, floats(1, 6, 8, 8)
    count = np.array([3], "int32")
    scores = positive(1, 4, 12)
    return {
        "anchor_generator": one(
            lambda x: ops.anchor_generator(x, [32.0], [0.5, 1.0], [0.1, 0.1, 0.2, 0.2], [16.0, 16.0], 0.5),
            picture,
        ),
        "bipartite_match": one(lambda x: ops.bipartite_match(x, "bipartite", 0.5), positive(4, 5)),
        "box_coder": one(
            lambda a, b, c: vision.box_coder(a, b, c, "decode_center_size", True, axis=0),
            boxes(5),
            positive(5, 4),
            floats(3, 5, 4),
        ),
        "collect_fpn_proposals": one(
            lambda a, b, s, t, m, n: ops.collect_fpn_proposals([a, b], [s, t], [m, n], 5),
            *(boxes(3), boxes(4), positive(3, 1), positive(4, 1)),
            *(np.array([3], "int32"), np.array([4], "int32")),
        ),
        "distribute_fpn_proposals": one(
            lambda x, n: vision.distribute_fpn_proposals(x, 2, 5, 4, 224, rois_num=n),
            boxes(3, 400.0),
            count,
        ),
        "generate_proposals": one(
            lambda s, d, i, a, v: vision.generate_proposals(s, d, i, a, v, 20, 5, return_rois_num=True),
            *(positive(1, 2, 4, 4), floats(1, 8, 4, 4) * 0.1, np.array([[30, 30]], "float32")),
            *(boxes(32).reshape(4, 4, 2, 4), positive(4, 4, 2, 4)),
        ),
        "matrix_nms": one(
            lambda b, s: vision.matrix_nms(b, s, 0.1, 0.1, 10, 5, return_index=True), boxes(12)[None], scores
        ),
        "multiclass_nms3": one(
            lambda b, s: ops.multiclass_nms3(b, s, None, 0.1, 10, 5, 0.3, True, 1.0, -1),
            boxes(12)[None],
            scores,
        ),
        "nms": one(lambda b: vision.nms(b, 0.3), boxes(12)),
        "prior_box": one(
            lambda x, i: vision.prior_box(x, i, [10.0], [20.0], [1.0, 2.0], flip=True, clip=True),
            picture,
            floats(1, 3, 32, 32),
        ),
        "psroi_pool": one(lambda x, b, n: vision.psroi_pool(x, b, n, 1), picture, boxes(3, 8.0), count),
        "roi_align": one(lambda x, b, n: vision.roi_align(x, b, n, 2), picture, boxes(3, 8.0), count),
        "roi_pool": one(lambda x, b, n: vision.roi_pool(x, b, n, 2), picture, boxes(3, 8.0), count),
        "yolo_box": one(
            lambda x, s: vision.yolo_box(x, s, [10, 13, 16, 30], 3, 0.01, 32),
            floats(1, 16, 4, 4),
            np.array([[128, 128]], "int32"),
        ),
    }


def quantization() -> Mapping[str, Case]:
    """Paddle 3.3.1 runs `dequantize_linear` of a PIR program as `quantize_linear`, so it is not asked."""
    integers = whole(100, 2, 3, dtype="float32")
    scale, zero = np.array([2.0], "float32"), np.zeros(1, "float32")
    return {
        "quantize_linear": one(
            lambda x, s, z: ops.quantize_linear(x, s, z, s, s, -1, 8, -128, 127, 0, True, False)[0],
            *(floats(2, 3), scale, zero),
        ),
        "dequantize_linear": (
            lambda x, s, z: ops.dequantize_linear(x, s, z, s, s, -1, 8, -128, 127, 0, True, False)[0],
            [integers, scale, zero],
            {},
            [integers * scale / 127],
        ),
    }


def every() -> Mapping[str, Case]:
    paddle.seed(0)
    groups = (
        *(activations, arithmetic, products, logic, reductions, shapes, parts, creation, layers, resizing),
        *(detection, quantization, lists_of_tensors),
    )
    return {name: case for group in groups for name, case in group().items()}
