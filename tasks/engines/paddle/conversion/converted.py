"""What is required of a conversion, in any layout that Paddle runs."""

from __future__ import annotations

from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.census import QUANTIZABLE

CAST = "cast_to_fp32"
"""The name of the repair that comes before all others: a cast of a model in another floating-point type."""


def require_int8(converted: ConvertedModel) -> None:
    """Requires a compute operator in INT8. Raises: ConversionError when `converted` has none."""
    if not converted.int8_ops.keys() & QUANTIZABLE:
        found = ", ".join(f"{count} {name}" for name, count in converted.int8_ops.items())
        raise ConversionError(
            found=f"no INT8 convolution, product or recurrent operator, only {found or 'FP32 operators'}",
            required="at least one compute operator in INT8",
            remedy="widen `conversion.ops_to_quantize` or `quantization.op_types`",
        )
