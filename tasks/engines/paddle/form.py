"""Recognises how a program is quantized, from the program alone, before parameters are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.files import ModelSource

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Operator, StoredOperator, StoredProgram

ONEDNN_QUANTIZERS = frozenset({"quantize", "dequantize", "requantize"})
FUSED_RECURRENT = frozenset({"fusion_gru", "multi_gru", "fusion_lstm"})
QUANTIZE, DEQUANTIZE = "quantize_linear", "dequantize_linear"
FAKE = "fake_"
HOLDER = "save"
"""The type of the operator in whose attributes Paddle's passes hand scales on. Only our conversion leaves
such an operator in a saved program."""
GPU_QUANTIZED = frozenset(
    {
        *("weight_only_linear", "llm_int8_linear", "quant_linear", "weight_quantize", "weight_dequantize"),
        *("dequantize_abs_max", "dequantize_log", "lookup_table_dequant"),
    }
)
"""Operators on INT8 weights that multiply floating-point activations."""
DATA_TYPE, WEIGHT_TYPE = "mkldnn_data_type", "quantization_type"
WEIGHTS_ALONE = "post_weight_"
"""The beginning of the attribute `quantization_type` that `quant_post_dynamic` writes."""
NAMED_AT_MOST = 3


class Form(StrEnum):
    """How a program is quantized, in the words of the messages."""

    FLOAT = "not quantized"
    FAKE_QUANT = "in the fake-quant format"
    QDQ = "in the QDQ format"
    WEIGHTS = "quantized in its weights alone"
    OFFLINE = "converted to layout `offline`"
    RECURRENT = "converted to layout `recurrent`"
    DEPLOYABLE_QDQ = "converted to layout `qdq`"

    @property
    def converted(self) -> bool:
        """Whether nothing is left to convert."""
        return self in (Form.OFFLINE, Form.RECURRENT, Form.DEPLOYABLE_QDQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A program's form, and the operators that show it; "" for `FLOAT`."""

    form: Form
    evidence: str

    def __str__(self) -> str:
        return f"{self.form} ({self.evidence})" if self.evidence else self.form.value


def is_int8(op: Operator) -> bool:
    """Whether a conversion marked this operator INT8."""
    return bool(op.has_attr(DATA_TYPE) and op.attr(DATA_TYPE) == "int8")


def recognise(source: ModelSource) -> Recognised:
    """The form of the program in `source`. Isolated process only.

    Raises: ModelFormatError when the file is no program that this Paddle knows.
    """
    from paddle_int8.tasks.engines.paddle.program import parse_program

    return form_of(parse_program(source.readable.read_bytes(), source.program))


def form_of(desc: StoredProgram) -> Recognised:
    """The form of a ProgramDesc message. The first that fits counts, as conversions leave earlier marks."""
    operators = [op for block in desc.blocks for op in block.ops]
    types = {op.type for op in operators}
    integer = _with_attribute(operators, DATA_TYPE, "int8")
    if found := sorted(types & ONEDNN_QUANTIZERS) or integer:
        return Recognised(
            form=Form.RECURRENT if types & FUSED_RECURRENT else Form.OFFLINE, evidence=_listed(found)
        )
    if found := sorted(types & {QUANTIZE, DEQUANTIZE}):
        if QUANTIZE not in types:
            return Recognised(form=Form.WEIGHTS, evidence=_listed(found))
        if HOLDER in types:
            return Recognised(form=Form.DEPLOYABLE_QDQ, evidence=_listed([*found, f"{HOLDER} with scales"]))
        return Recognised(form=Form.QDQ, evidence=_listed(found))
    if found := sorted(name for name in types if name.startswith(FAKE)):
        return Recognised(form=Form.FAKE_QUANT, evidence=_listed(found))
    weights = _with_attribute(operators, WEIGHT_TYPE, WEIGHTS_ALONE)
    if found := sorted(types & GPU_QUANTIZED) or weights:
        return Recognised(form=Form.WEIGHTS, evidence=_listed(found))
    return Recognised(form=Form.FLOAT, evidence="")


def _with_attribute(operators: list[StoredOperator], name: str, beginning: str) -> list[str]:
    """Types of the operators whose text attribute `name` begins with `beginning`, each with its attribute."""
    return sorted(set(_attributed(operators, name, beginning)))


def _attributed(operators: list[StoredOperator], name: str, beginning: str) -> Iterator[str]:
    for op in operators:
        for attribute in op.attrs:
            if attribute.name == name and attribute.s.startswith(beginning):
                yield f"{op.type} with {name} {attribute.s}"


def _listed(found: list[str]) -> str:
    more = len(found) - NAMED_AT_MOST
    return ", ".join(found[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
