"""How each kind of model is opened: the one table of predictor switches.

A layout names how an artifact is packed and which engine runs it, so adding one starts here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tasks.artifacts import Layout

FP32_FC_FUSION = "repeated_fc_relu_fuse_pass"
"""Fuses consecutive FCs into one FP32 operator that INT8 cannot reach: VGG loses two thirds of its speed."""


class Engine(StrEnum):
    """What runs a model: the baseline, the readers' references, and one per layout."""

    BASELINE = "baseline"
    NATIVE_FP32 = "native_fp32"
    BF16 = "bf16"
    OFFLINE = "offline"
    QDQ = "qdq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Of `paddle.inference.Config`; the names are those in `deployment.json`."""

    onednn: bool = True
    onednn_int8: bool = False
    onednn_bf16: bool = False
    ir_optim: bool = True
    memory_optim: bool = True
    deleted_passes: tuple[str, ...] = ()


SWITCHES: dict[Engine, Switches] = {
    # the baseline keeps the fusion: FP32 is faster with it, and it is what a user gets
    Engine.BASELINE: Switches(),
    Engine.NATIVE_FP32: Switches(onednn=False),
    Engine.BF16: Switches(onednn_bf16=True),
    # its program holds quantize operators and INT8 attributes already
    Engine.OFFLINE: Switches(deleted_passes=(FP32_FC_FUSION,)),
    # without `onednn_int8` it silently runs in FP32, slower than the baseline
    Engine.QDQ: Switches(onednn_int8=True, deleted_passes=(FP32_FC_FUSION,)),
}


def engine_of(layout: Layout) -> Engine:
    """The engine that runs a candidate of this layout."""
    return Engine(layout.value)
