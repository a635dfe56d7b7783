"""The layout `qdq`: a QDQ program, of which Paddle Inference makes INT8 operators when it loads it."""

from __future__ import annotations

from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.conversion.converted import require_int8
from paddle_int8.tasks.engines.paddle.conversion.qdq import convert_qdq
from paddle_int8.tasks.engines.paddle.switches import QDQ
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout


def convert(request: ConversionRequest) -> ConvertedModel:
    """Converts a QDQ model.

    Raises: ConversionError when the model is in another form, or nothing in it would run in INT8.
    """
    converted = convert_qdq(request.source, request.folder)
    require_int8(converted)
    return converted


LAYOUT = Layout(
    name="qdq",
    description="A QDQ program, of which Paddle Inference makes a graph of INT8 operators at load.",
    engine="paddle",
    form=QuantizedForm.QDQ,
    convert=convert,
    narrowed="offline_7bit",
    switches=QDQ,
)
