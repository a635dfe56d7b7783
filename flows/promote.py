"""Moves a champion's alias to a version that has proven itself."""

from __future__ import annotations

from prefect import flow

from tasks import process
from tasks.artifacts import Decision
from tasks.promotion.request import PromoteRequest
from tasks.promotion.task import assess_promotion, settle


@flow(name="promote", flow_run_name="{request.model}", persist_result=False)
def promote(request: PromoteRequest) -> Decision:
    """Checks verdict, bytes, instruction set and the champion; records the decision; moves the alias.

    Raises: PipelineError when there is nothing to promote, or MLflow cannot be reached.
    """
    process.warm_up()
    return settle(assess_promotion(request))
