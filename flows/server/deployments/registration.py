"""Puts the work pools and the deployments of `prefect.yaml` onto a Prefect server, without any question."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paddle_int8.flows.server.deployments import pools
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError, RegistryError
from paddle_int8.tasks.tracking.connection import redact

TIMEOUT_S = 300
LAST_CHARACTERS = 2000
POOL_VARIABLE = "PADDLE_INT8_POOL"
"""The variable by which `prefect.yaml` gets the pool of deployments that need no certain instruction set."""


def deploy(settings: Settings, file: Path, pool: str) -> str:
    """Creates missing work pools, registers all deployments in `file`, and sets up the automations.

    Returns what Prefect printed. Repeating it is safe: what exists is updated, and a paused schedule stays
    paused.
    Raises: ConfigError when no server is set or there is no file; RegistryError when the server refuses.
    """
    settings.require_prefect_server()
    if not file.is_file():
        raise ConfigError(
            found=f"no {file}", required="the project's prefect.yaml", remedy="run it there, or give `--file`"
        )
    _create_pools()
    command = ["--no-prompt", "deploy", "--all", "--prefect-file", str(file.resolve())]
    ended = subprocess.run(
        [sys.executable, "-m", "prefect", *command],
        cwd=file.resolve().parent,
        env={**os.environ, POOL_VARIABLE: pool},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    if ended.returncode:
        raise _refused(ended.stdout[-LAST_CHARACTERS:])
    from paddle_int8.flows.server.automations.lost_heartbeat import watch

    watch()
    if settings.notify_url:
        from paddle_int8.flows.server.automations.notification import notify

        notify(settings.notify_url)
    return ended.stdout


def _create_pools() -> None:
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    try:
        with get_client(sync_client=True) as client:
            for name in pools.NAMES:
                pool = WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template)
                try:
                    client.create_work_pool(pool)
                except ObjectAlreadyExists:
                    continue
    except httpx.HTTPError as error:
        raise _refused(str(error) or type(error).__name__) from error


def _refused(found: str) -> RegistryError:
    return RegistryError(
        found=redact(found.strip()),
        required="a Prefect server that answers and accepts the deployments",
        remedy="check PREFECT_API_URL and PREFECT_API_AUTH_STRING; its /api/health tells whether it runs",
    )
