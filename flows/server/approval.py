"""Asks a person to approve a promotion, with a form under Resume on the flow run's page in Prefect."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.summary import markdown


class Word(StrEnum):
    """The person's answer."""

    APPROVE = "approve"
    REJECT = "reject"


class Approval(RunInput):
    """The form. `word` has no default, so that an empty form decides nothing."""

    word: Word = Field(description="`approve` moves the alias; `reject` leaves it where it is.")
    reason: str = Field(default="", max_length=2000, description="Why; kept in the record.")
    who: str = Field(default="", max_length=200, description="Your name; kept in the record.")


def require_deployment() -> None:
    """Checks that this is a run of a deployment. Only such a run can be suspended and started again.

    Raises: ConfigError when it is not.
    """
    if not deployment.id:
        raise ConfigError(
            found="a promotion with `approval` outside of a deployment",
            required="a run that can wait, of the deployment `promote/promote`",
            remedy="run `paddle-int8 deploy`, then start it from Prefect's pages; or leave `approval` out",
        )


def ask(decision: Decision, *, timeout_h: float) -> Decision:
    """Waits for a person's answer and returns the decision with it.

    Prefect ends the run here, and starts it again from its first line once there is an answer. The answer
    counts for this version and the present champion only. If either has changed meanwhile, the question is
    asked again.
    Raises: ConfigError when the run is not a deployment's.
    """
    require_deployment()
    form = Approval.with_initial_data(description=markdown(decision))
    about = f"version-{decision.to_version}-on-{decision.basis}"
    answer = suspend_flow_run(wait_for_input=form, timeout=round(timeout_h * 3600), key=about)
    return answered(decision, answer)


def answered(decision: Decision, answer: Approval) -> Decision:
    """The decision with the person's answer, reason and name."""
    word = {Word.APPROVE: DecisionOutcome.DONE, Word.REJECT: DecisionOutcome.DECLINED}[answer.word]
    reason = ". ".join(filter(None, (decision.reason, answer.reason)))
    return replace(decision, outcome=word, who=answer.who or decision.who, reason=reason)
