"""The gate's Prefect tasks."""

from __future__ import annotations

from dataclasses import replace

from prefect import get_run_logger

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Judged, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.gate.looks import judge_together
from paddle_int8.tasks.gate.sufficiency import too_few
from paddle_int8.tasks.process.progress import WARNING
from paddle_int8.tasks.steps.step import stage, step


@step(name="check number of samples")
def check_number_of_samples(
    validation: DatasetArtifact, calibration: DatasetArtifact, config: GateConfig, candidates: int
) -> None:
    """Warns, before anything is measured, when there are too few samples to decide the margin.

    candidates: how many are tested together on these samples.
    """
    warning = too_few(validation.samples, config, calibration.samples, candidates=candidates)
    if warning:
        get_run_logger().warning(warning)
        with stage("check number of samples") as summary:
            summary.extend(("too few samples for this margin", f"{WARNING}{warning}"))


@step(name="gate", task_run_name="gate {evidence.candidate.name}")
def gate(evidence: CandidateEvidence, config: GateConfig) -> Verdict:
    """Judges one candidate as if it were the only one.

    A rejection is a value, not a failure: this task fails only on a defect.
    """
    with stage(f"gate {evidence.candidate.name}") as summary:
        verdict = judge(evidence, config)
        failed = [result.criterion for result in verdict.results if result.outcome is not Outcome.APPROVED]
        summary.append(verdict.outcome.value + (f": {', '.join(dict.fromkeys(failed))}" if failed else ""))
        return verdict


@step(name="gate together")
def gate_together(judged: tuple[Judged, ...], config: GateConfig) -> tuple[Judged, ...]:
    """Judges all candidates together, so that the gate's confidence holds however many there are."""
    with stage("gate together") as summary:
        found = judge_together([each.evidence for each in judged], config)
        ruled = tuple(
            replace(each, evidence=evidence, verdict=verdict)
            for each, (evidence, verdict) in zip(judged, found, strict=True)
        )
        changed = [
            after.candidate.name
            for before, after in zip(judged, ruled, strict=True)
            if after.verdict.outcome is not before.verdict.outcome
        ]
        summary.append(counted(len(judged), "candidate"))
        summary.extend(f"{name} would pass alone" for name in changed)
        return ruled
