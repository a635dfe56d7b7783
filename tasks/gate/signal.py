"""Two criteria that look at every output of the model: how much of FP32's signal INT8 keeps.

A metric sees only what its author thought of: top-1, for example, sees one output of several. The
signal-to-quantization-noise ratio (SQNR) needs neither an author nor labels, so it is checked beside them.
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
"""From this SQNR on, an output is sound, however much more the simulation keeps.

At 20 dB the noise has a hundredth of the signal's power. Without this limit, an output that quantization
does not touch would fail: the simulation computes it exactly, and the INT8 model's kernels, which sum in
another order, do not.
"""
UNSEEN_SQNR_DB, UNSEEN_AGREEMENT = 10.0, 0.9
"""An output that no metric looks at must keep at least this much.

At 10 dB the noise has a tenth of the signal's power; at an agreement of 0.9 a tenth of the decisions
changed. Some models were accurate with less, but there a metric had shown it.
"""


def signal(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """Every output must be more than noise, and must keep nearly what PaddleSlim's simulation keeps.

    `gate.min_sqnr_db` is the lowest SQNR of any output. A model that answers 0 to everything has 0 dB, so
    an output near 0 dB is useless. The default of 1 dB is well below the lowest SQNR seen on an accurate
    model.

    `gate.max_conversion_loss_db` is the most that INT8 may keep less than the simulation, on the same
    samples. It is not checked without VNNI, because sums saturate there, which the simulation leaves out;
    nor on emulated instruction sets, which are not simulated.

    | seen on | |
    |---|---|
    | SQNR of an accurate ResNet50 (`hist`, 10,000 pictures) | 4.2 dB |
    | conversion loss of sound conversions | up to 5 dB |
    | conversion loss of an accurate text classifier | 7 dB |
    | conversion loss of broken conversions | 10 to 60 dB |
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
            remedy="compare another layout and another algorithm, keep the worst layers in FP32, which "
            "`quantization.strategy: mixed` finds, or set the output to `ignore` in `validation.outputs` "
            "when nobody reads it",
        )


def every_output(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """An output that no gated metric looks at must keep `UNSEEN_SQNR_DB` or `UNSEEN_AGREEMENT`."""
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
    """Name and SQNR of each output. Old evidence that lists no outputs has one figure for all of them."""
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
