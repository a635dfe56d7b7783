"""Compares a registered model in MLflow's server and in Triton with its own predictor:

    python -m benchmarks.serving.latency digits-mobilenet-v1 --triton .envs/triton

It starts `mlflow models serve` on the version at the alias and Triton on its bundle
(`benchmarks/serving/triton.py` says what its environment holds), and sends both the bundle's example. The
first answers are checked to be equal to the predictor's, and are not counted. The ways take turns: in each of
ten rounds, one client sends its requests one after another, and then four clients send as many at the same
time. The bundle's predictor answers the same in a process of its own. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks.latencies import own_latencies, timed
from benchmarks.serving.open_inference import ask_binary, ask_json
from benchmarks.serving.server import output_dtypes, over_http, serving
from benchmarks.serving.triton import MODEL, triton
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.export import export_bundle

ROUNDS = 10
CLIENTS = 4
PREDICTOR = "the predictor, without a server"

Asking = Callable[[], list[Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to ask a server, and what was measured of it.

    asking: asks once, and returns the answer's outputs in order.
    latencies: milliseconds of requests one after another.
    rates: requests a second of `CLIENTS` clients, one value a round.
    """

    name: str
    asking: Asking
    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def take_turn(self, requests: int, pool: ThreadPoolExecutor) -> None:
        self.latencies.extend(timed(self.asking, requests))
        started = time.perf_counter()
        for asked in [pool.submit(self.asking) for _ in range(requests)]:
            asked.result()
        self.rates.append(requests / (time.perf_counter() - started))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--alias", default="champion")
    parser.add_argument("--repeats", type=int, default=500, help="requests of each way, one after another")
    parser.add_argument("--triton", type=Path, help="virtual environment with Triton; left out, no Triton")
    arguments = parser.parse_args()

    settings, repeats = Settings(), arguments.repeats
    with tempfile.TemporaryDirectory(prefix="paddle-int8-") as name, ExitStack() as stack:
        folder = Path(name)
        bundle = export_bundle(
            settings.tracking_uri, arguments.model, folder / "bundle", version=None, alias=arguments.alias
        ).folder
        with np.load(bundle / "example_input.npz") as stored:
            feed = dict(stored)
        answer, own = run_isolated(
            own_latencies,
            bundle,
            feed,
            repeats,
            step="predictor",
            log=folder / "predictor.log",
            timeout_s=600,
        )
        model_uri = f"models:/{arguments.model}@{arguments.alias}"
        ways = stack.enter_context(mlflow_ways(model_uri, settings.tracking_uri, bundle, feed, folder))
        if arguments.triton:
            ways += stack.enter_context(triton_ways(bundle, feed, folder, arguments.triton))
        measure(ways, answer, repeats)
    shapes = ", ".join(f"{name} {list(values.shape)}" for name, values in feed.items())
    print(f"{shapes}, {repeats} requests one after another, {CLIENTS} clients")  # noqa: T201
    print("| | p50, ms | p99, ms | requests a second of all clients |\n|---|---|---|---|")  # noqa: T201
    for title, latencies, rates in (
        (PREDICTOR, own, []),
        *((way.name, way.latencies, way.rates) for way in ways),
    ):
        p50, p99 = np.quantile(latencies, (0.5, 0.99))
        print(f"| {title} | {p50:.2f} | {p99:.2f} | {f'{np.median(rates):.0f}' if rates else ''} |")  # noqa: T201


def measure(ways: list[Way], answer: list[Array], repeats: int) -> None:
    """Has the ways take turns. Those that answer nothing, such as an empty request, are not compared.

    Raises: AssertionError if an answer is not the predictor's.
    """
    for way in ways:
        for found, expected in zip(way.asking(), answer, strict=False):
            np.testing.assert_array_equal(np.asarray(found, expected.dtype), expected)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS):
            for way in ways:
                way.take_turn(max(1, repeats // ROUNDS), pool)


@contextmanager
def mlflow_ways(
    model_uri: str, tracking_uri: str, bundle: Path, feed: Feed, folder: Path
) -> Iterator[list[Way]]:
    """MLflow's server while the context is open: an empty request, and the model's."""
    dtypes = output_dtypes(bundle)
    with (
        serving(model_uri, tracking_uri, folder / "serving.log") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):

        def empty() -> list[Array]:
            client.get("/ping").raise_for_status()
            return []

        yield [
            Way(name="MLflow's server, an empty request", asking=empty),
            Way(name="MLflow's server", asking=lambda: over_http(client, feed, dtypes)),
        ]


@contextmanager
def triton_ways(bundle: Path, feed: Feed, folder: Path, environment: Path) -> Iterator[list[Way]]:
    """Triton while the context is open: an empty request, tensors as JSON, and as bytes."""
    with (
        triton(bundle, folder / "triton", environment) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):

        def empty() -> list[Array]:
            client.get("/v2/health/live").raise_for_status()
            return []

        yield [
            Way(name="Triton, an empty request", asking=empty),
            Way(name="Triton, JSON", asking=lambda: list(ask_json(client, MODEL, feed).values())),
            Way(name="Triton, binary tensors", asking=lambda: list(ask_binary(client, MODEL, feed).values())),
        ]


if __name__ == "__main__":
    from benchmarks.serving.latency import main as run  # isolated processes import functions by module

    run()
