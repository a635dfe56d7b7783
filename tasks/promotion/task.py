"""The Prefect tasks of promotion and rollback."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.promotion import assessment, ledger
from paddle_int8.tasks.promotion.decision import Decision
from paddle_int8.tasks.promotion.request import PromoteRequest, RollbackRequest
from paddle_int8.tasks.promotion.summary import markdown, sentence
from paddle_int8.tasks.steps.step import stage, step, step_log


@step(name="assess promotion")
def assess_promotion(request: PromoteRequest) -> Decision:
    """Checks the challenger. A refusal is a value, not a failure: this task fails only on a defect."""
    with stage("assess promotion") as summary:
        decision = assessment.assess_promotion(
            Settings().tracking_uri, request, log=step_log("assess-promotion")
        )
        summary.append(f"version {decision.to_version}: {decision.outcome.value}")
        return decision


@step(name="assess rollback")
def assess_rollback(request: RollbackRequest) -> Decision:
    """Finds the earlier champion, and checks that its files are still those that were judged."""
    with stage("assess rollback") as summary:
        decision = assessment.assess_rollback(
            Settings().tracking_uri, request, log=step_log("assess-rollback")
        )
        summary.append(f"to version {decision.to_version or 'none'}: {decision.outcome.value}")
        return decision


@step(name="settle", retries=2, retry_delay_seconds=2)
def settle(decision: Decision) -> Decision:
    """Writes the decision, then moves the alias as the records say. A retry writes nothing twice."""
    with stage("settle") as summary:
        settled = assessment.settle(Settings().tracking_uri, decision)
        create_markdown_artifact(
            markdown(settled), key="registry-decision", description=settled.outcome.value
        )
        summary.append(sentence(settled))
        return settled


@step(name="put aliases right", retries=2, retry_delay_seconds=2)
def put_aliases_right() -> list[str]:
    """Moves every alias that a dead process left behind to its champion. Returns a sentence for each."""
    with stage("put aliases right") as summary:
        uri, moved = Settings().tracking_uri, []
        for name, alias in ledger.left_behind_aliases(uri):
            version = ledger.follow_records(uri, name, alias)
            moved.append(f"{alias} of {name} is version {version}")
        summary.extend(moved)
        return moved
