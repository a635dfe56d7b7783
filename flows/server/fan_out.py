"""Builds the candidates of a release in threads of the flow's host, or on a Dask cluster.

Only quantizing and converting run in parallel. Steps that measure time run on the flow's host, one at a time.

Prefect fixes the task runner of a flow in the flow's decorator. The configuration is known only inside the
flow, so the task runner that it asks for is started there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from paddle_int8.tasks.config.release import FanOut
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.steps.prefect_private import submitting_to
from paddle_int8.tasks.tracking.connection import redact

CONNECT_S = 10
ADDRESS = "PADDLE_INT8_DASK_SCHEDULER"


@contextmanager
def fanned_out(asked: FanOut | None) -> Iterator[None]:
    """While the context is open, the flow's tasks go to the task runner `asked`.

    When `asked` is None, they go to Dask if PADDLE_INT8_DASK_SCHEDULER is set, else to threads.
    Raises: ConfigError when Dask is needed, but has no address, does not answer, or prefect-dask is missing.
    """
    settings = Settings()
    address = settings.dask_scheduler
    with ExitStack() as started:
        if asked is FanOut.DASK or (asked is None and address is not None):
            runner = started.enter_context(_cluster(address))
        else:
            runner = started.enter_context(ThreadPoolTaskRunner(max_workers=settings.parallel_candidates))
        started.enter_context(submitting_to(runner))
        yield


@contextmanager
def _cluster(address: str | None) -> Iterator[TaskRunner[Any]]:
    if address is None:
        raise ConfigError(
            found=f"`task_runner: dask`, and no {ADDRESS}",
            required="the address of a Dask scheduler",
            remedy=f"set {ADDRESS}=tcp://host:8786 where the flow runs, or take `task_runner` out",
        )
    try:
        from distributed.comm.core import connect
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ConfigError(
            found=f"a Dask cluster is asked for, and no prefect-dask: {error}",
            required="prefect-dask",
            remedy=f"install paddle-int8[server], or take `task_runner` and {ADDRESS} out",
        ) from error

    async def greet() -> None:
        """Connects with a time limit; Dask's own client waits for ever if the peer never replies."""
        greeting: Any = connect  # distributed has no types
        (await asyncio.wait_for(greeting(address, timeout=CONNECT_S), CONNECT_S)).abort()

    try:
        asyncio.run(greet())
    except (OSError, ValueError) as error:
        raise ConfigError(
            found=f"no Dask scheduler at {redact(address)}: {str(error) or 'no word of it'}",
            required=f"one that answers within {CONNECT_S} s",
            remedy=f"start `dask scheduler`, or correct {ADDRESS}",
        ) from error
    with DaskTaskRunner(address=address) as runner:
        yield runner
