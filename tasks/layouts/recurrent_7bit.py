"""The layout `recurrent_7bit`: weights of 7 bits, with which the sums of GRU and LSTM fit without VNNI."""

from __future__ import annotations

from dataclasses import replace

from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.layouts import recurrent
from paddle_int8.tasks.layouts.layout import ConversionRequest

NAME = "recurrent_7bit"


def convert(request: ConversionRequest) -> ConvertedModel:
    """Converts with weights of 7 bits. Raises: ConversionError as the layout `recurrent`."""
    return recurrent.convert_with(request, layout=NAME, bits=7)


LAYOUT = replace(
    recurrent.LAYOUT,
    name=NAME,
    description="A graph of INT8 operators for GRU and LSTM over sequences, for CPUs without VNNI.",
    convert=convert,
)
