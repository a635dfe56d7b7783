"""A person's word on a promotion that the checks allow: a form on the flow run's page, under Resume."""

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
    """What the person says."""

    APPROVE = "approve"
    REJECT = "reject"


class Approval(RunInput):
    """The form. The word has no default, so that an empty form decides nothing."""

    word: Word = Field(description="Approve, and the alias moves; reject, and it stays.")
    reason: str = Field(default="", max_length=2000, description="Kept in the record.")
    who: str = Field(default="", max_length=200, description="Your name, kept in the record.")


def require_deployment() -> None:
    """Only a deployment's run can be suspended and started again. Raises: ConfigError."""
    if not deployment.id:
        raise ConfigError(
            found="a promotion with `approval` outside of a deployment",
            required="a run that can wait, of the deployment `promote/promote`",
            remedy="run `paddle-int8 deploy`, then start it from Prefect's pages; or leave `approval` out",
        )


def ask(decision: Decision, *, timeout_h: float) -> Decision:
    """The decision with the person's word; the run ends here, and starts again from the top with the answer.

    The word counts for this version over this champion: when either has changed meanwhile, it is asked for
    again. Raises: ConfigError outside of a deployment.
    """
    require_deployment()
    form = Approval.with_initial_data(description=markdown(decision))
    about = f"version-{decision.to_version}-on-{decision.basis}"
    answer = suspend_flow_run(wait_for_input=form, timeout=round(timeout_h * 3600), key=about)
    return answered(decision, answer)


def answered(decision: Decision, answer: Approval) -> Decision:
    """The decision as the person made it."""
    word = {Word.APPROVE: DecisionOutcome.DONE, Word.REJECT: DecisionOutcome.DECLINED}[answer.word]
    reason = ". ".join(filter(None, (decision.reason, answer.reason)))
    return replace(decision, outcome=word, who=answer.who or decision.who, reason=reason)
