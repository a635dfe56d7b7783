"""The criteria of speed: how much faster INT8 must be than FP32."""

from __future__ import annotations

import math
from collections.abc import Iterator

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, IsaEvidence, SpeedRatio
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.gate.criterion import stated
from paddle_int8.tasks.validation.speed import FEWEST_PROCESSES

MIN_SPEEDUP = {
    IsaLevel.SSE41: 1.0,
    IsaLevel.AVX: 1.0,
    IsaLevel.AVX2: 1.0,
    IsaLevel.AVX2_VNNI: 1.5,
    IsaLevel.AVX512_CORE: 1.2,
    IsaLevel.AVX512_CORE_VNNI: 1.5,
    IsaLevel.AVX512_CORE_BF16: 1.5,
    IsaLevel.AVX512_CORE_AMX: 1.5,
}
"""The lowest FP32/INT8 speed-up that is worth deploying, by instruction set.

With VNNI one instruction does the work of three, and Paddle publishes 3 to 3.7x for image models. For
AVX-512 without VNNI it publishes 1.5x. Below AVX-512, INT8 only saves memory, so it must not be slower.
"""

NATIVE_SPEED = "speed-up over native FP32"
WORTH_TELLING = 0.05
"""A line of a verdict says what else the host did from this share of the time on."""


def least_speedup(isa: IsaLevel, gate: GateConfig) -> float:
    """The lowest speed-up that is worth deploying on `isa`."""
    return MIN_SPEEDUP[isa] if gate.min_speedup is None else gate.min_speedup


def speed(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The speed-up's confidence interval must lie above the lowest speed-up that is worth deploying."""
    for item in evidence.per_isa:
        least = least_speedup(item.isa, gate)
        yield _fast_enough("speed-up", item, item.latency.speedup, least, gate)


def native_speed(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The speed-up over Paddle's own FP32 kernels must be high enough, when `gate.min_native_speedup` is set.

    On some models these kernels are faster than oneDNN's FP32 kernels. Emulated instruction sets are
    skipped.
    """
    if gate.min_native_speedup is None:
        return
    for item in evidence.per_isa:
        if item.emulated:
            continue
        if (ratio := item.latency.native_speedup) is None:
            yield stated(
                NATIVE_SPEED,
                item.isa,
                Outcome.INCONCLUSIVE,
                found="native FP32 was not measured",
                required=f"at least {gate.min_native_speedup:g}x",
                remedy="add native_fp32 to `validation.references`",
            )
            continue
        yield _fast_enough(NATIVE_SPEED, item, ratio, gate.min_native_speedup, gate)


def _fast_enough(
    criterion: str, item: IsaEvidence, ratio: SpeedRatio, least: float, gate: GateConfig
) -> CriterionResult:
    disturbance = item.latency.disturbance
    found = (
        f"{ratio.ratio:.3f}x, between {ratio.low:.3f}x and {ratio.high:.3f}x "
        f"with {100 * ratio.confidence:g} % confidence, in {counted(ratio.processes, 'process', 'processes')}"
    )
    if disturbance and disturbance.taken_share >= WORTH_TELLING:
        found += (
            f"; {disturbance.described()}, so the interval is {100 * ratio.allowance:.0f} % wider either way"
        )
    remedy = f"INT8 is not worth deploying on {item.isa}: see the diagnosis for where the time goes"
    outcome = Outcome.INCONCLUSIVE
    if (
        not all(map(math.isfinite, (ratio.ratio, ratio.low, ratio.high)))
        or ratio.confidence < gate.confidence
    ):
        remedy = f"measure the latency with {100 * gate.confidence:g} % confidence"
    elif ratio.processes < FEWEST_PROCESSES:
        remedy = "release it again: one process says nothing of the next one"
    elif ratio.low >= least:
        outcome = Outcome.APPROVED
    elif ratio.high < least:
        outcome = Outcome.REJECTED
    else:
        remedy = "raise `validation.processes`, or measure while nothing else runs on the host"
    return stated(criterion, item.isa, outcome, found=found, required=f"at least {least:g}x", remedy=remedy)
