"""The flow that makes the previous champion champion again."""

from __future__ import annotations

from prefect import flow

from paddle_int8.flows.server.events import Happening, announce_decision, failure_announced
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.process import isolated as process
from paddle_int8.tasks.promotion.decision import Decision
from paddle_int8.tasks.promotion.request import RollbackRequest
from paddle_int8.tasks.promotion.task import assess_rollback, settle


@flow(name="rollback", flow_run_name="{request.model}", persist_result=False)
def rollback(request: Parameter[RollbackRequest]) -> Decision:
    """Checks that the previous champion's files are unchanged, records the decision, and moves the alias.

    Raises: PipelineError when there is no champion, or MLflow cannot be reached.
    """
    process.warm_up()
    with failure_announced(request.model, Happening.NOT_ROLLED_BACK):
        settled = settle(assess_rollback(request))
    announce_decision(settled)
    return settled
