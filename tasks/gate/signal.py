"""Criteria of every output, whatever the metrics look at: how much of FP32's signal is left in it.

A metric sees what its author thought of: top-1 sees one output, and none sees what no sample showed. The
signal to quantization noise ratio (SQNR) needs no thought and no labels, so it is the floor under them.
"""

from __future__ import annotations

from collections.abc import Iterator

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, IsaEvidence, OutputEvidence
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import Outcome, OutputKind
from paddle_int8.tasks.gate.criterion import stated
from paddle_int8.tasks.hardware.levels import VNNI

SIGNAL, EVERY_OUTPUT = "signal", "every output"
SOUND_SQNR_DB = 20.0
"""Noise of a hundredth of the signal: what keeps that has no fault, however much more the simulation keeps.
Of an output that no rounding reaches the simulation keeps everything; kernels that sum in another order do
not."""
UNSEEN_SQNR_DB, UNSEEN_AGREEMENT = 10.0, 0.9
"""What an output must keep that no metric looks at: noise of a tenth of the signal, or a tenth of the
decisions changed. Models were seen to be right with less, but then a metric said so."""


def signal(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """No output may be noise, nor lose what the rounding alone would keep.

    `gate.min_sqnr_db`: a model that answers 0 to everything has 0 dB, so one near it is no better. The
    default of 1 dB is well below the 4.2 dB that an accurate ResNet50 (`hist`, 10,000 pictures) was seen to
    have.
    `gate.max_conversion_loss_db`: sound conversions lost up to 5 dB of what PaddleSlim's simulation keeps of
    the same samples, an accurate text classifier 7, broken ones 10 to 60. Without VNNI sums saturate, which
    no simulation knows, and on emulated levels there is none: there the floor alone counts.
    """
    if gate.min_sqnr_db is None and gate.max_conversion_loss_db is None:
        return
    for item in evidence.per_isa:
        lost = [*_drowned(item, gate), *_lost_by_conversion(item, gate)]
        yield stated(
            SIGNAL,
            item.isa,
            Outcome.REJECTED if lost else Outcome.APPROVED,
            found="; ".join(lost) if lost else _least(item),
            required=_required(gate),
            remedy="compare another layout and another algorithm, keep the layers before this output in "
            "FP32 (`quantization.skip_tensors`), or set the output to `ignore` in `validation.outputs` when "
            "nobody reads it",
        )


def every_output(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """An output that no gated metric looks at must keep enough to be beyond doubt."""
    for item in evidence.per_isa:
        unseen = [output for output in item.outputs if not _seen(output, gate)]
        doubtful = [output for output in unseen if not _beyond_doubt(output)]
        if not unseen:
            continue
        named = ", ".join(_kept(output) for output in doubtful or unseen)
        yield stated(
            EVERY_OUTPUT,
            item.isa,
            Outcome.INCONCLUSIVE if doubtful else Outcome.APPROVED,
            found=f"no gated metric looks at {named}",
            required=f"at least {UNSEEN_SQNR_DB:g} dB, or {100 * UNSEEN_AGREEMENT:g} % agreement, in an "
            "output that no gated metric looks at",
            remedy="add agreement, or a callable that judges it, to `validation.metrics` (and leave "
            "`gate.metric` out), or set it to `ignore` in `validation.outputs` when nobody reads it",
        )


def _drowned(item: IsaEvidence, gate: GateConfig) -> Iterator[str]:
    if gate.min_sqnr_db is None:
        return
    for name, sqnr_db in _signals(item):
        if not sqnr_db >= gate.min_sqnr_db:
            yield f"{sqnr_db:.1f} dB are left of {name}"


def _lost_by_conversion(item: IsaEvidence, gate: GateConfig) -> Iterator[str]:
    found = item.simulation
    if found is None or gate.max_conversion_loss_db is None or item.emulated or item.isa not in VNNI:
        return
    names = [output.name for output in item.outputs]
    figures = zip(names, found.simulated_by_output_db, found.int8_by_output_db, strict=False)
    for name, simulated_db, int8_db in figures:
        if simulated_db is None or int8_db is None or int8_db >= SOUND_SQNR_DB:
            continue
        if simulated_db - int8_db > gate.max_conversion_loss_db:
            yield (
                f"{int8_db:.1f} dB are left of {name} where PaddleSlim's simulation keeps {simulated_db:.1f} "
                f"of the same {found.samples} samples"
            )


def _signals(item: IsaEvidence) -> list[tuple[str, float]]:
    """SQNR by output; evidence of before there were outputs has one figure for all."""
    if not item.outputs:
        return [("the outputs", item.sqnr_db)]
    return [(output.name, output.sqnr_db) for output in item.outputs if output.sqnr_db is not None]


def _least(item: IsaEvidence) -> str:
    name, sqnr_db = min(_signals(item), key=lambda pair: pair[1], default=("", 0.0))
    return f"{sqnr_db:.1f} dB in {name}" if name else "whole numbers alone, which metrics judge"


def _required(gate: GateConfig) -> str:
    parts = []
    if gate.min_sqnr_db is not None:
        parts.append(f"at least {gate.min_sqnr_db:g} dB in every output")
    if gate.max_conversion_loss_db is not None:
        parts.append(f"at most {gate.max_conversion_loss_db:g} dB below PaddleSlim's simulation")
    return ", ".join(parts)


def _seen(output: OutputEvidence, gate: GateConfig) -> bool:
    if output.kind is OutputKind.IGNORE:
        return True
    return any(gate.metric in (None, metric) for metric in output.judged_by)


def _beyond_doubt(output: OutputEvidence) -> bool:
    if output.sqnr_db is not None:
        return output.sqnr_db >= UNSEEN_SQNR_DB
    return output.agreement is not None and output.agreement >= UNSEEN_AGREEMENT


def _kept(output: OutputEvidence) -> str:
    if output.sqnr_db is not None:
        return f"{output.name} ({output.sqnr_db:.1f} dB)"
    agreement = "nothing to compare" if output.agreement is None else f"{100 * output.agreement:.1f} % alike"
    return f"{output.name} ({agreement})"
