"""Serves Prefect's and MLflow's pages from the local databases."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

from paddle_int8.tasks.config.settings import Settings

TRAINED_MODELS = "#/experiments?workflowType=machine_learning"
"""MLflow's pages of trained models; by itself it opens those of language models, which hide the registry."""


def serve_pages(
    settings: Settings, *, prefect_port: int, mlflow_port: int, say: Callable[[str], None]
) -> None:
    """Serves the pages of both on loopback until interrupted. When one server ends, the other is ended."""
    prefect = f"prefect server start --host 127.0.0.1 --port {prefect_port}"
    mlflow = f"mlflow server --host 127.0.0.1 --port {mlflow_port} --workers 1 --backend-store-uri"
    registry = ["--registry-store-uri", settings.mlflow_registry_uri] if settings.mlflow_registry_uri else []
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "PREFECT_UI_API_URL": f"http://127.0.0.1:{prefect_port}/api"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in (prefect.split(), [*mlflow.split(), settings.tracking_uri, *registry])
    ]
    say(
        f"Prefect  http://127.0.0.1:{prefect_port}\n"
        f"MLflow   http://127.0.0.1:{mlflow_port}/{TRAINED_MODELS}\n"
        "Ctrl-C ends both"
    )
    try:
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(timeout=15)
