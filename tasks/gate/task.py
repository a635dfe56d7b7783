"""The gate's Prefect tasks."""

from __future__ import annotations

from prefect import get_run_logger

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.gate.sufficiency import too_few
from paddle_int8.tasks.process.progress import WARNING
from paddle_int8.tasks.steps.step import stage, step


@step(name="check number of samples")
def check_number_of_samples(
    validation: DatasetArtifact, calibration: DatasetArtifact, config: GateConfig
) -> None:
    """Warns, before anything is measured, when there are too few samples to decide the margin."""
    if warning := too_few(validation.samples, config, calibration.samples):
        get_run_logger().warning(warning)
        with stage("check number of samples") as summary:
            summary.extend(("too few samples for this margin", f"{WARNING}{warning}"))


@step(name="gate", task_run_name="gate {evidence.candidate.name}")
def gate(evidence: CandidateEvidence, config: GateConfig) -> Verdict:
    """Judges one candidate. A rejection is a value, not a failure: this task fails only on a defect."""
    with stage(f"gate {evidence.candidate.name}") as summary:
        verdict = judge(evidence, config)
        failed = [result.criterion for result in verdict.results if result.outcome is not Outcome.APPROVED]
        summary.append(verdict.outcome.value + (f": {', '.join(dict.fromkeys(failed))}" if failed else ""))
        return verdict
