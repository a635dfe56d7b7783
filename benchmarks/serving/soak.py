"""Many clients, each request another, and every answer is compared with that of one predictor on its own:

    python -m benchmarks.serving.soak --requests 10000

For each model, 16 clients send the requests to the pyfunc in one process, and to `mlflow models serve` over
HTTP. Batches of 1 to 33 samples and pictures of nine sizes, or sentences of 1 to 39 words, take turns. An
answer is right when it is bit-equal to the answer that a predictor of a process of its own gave to the same
request. Memory is the server's resident memory; it settles in the first fifth of the requests, and its growth
from there on is the slope of a line through twelve means, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.serving.models import MODELS, Served, build, digest, serial_answers
from benchmarks.serving.server import memory_mib, output_dtypes, over_http, serving
from benchmarks.trend import trend
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.process.isolated import run_isolated

CLIENTS = 16
WATCHES = 60
"""How often memory is looked at in one soak."""
SETTLED = 0.2
TIMEOUT_S = 4 * 3600

Answering = Callable[[Feed], list[Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What became of the requests.

    memory: after how many answers the process, or the server, held how many MiB.
    errors: what was said of requests that got no answer, the first few.
    """

    model: str
    through: str
    requests: int
    right: int
    seconds: float
    memory: tuple[tuple[float, float], ...]
    errors: tuple[str, ...]

    @property
    def settled(self) -> list[tuple[float, float]]:
        return [point for point in self.memory if point[0] >= SETTLED * self.requests]


def soak_pyfunc(served: Served, wanted: list[str], clients: int) -> Soak:
    """Clients are threads of one process that has loaded the MLflow model. Isolated process."""
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(served.model))

    def answer(feed: Feed) -> list[Array]:
        return list(model.predict(feed).values())

    return _soaked(served, wanted, clients, lambda: itertools.repeat(answer), "pyfunc", os.getpid())


def soak_http(served: Served, wanted: list[str], clients: int, log: Path) -> Soak:
    """Clients are threads with a connection each to `mlflow models serve`."""
    dtypes = output_dtypes(served.bundle)
    with serving(str(served.model), f"sqlite:///{log.parent}/mlflow.db", log) as server:

        def connected() -> Iterator[Answering]:
            with httpx.Client(base_url=server.url, timeout=600) as client:
                yield from itertools.repeat(lambda feed: over_http(client, feed, dtypes))

        return _soaked(served, wanted, clients, connected, "mlflow models serve", server.pid)


def _soaked(
    served: Served,
    wanted: list[str],
    clients: int,
    answering: Callable[[], Iterator[Answering]],
    through: str,
    pid: int,
) -> Soak:
    """Has clients at once send all requests.

    answering: for each client, the function that it asks for every request.
    """
    indices, every = iter(range(len(wanted))), max(1, len(wanted) // WATCHES)
    errors: list[str] = []
    memory: list[tuple[float, float]] = []
    taking, start = threading.Lock(), threading.Barrier(clients)

    def client() -> int:
        own = 0
        start.wait()
        for answer in answering():
            with taking:
                index = next(indices, None)
                if index is not None and index % every == 0:
                    memory.append((float(index), memory_mib(pid)))
            if index is None:
                return own
            try:
                own += digest(answer(served.request(index))) == wanted[index]
            except Exception as error:  # noqa: BLE001 - a request without an answer is what is looked for
                errors.append(f"request {index}: {type(error).__name__}: {error}")
        return own

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        found = sum(future.result() for future in [pool.submit(client) for _ in range(clients)])
    seconds = time.monotonic() - started
    memory.append((float(len(wanted)), memory_mib(pid)))
    return Soak(
        model=served.name,
        through=through,
        requests=len(wanted),
        right=found,
        seconds=seconds,
        memory=tuple(memory),
        errors=tuple(errors[:5]),
    )


def soaks(
    served: Served, requests: int, folder: Path, *, clients: int = CLIENTS, through: tuple[str, ...]
) -> Iterator[Soak]:
    """One model through the pyfunc and over HTTP."""
    wanted = run_isolated(
        serial_answers, served, requests, step="answer", log=folder / "serial.log", timeout_s=TIMEOUT_S
    )
    if "pyfunc" in through:
        yield run_isolated(
            soak_pyfunc, served, wanted, clients, step="soak", log=folder / "pyfunc.log", timeout_s=TIMEOUT_S
        )
    if "http" in through:
        yield soak_http(served, wanted, clients, folder / "serving.log")


def row(soak: Soak) -> str:
    """One line of the table."""
    settled = soak.settled
    growth = trend([(index / 1000, mib) for index, mib in settled])
    return (
        f"| {soak.model} | {soak.through} | {soak.right:,} of {soak.requests:,} | {soak.seconds:.0f} s"
        f" | {soak.requests / soak.seconds:.0f} | {soak.memory[0][1]:.0f}, {settled[0][1]:.0f},"
        f" {settled[-1][1]:.0f} | {growth.per_step:+.2f} ({growth.lower:+.2f} to {growth.upper:+.2f}) |"
    )


HEAD = (
    "| model | through | right answers | time | requests a second | MiB: first, settled, last "
    "| MiB per 1,000 requests (95 % interval) |\n|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--through", nargs="+", choices=("pyfunc", "http"), default=("pyfunc", "http"))
    arguments = parser.parse_args()
    print(HEAD, flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="paddle-int8-") as name:
        folder = Path(name)
        for served in build(folder, arguments.models).values():
            through = tuple(arguments.through)
            for soak in soaks(served, arguments.requests, folder, clients=arguments.clients, through=through):
                print(row(soak), *soak.errors, sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    from benchmarks.serving.soak import main as run  # isolated processes import functions by module

    run()
