"""What a line of `operators.yaml` cannot say: the functions that its field `by` names.

Each is given the operator as its line makes it, and returns the operators to write, in order. Isolated
process only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.pir.draft import Draft
from paddle_int8.tasks.engines.paddle.pir.program import DataType, Tensor, TensorArray

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.pir.program import Operation
    from paddle_int8.tasks.engines.paddle.pir.translation import Translation

VALUES = {
    "bool": "bool_values",
    "int32": "int32_values",
    "int64": "int64_values",
    "float32": "fp32_values",
}
"""Attributes of `assign_value` by the types that it can make."""
LEAST_END = -(2**31)
WIDER = {"float16": "float32", "bfloat16": "float32", "float64": "float32", "int8": "int32", "uint8": "int32"}
"""What `assign_value` makes instead of a type that it cannot make; a cast follows."""


def _cast(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    draft.attributes["in_dtype"] = DataType(_dtype(translation, operation.operands[0]))
    return [draft]


def _reduction(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    """Names all axes where PIR names none."""
    if not draft.attributes.get("dim"):
        given = translation.types[operation.operands[0]]
        assert isinstance(given, Tensor)
        draft.attributes |= {"dim": list(range(len(given.shape))), "reduce_all": True}
    if draft.attributes.get("out_dtype") == "Undefined":
        del draft.attributes["out_dtype"]
    return [draft]


def _full(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    """Gives the value as text too, which holds integers that FP32 does not."""
    value = draft.attributes["value"]
    draft.attributes["str_value"] = _text(value)
    return [draft]


def _text(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return repr(int(value)) if value == int(value) else repr(value)


def _full_int_array(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    values = draft.attributes.pop("value")
    draft.attributes |= {"shape": [len(values)], "values": values}
    return _assign_value(translation, operation, draft)


def _assign_value(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    dtype = str(draft.attributes["dtype"])
    made = WIDER.get(dtype, dtype)
    if made not in VALUES:
        raise translation.unfit(f"{operation.name} of type {dtype}")
    draft.attributes[VALUES[made]] = draft.attributes.pop("values")
    if made == dtype:
        return [draft]
    draft.attributes["dtype"] = DataType(made)
    return [draft, _then_cast(translation, operation, draft, made)]


def _then_cast(translation: Translation, operation: Operation, draft: Draft, made: str) -> Draft:
    """A cast to the result's type, behind `draft`, whose only output is made a new one of type `made`."""
    (slot,) = draft.outputs
    wanted = operation.results[0].type
    assert isinstance(wanted, Tensor)
    between = translation.new(draft.type, Tensor(made, wanted.shape), 1)
    cast = Draft(
        "cast",
        {"X": [between]},
        {"Out": draft.outputs[slot]},
        {"in_dtype": DataType(made), "out_dtype": DataType(wanted.dtype)},
    )
    draft.outputs[slot] = [between]
    return cast


def _shape64(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    return [draft, _then_cast(translation, operation, draft, "int32")]


def _arange(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    """Gives start, end and step the type of the result, and one element each."""
    wanted = operation.results[0].type
    assert isinstance(wanted, Tensor)
    draft.attributes.pop("dtype", None)
    casts = [
        _cast_input(translation, number, draft, slot, wanted.dtype)
        for slot, number in zip(("Start", "End", "Step"), operation.operands, strict=True)
        if _dtype(translation, number) != wanted.dtype
    ]
    return [*casts, draft]


def _cast_input(
    translation: Translation, number: int, draft: Draft, slot: str, dtype: str, place: int = 0
) -> Draft:
    """A cast in front of `draft`, whose slot reads the value `number` at `place`, and then what is cast."""
    given = translation.types[number]
    assert isinstance(given, Tensor)
    cast = translation.new("cast", Tensor(dtype, given.shape))
    types = {"in_dtype": DataType(given.dtype), "out_dtype": DataType(dtype)}
    made = Draft("cast", {"X": [draft.inputs[slot][place]]}, {"Out": [cast]}, types)
    draft.inputs[slot][place] = cast
    return made


def _resize(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    """Makes a constant size attributes, so that shapes are known, and any other size int32."""
    value = translation.constants.get(operation.operands[1]) if len(operation.operands) > 1 else None
    if value is not None:
        names = ("out_d", "out_h", "out_w")[-value.size :]
        draft.attributes |= dict(zip(names, value.ravel().tolist(), strict=True))
        draft.inputs.pop("OutSize")
    casts = []
    for slot, number in zip(("OutSize", "SizeTensor"), operation.operands[1:], strict=False):
        for place, member in enumerate(translation.rows.get(number, (number,))):
            if slot in draft.inputs and _dtype(translation, member) != "int32":
                casts.append(_cast_input(translation, member, draft, slot, "int32", place))
    return [*casts, draft]


def _strided_slice(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    """Ends a backward slice at -1, where Paddle 3 ends it at the least integer."""
    known = draft.inputs.keys() == {"Input"}
    draft.attributes["infer_flags"] = [1 if known else -1] * len(draft.attributes["axes"])
    if known:
        pairs = zip(draft.attributes["ends"], draft.attributes["strides"], strict=True)
        draft.attributes["ends"] = [end_of_slice(end, stride) for end, stride in pairs]
    return [draft]


def end_of_slice(end: int, stride: int) -> int:
    """The end of a slice in Paddle 2.6, where Paddle 3 has `end`."""
    return -1 if stride < 0 and end <= LEAST_END else end


def _set_value(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    wanted = operation.results[0].type
    assert isinstance(wanted, Tensor)
    draft.attributes["dtype"] = DataType(wanted.dtype)
    return [draft]


def _array_write(translation: Translation, operation: Operation, draft: Draft) -> list[Draft]:
    """The list is an output alone in Paddle 2.6."""
    del draft.inputs["Array"]
    return [draft]


def _dtype(translation: Translation, number: int) -> str:
    type = translation.types[number]
    assert isinstance(type, Tensor | TensorArray)
    return type.dtype


EXCEPTIONS: Mapping[str, Callable[[Translation, Operation, Draft], list[Draft]]] = {
    "arange": _arange,
    "array_write": _array_write,
    "assign_value": _assign_value,
    "cast": _cast,
    "full": _full,
    "full_int_array": _full_int_array,
    "reduction": _reduction,
    "resize": _resize,
    "set_value": _set_value,
    "shape64": _shape64,
    "strided_slice": _strided_slice,
}
