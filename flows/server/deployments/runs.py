"""Starts runs of this project's deployments on the Prefect server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import RegistryError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient


async def start(deployment: str, parameters: dict[str, object], *, name: str, key: str) -> str:
    """Starts a flow run called `name` and returns its id. If one has the same `key`, returns that one's id.

    Raises: RegistryError when there is no such deployment, or Prefect cannot be reached.
    """
    async with _asked(deployment) as client:
        found = await client.read_deployment_by_name(deployment)
        run = await client.create_flow_run_from_deployment(
            found.id, parameters=parameters, name=name, idempotency_key=key
        )
    return str(run.id)


async def require(deployment: str) -> None:
    """Checks that the deployment exists.

    Raises: RegistryError when there is no such deployment, or Prefect cannot be reached.
    """
    async with _asked(deployment) as client:
        await client.read_deployment_by_name(deployment)


@asynccontextmanager
async def _asked(deployment: str) -> AsyncIterator[PrefectClient]:
    import httpx
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound, PrefectException

    try:
        async with get_client() as client:
            yield client
    except ObjectNotFound as error:
        raise RegistryError(
            found=f"no deployment {deployment} on the Prefect server",
            required="the project's deployments",
            remedy="run `paddle-int8 deploy`",
        ) from error
    except (PrefectException, httpx.HTTPError) as error:
        raise RegistryError(
            found=f"Prefect did not answer: {type(error).__name__}: {error}",
            required="a Prefect server at PREFECT_API_URL",
            remedy="start it; the next reconciliation finds the promotions of FP32 models that were missed",
        ) from error
