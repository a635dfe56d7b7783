"""The layout `offline_7bit`: weights and second factors of 7 bits, whose sums fit on CPUs without VNNI."""

from __future__ import annotations

from dataclasses import replace

from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.layouts import offline
from paddle_int8.tasks.layouts.layout import ConversionRequest


def convert(request: ConversionRequest) -> ConvertedModel:
    """Converts with weights and second factors of 7 bits.

    Raises: ConversionError when the model is in another form, or nothing in it would run in INT8.
    """
    return offline.convert_with(request, layout="offline_7bit", bits=7)


LAYOUT = replace(
    offline.LAYOUT,
    name="offline_7bit",
    description="A graph of INT8 operators, which the conversion makes, for CPUs without VNNI.",
    convert=convert,
)
