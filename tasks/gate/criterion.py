"""The type of a criterion of the gate, and the function that builds one line of a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome

Criterion = Callable[[CandidateEvidence, GateConfig], Iterable[CriterionResult]]


def stated(
    criterion: str, isa: IsaLevel | None, outcome: Outcome, *, found: str, required: str, remedy: str
) -> CriterionResult:
    """Builds one line of a verdict. The remedy is left out when the outcome is approved."""
    return CriterionResult(
        criterion=criterion,
        isa=isa,
        outcome=outcome,
        found=found,
        required=required,
        remedy="" if outcome is Outcome.APPROVED else remedy,
    )
