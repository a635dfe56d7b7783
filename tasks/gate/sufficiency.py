"""How many validation samples a margin needs. The number is known before anything is measured.

`python -m paddle_int8.tasks.gate.sufficiency` prints the table of docs/explanation/statistics.md.
"""

from __future__ import annotations

import sys

import numpy as np

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.gate.looks import allowed_error
from paddle_int8.tasks.validation.statistics import fewest_samples, metric_evidence, samples_needed

MARGINS_PP = (0.5, 1.0, 1.5, 2.0, 5.0)
CONFIDENCE = 0.95


def too_few(
    samples: int, gate: GateConfig, calibration_samples: int = 0, *, candidates: int = 1
) -> str | None:
    """The warning to give when so few samples cannot decide the margin; None when there are enough.

    calibration_samples: how many samples are used for calibration. The warning suggests to move some of
    them to the validation where that would be enough; 0 leaves the suggestion out.
    candidates: how many candidates are tested together on the samples.
    """
    fewest = fewest_for(gate)
    if samples >= fewest:
        return _few_for_many(samples, gate, candidates)
    reachable_pp = margin_within(samples, confidence=1 - allowed_error(gate))
    fewer = (
        f"; or calibrate on fewer than {calibration_samples} samples and give the others to the validation"
        if calibration_samples and samples + calibration_samples > fewest
        else ""
    )
    return (
        f"{samples:,} validation samples cannot decide `gate.max_drop_pp: {gate.max_drop_pp:g}`, since even "
        f"INT8 answers equal to FP32's would be inconclusive. Validate on at least {fewest:,} samples, "
        f"more as soon as one of them is lost; or widen `gate.max_drop_pp` to {reachable_pp:g} or more{fewer}"
    )


def _few_for_many(samples: int, gate: GateConfig, candidates: int) -> str | None:
    """The warning when samples are enough only as long as all candidates err on the same ones."""
    fewest = fewest_for(gate, candidates)
    if samples >= fewest:
        return None
    return (
        f"{samples:,} validation samples are few for {candidates} candidates and `gate.max_drop_pp: "
        f"{gate.max_drop_pp:g}`: if the candidates err on different samples, even one that answers as FP32 "
        f"does may be inconclusive. Validate on at least {fewest:,} samples, or release fewer candidates "
        "(`quantization.algorithms`, `quantization.layouts`)"
    )


def fewest_for(gate: GateConfig, candidates: int = 1) -> int:
    """The fewest samples that decide the margin, if INT8 loses none, though each candidate errs on others."""
    return fewest_samples(gate.max_drop_pp, confidence=1 - allowed_error(gate) / candidates)


def margin_within(samples: int, *, confidence: float) -> float:
    """The narrowest margin that so many samples can decide, in percentage points, rounded up to a tenth.

    The inverse of `fewest_samples`: 1 - (1 - confidence)^(1/samples).
    """
    exact_tenths = 1000 * (1 - (1 - confidence) ** (1 / samples)) if samples else 1000
    return min(100.0, -(-exact_tenths // 1) / 10)


def table() -> list[str]:
    """Markdown rows of three columns: the margin in points; the samples needed when INT8 loses none of
    them; the samples needed when INT8 loses half of the margin."""
    fewest = {margin_pp: fewest_samples(margin_pp, confidence=CONFIDENCE) for margin_pp in MARGINS_PP}
    return [f"| {margin_pp:g} | {none:,} | {_half_lost(margin_pp):,} |" for margin_pp, none in fewest.items()]


def _half_lost(margin_pp: float) -> int | None:
    """The number of samples needed when INT8's true drop is half of the margin."""
    one_lost_in = round(200 / margin_pp)
    before = np.ones(one_lost_in)
    after = np.where(np.arange(one_lost_in) == 0, 0.0, before)
    return samples_needed(metric_evidence("top1", before, after, confidence=CONFIDENCE), margin_pp=margin_pp)


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
