"""The layout `recurrent`: INT8 operators for GRU and LSTM over sequences, made without PaddleSlim."""

from __future__ import annotations

from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.conversion.converted import require_int8
from paddle_int8.tasks.engines.paddle.conversion.recurrent import convert_recurrent
from paddle_int8.tasks.engines.paddle.switches import RECURRENT
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout


def convert(request: ConversionRequest) -> ConvertedModel:
    """Converts a model of GRU or LSTM operators with weights of 8 bits.

    Raises: ConversionError when an operator did not fuse, or nothing in the model would run in INT8.
    """
    return convert_with(request, layout="recurrent", bits=8)


def convert_with(request: ConversionRequest, *, layout: str, bits: int) -> ConvertedModel:
    """Converts with weights of 2 to 8 bits. Raises as `convert`."""
    converted = convert_recurrent(request.source, request.folder, layout=layout, bits=bits)
    require_int8(converted)
    return converted


LAYOUT = Layout(
    name="recurrent",
    description="A graph of INT8 operators for GRU and LSTM over sequences.",
    engine="paddle",
    form=QuantizedForm.FP32,
    convert=convert,
    switches=RECURRENT,
    legacy_recurrence=True,
    operator_per_kernel=False,
    simulated=False,
    narrowed="recurrent_7bit",
)
