"""Runs `mlflow models serve` on loopback, asks it, and says how much memory it takes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import psutil

from paddle_int8.tasks.contracts.arrays import Array, Feed

READY_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers at `url`, with the id of its first process."""

    url: str
    pid: int

    def memory_mib(self) -> float:
        """Resident memory of its processes together, in MiB."""
        return memory_mib(self.pid)


def memory_mib(pid: int) -> float:
    """Resident memory of a process and of all below it, in MiB."""
    first, held = psutil.Process(pid), 0
    for each in (first, *first.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            held += each.memory_info().rss
    return held / 2**20


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    model_uri: str,
    tracking_uri: str,
    log: Path,
    *,
    variables: Mapping[str, str] | None = None,
    workers: int = 1,
) -> Iterator[Server]:
    """Runs `mlflow models serve` on loopback while the context is open.

    variables: of the environment, beside those of this process.
    workers: processes of the server, each with a model of its own.
    """
    port = free_port()
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",  # MLflow looks for uvicorn there
        **(variables or {}),
    }
    options = f"--env-manager local --host 127.0.0.1 --port {port} --workers {workers}".split()
    command = [str(programs / "mlflow"), "models", "serve", "--model-uri", model_uri, *options]
    with running(command, environment, f"http://127.0.0.1:{port}", "/ping", log) as server:
        yield server


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], url: str, health: str, log: Path
) -> Iterator[Server]:
    """Runs a server while the context is open, from when it answers at `health`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_ready(process, url + health, log)
        yield Server(url=url, pid=process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the server does not answer:\n{log.read_text(encoding='utf-8')[-2000:]}")


def over_http(client: httpx.Client, feed: Feed, dtypes: dict[str, str]) -> list[Array]:
    """The answer of MLflow's scoring server. Raises: RuntimeError with what it says of a refused request."""
    body = orjson.dumps({"inputs": feed}, option=orjson.OPT_SERIALIZE_NUMPY)
    response = client.post("/invocations", content=body, headers={"Content-Type": "application/json"})
    if response.status_code != httpx.codes.OK:
        raise RuntimeError(f"{response.status_code} {response.text[:300]}")
    said: dict[str, Any] = orjson.loads(response.content)["predictions"]
    return [np.asarray(said[name], dtype) for name, dtype in dtypes.items()]


def output_dtypes(bundle: Path) -> dict[str, str]:
    """The dtype of each output of a bundle, by name, in the order in which the predictor answers."""
    deployment = orjson.loads((bundle / "deployment.json").read_bytes())
    return {spec["name"]: spec["dtype"] for spec in deployment["outputs"]}
