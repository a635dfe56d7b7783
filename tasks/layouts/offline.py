"""The layout `offline`: a graph of INT8 operators, made by the passes of the published conversion script."""

from __future__ import annotations

from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.conversion.converted import require_int8
from paddle_int8.tasks.engines.paddle.conversion.offline import OfflineRequest, convert_offline
from paddle_int8.tasks.engines.paddle.switches import QUANTIZED, QUANTIZED_BF16
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout

READS = frozenset({"ops_to_quantize", "op_ids_to_skip", "debug"})
NOTE = "The offline layout keeps its weights in FP32 on disk; the kernels run in INT8 all the same."


def convert(request: ConversionRequest) -> ConvertedModel:
    """Converts with weights of 8 bits.

    Raises: ConversionError when the model is in another form, or nothing in it would run in INT8.
    """
    return convert_with(request, layout="offline", bits=8)


def convert_with(request: ConversionRequest, *, layout: str, bits: int) -> ConvertedModel:
    """Converts with weights and second factors of 2 to 8 bits. Raises as `convert`."""
    converted = convert_offline(
        OfflineRequest(
            source=request.source,
            folder=request.folder,
            ops_to_quantize=request.config.ops_to_quantize,
            op_ids_to_skip=request.config.op_ids_to_skip,
            debug=request.config.debug,
            layout=layout,
            bits=bits,
        )
    )
    require_int8(converted)
    return converted


LAYOUT = Layout(
    name="offline",
    description="A graph of INT8 operators, which the conversion makes.",
    engine="paddle",
    form=QuantizedForm.FAKE_QUANT,
    convert=convert,
    switches=QUANTIZED,
    bf16_switches=QUANTIZED_BF16,
    reads=READS,
    note=NOTE,
    narrowed="offline_7bit",
)
