"""Compares a registered model over HTTP with its own predictor: `python -m benchmarks.serving MODEL`.

It starts `mlflow models serve` on the version at the alias, sends it the bundle's example, one request at a
time, and has the bundle's predictor answer the same in a process of its own. The first answers are checked to
be equal, and are not counted. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np

from benchmarks.latencies import own_latencies, timed
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.export import export_bundle

READY_S = 120


@contextmanager
def serving(model_uri: str, tracking_uri: str, log: Path) -> Iterator[str]:
    """Runs `mlflow models serve` on loopback while the context is open, and yields its address."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",  # MLflow looks for uvicorn there
    }
    options = f"--env-manager local --host 127.0.0.1 --port {port}".split()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(programs / "mlflow"), "models", "serve", "--model-uri", model_uri, *options],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(server, url, log)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--alias", default="champion")
    parser.add_argument("--repeats", type=int, default=300)
    arguments = parser.parse_args()

    tracking_uri = Settings().tracking_uri
    with tempfile.TemporaryDirectory(prefix="paddle-int8-") as name:
        folder = Path(name)
        bundle = export_bundle(
            tracking_uri, arguments.model, folder / "bundle", version=None, alias=arguments.alias
        ).folder
        with np.load(bundle / "example_input.npz") as stored:
            feed = dict(stored)
        answer, own = run_isolated(
            own_latencies,
            bundle,
            feed,
            arguments.repeats,
            step="predictor",
            log=folder / "predictor.log",
            timeout_s=600,
        )
        body = {"inputs": {key: values.tolist() for key, values in feed.items()}}
        model_uri = f"models:/{arguments.model}@{arguments.alias}"
        with (
            serving(model_uri, tracking_uri, folder / "serving.log") as url,
            httpx.Client(base_url=url, timeout=60) as client,
        ):
            said = client.post("/invocations", json=body).raise_for_status().json()["predictions"]
            for expected, found in zip(answer, said.values(), strict=True):
                np.testing.assert_array_equal(np.asarray(found, expected.dtype), expected)
            ping = timed(lambda: client.get("/ping").raise_for_status(), arguments.repeats)
            http = timed(lambda: client.post("/invocations", json=body).raise_for_status(), arguments.repeats)
    _print(
        {"predictor": own, "HTTP, an empty request": ping, "HTTP, the model": http}, feed, arguments.repeats
    )


def _print(latencies: dict[str, list[float]], feed: Feed, repeats: int) -> None:
    shapes = ", ".join(f"{name} {list(values.shape)}" for name, values in feed.items())
    print(f"{shapes}, {repeats} requests one after another, ms")  # noqa: T201
    print("| | p50 | p99 |\n|---|---|---|")  # noqa: T201
    for name, values in latencies.items():
        p50, p99 = np.quantile(values, (0.5, 0.99))
        print(f"| {name} | {p50:.2f} | {p99:.2f} |")  # noqa: T201


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/ping", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"the server does not answer:\n{log.read_text(encoding='utf-8')[-2000:]}")


if __name__ == "__main__":
    main()
