"""The flow that makes a version the champion, if its checks allow it."""

from __future__ import annotations

from prefect import flow

from paddle_int8.flows.server.approval import ask
from paddle_int8.flows.server.events import Happening, announce_decision, failure_announced
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.process import isolated as process
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.request import PromoteRequest
from paddle_int8.tasks.promotion.task import assess_promotion, settle


@flow(name="promote", flow_run_name="{request.model}", persist_result=False)
def promote(request: Parameter[PromoteRequest]) -> Decision:
    """Checks the version, records the decision, and moves the alias.

    The checks are: the gate's verdict, unchanged files, the instruction sets, and the comparison with the
    present champion. With `approval`, the flow waits for a person's answer after the checks, and checks again
    when the answer has come.
    Raises: PipelineError when there is nothing to promote, or MLflow cannot be reached.
    """
    process.warm_up()
    with failure_announced(request.model, Happening.NOT_PROMOTED):
        decision = assess_promotion(request)
        if request.approval and decision.outcome is DecisionOutcome.DONE:
            decision = ask(decision, timeout_h=request.approval_timeout_h)
        settled = settle(decision)
    announce_decision(settled)
    return settled
