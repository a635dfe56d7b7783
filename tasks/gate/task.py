"""The gate as a Prefect task."""

from __future__ import annotations

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.steps.step import stage, step


@step(name="gate", task_run_name="gate {evidence.candidate.name}")
def gate(evidence: CandidateEvidence, config: GateConfig) -> Verdict:
    """The verdict on one candidate. A rejection is a value: this task only fails on a defect."""
    with stage(f"gate {evidence.candidate.name}") as summary:
        verdict = judge(evidence, config)
        failed = [result.criterion for result in verdict.results if result.outcome is not Outcome.APPROVED]
        summary.append(verdict.outcome.value + (f": {', '.join(dict.fromkeys(failed))}" if failed else ""))
        return verdict
