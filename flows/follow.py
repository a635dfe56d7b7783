"""The flow that releases a promoted version of an FP32 model, once for each release that follows it."""

from __future__ import annotations

from prefect import flow

from paddle_int8.flows.release import release
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.following.followers import pinned
from paddle_int8.tasks.following.request import FollowRequest
from paddle_int8.tasks.following.task import open_releases
from paddle_int8.tasks.tracking.source import SourceVersion


@flow(name="follow", flow_run_name="{request.model} version {request.version}", persist_result=False)
def follow(request: Parameter[FollowRequest]) -> tuple[Release, ...]:
    """Runs the releases that follow the model and have no verdict on this version yet.

    When a release fails, the others still run.
    Raises: the PipelineError of the first release that failed; ConfigError when no release follows the model.
    """
    source = SourceVersion(model=request.model, version=str(request.version))
    made: list[Release] = []
    errors: list[PipelineError] = []
    for config in open_releases(request):
        try:
            made.append(release(pinned(config, source)))
        except PipelineError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return tuple(made)
