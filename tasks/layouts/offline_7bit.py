"""The layout `offline_7bit`: weights of 7 bits, whose sums do not saturate on CPUs without VNNI."""

from __future__ import annotations

from dataclasses import replace

from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.layouts import offline
from paddle_int8.tasks.layouts.layout import ConversionRequest


def convert(request: ConversionRequest) -> ConvertedModel:
    """Converts with weights of 7 bits.

    Raises: ConversionError when the model is in another form, or nothing in it would run in INT8.
    """
    return offline.convert_with(request, layout="offline_7bit", weight_bits=7)


LAYOUT = replace(
    offline.LAYOUT,
    name="offline_7bit",
    description="A graph of INT8 operators, which the conversion makes, for CPUs without VNNI.",
    convert=convert,
)
