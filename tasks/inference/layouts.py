"""How each kind of model is opened: the one table of predictor switches.

A layout names how an artifact is packed and which engine runs it, so adding one starts here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tasks.artifacts import Layout

FP32_FC_FUSION = "repeated_fc_relu_fuse_pass"
"""Fuses consecutive FCs into one FP32 operator that INT8 cannot reach: VGG loses two thirds of its speed."""

CACHED_SHAPES = 1000
"""Every sequence length is a shape of its own, and building its kernels takes longer than running them."""


class Engine(StrEnum):
    """What runs a model: the baseline, the readers' references, and one per layout."""

    BASELINE = "baseline"
    NATIVE_FP32 = "native_fp32"
    BF16 = "bf16"
    OFFLINE = "offline"
    QDQ = "qdq"
    QUANTIZER = "quantizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Of `paddle.inference.Config`; the names are those in `deployment.json`.

    onednn_cache_capacity: input shapes for which prepared kernels are kept; None is Paddle's 10.
    quantizer_ops: operators that Paddle quantizes at load, from `calibration.npz` beside the program.
    """

    onednn: bool = True
    onednn_int8: bool = False
    onednn_bf16: bool = False
    ir_optim: bool = True
    memory_optim: bool = True
    deleted_passes: tuple[str, ...] = ()
    onednn_cache_capacity: int | None = None
    quantizer_ops: tuple[str, ...] = ()


SWITCHES: dict[Engine, Switches] = {
    # the baseline keeps the fusion: FP32 is faster with it, and it is what a user gets
    Engine.BASELINE: Switches(),
    Engine.NATIVE_FP32: Switches(onednn=False),
    Engine.BF16: Switches(onednn_bf16=True),
    # its program holds quantize operators and INT8 attributes already
    Engine.OFFLINE: Switches(deleted_passes=(FP32_FC_FUSION,)),
    # without `onednn_int8` it silently runs in FP32, slower than the baseline
    Engine.QDQ: Switches(onednn_int8=True, deleted_passes=(FP32_FC_FUSION,)),
    Engine.QUANTIZER: Switches(
        deleted_passes=(FP32_FC_FUSION,),
        onednn_cache_capacity=CACHED_SHAPES,
        quantizer_ops=("fusion_gru", "multi_gru", "fusion_lstm"),
    ),
}


def engine_of(layout: Layout) -> Engine:
    """The engine that runs a candidate of this layout."""
    return Engine(layout.value)
