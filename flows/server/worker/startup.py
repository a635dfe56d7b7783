"""Starts a Prefect worker, which runs the flow runs that are scheduled for this host."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.process import temporary
from paddle_int8.tasks.store.room import require_room

DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",  # Prefect's own default is every interface
}


def become_worker(settings: Settings, *, pool: str, limit: int, health_port: int) -> NoReturn:
    """Replaces this process with Prefect's worker, so that signals reach the worker itself.

    Each flow run starts in a folder of its own, so relative paths of the settings are made absolute.
    Raises: ConfigError when no Prefect server is set; StorageError when the home folder or every temporary
    folder cannot be written.
    """
    settings.require_prefect_server()
    folder = temporary.of_user()
    require_room(settings.root)
    environment = DEFAULTS | os.environ
    environment |= {
        "TMPDIR": str(folder),  # Prefect's folder runner_storage in it must belong to this user
        "PADDLE_INT8_HOME": str(settings.root),
        "PADDLE_INT8_CONFIGS": str(settings.configs.expanduser().resolve()),
        "PREFECT_WORKER_WEBSERVER_PORT": str(health_port),
    }
    environment.setdefault("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(settings.store / "results"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` makes programs ignore SIGINT
    options = f"--pool {pool} --type process --limit {limit} --install-policy never --with-healthcheck"
    os.execve(
        sys.executable,
        [
            sys.executable,
            "-m",
            "paddle_int8.flows.server.worker.process",
            "--no-prompt",
            "worker",
            "start",
            *options.split(),
        ],
        environment,
    )
