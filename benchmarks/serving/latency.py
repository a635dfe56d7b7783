"""Compares a registered model over HTTP with its own predictor: `python -m benchmarks.serving.latency MODEL`.

It starts `mlflow models serve` on the version at the alias, sends it the bundle's example, one request at a
time, and has the bundle's predictor answer the same in a process of its own. The first answers are checked to
be equal, and are not counted. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import httpx
import numpy as np

from benchmarks.latencies import own_latencies, timed
from benchmarks.serving.server import serving
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.export import export_bundle


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
            serving(model_uri, tracking_uri, folder / "serving.log") as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
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


if __name__ == "__main__":
    from benchmarks.serving.latency import main as run  # isolated processes import functions by module

    run()
