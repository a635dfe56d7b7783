"""The result of a conversion, in any layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.engines.paddle.census import QUANTIZABLE

CAST = "cast_to_fp32"
"""The name of the repair that comes before all others: a cast of a model in another floating-point type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """What a conversion wrote: layout, content digest, repairs by name, bytes on disk.

    int8_ops: INT8 operators by type. For `offline` they are the operators that Paddle's passes marked INT8.
        For `qdq` they are the compute operators that read quantized input: the predictor makes them INT8 when
        it loads the model.
    """

    folder: Path
    layout: str
    digest: str
    int8_ops: dict[str, int]
    repairs: dict[str, int]
    size_bytes: int


def require_int8(converted: ConvertedModel) -> None:
    """Raises: ConversionError when no compute operator of `converted` is INT8."""
    if not converted.int8_ops.keys() & QUANTIZABLE:
        found = ", ".join(f"{count} {name}" for name, count in converted.int8_ops.items())
        raise ConversionError(
            found=f"no INT8 convolution, product or recurrent operator, only {found or 'FP32 operators'}",
            required="at least one compute operator in INT8",
            remedy="widen `conversion.ops_to_quantize` or `quantization.op_types`",
        )
