"""Requests a second with 1, 2 and 4 predictors side by side, in one process and in several:

    python -m benchmarks.serving.predictors --models offline qdq gru

A predictor has a thread of its own; those of one process share the weights (`PADDLE_INT8_PREDICTORS`). The
ways take turns, in another order each time. A ratio is the median over turns of the rate beside that of a
single predictor in the same turn, so that other work on the machine touches all alike. Every answer is held
to that of a predictor on its own.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from benchmarks.serving.models import MODELS, Served, build, digest, serial_answers
from benchmarks.serving.server import memory_mib
from paddle_int8.tasks.process.isolated import run_isolated

COUNTS = (1, 2, 4)
CLIENTS = 8
TIMEOUT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """So many processes with so many predictors each."""

    processes: int
    predictors: int

    def __str__(self) -> str:
        return f"{self.processes} × {self.predictors}"


ALONE = Way(processes=1, predictors=1)
WAYS = (
    *(Way(processes=1, predictors=count) for count in COUNTS),
    *(Way(processes=count, predictors=1) for count in COUNTS[1:]),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one way answered of one set of requests.

    memory_mib: resident memory of its processes together.
    """

    rate: float
    right: int
    memory_mib: float


def answer(served: Served, predictors: int, pipe: Connection) -> None:
    """Runs a process that answers the requests whose indices it is sent, until it is sent None."""
    from paddle_int8.tasks.engines.paddle.serving import open_bundle

    shared = open_bundle(served.bundle, predictors=predictors)
    feeds = [served.request(index) for index in range(pipe.recv())]
    with ThreadPoolExecutor(CLIENTS) as clients:
        while (indices := pipe.recv()) is not None:
            answers = list(clients.map(lambda index: shared.run(feeds[index]), indices))
            pipe.send(True)
            pipe.send(([digest(each) for each in answers], memory_mib(os.getpid())))


@contextmanager
def opened(served: Served, way: Way, requests: int) -> Iterator[list[Connection]]:
    """A pipe to each process of the way."""
    context, pipes, processes = get_context("spawn"), [], []
    for _ in range(way.processes):
        own, theirs = context.Pipe()
        processes.append(context.Process(target=answer, args=(served, way.predictors, theirs), daemon=True))
        processes[-1].start()
        theirs.close()
        own.send(requests)
        pipes.append(own)
    try:
        yield pipes
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join(10)
            process.kill()


def take_turn(pipes: Sequence[Connection], wanted: Sequence[str]) -> Turn:
    """Has the processes of one way answer all requests, each its share."""
    shares = [list(range(place, len(wanted), len(pipes))) for place in range(len(pipes))]
    started = time.monotonic()
    for pipe, share in zip(pipes, shares, strict=True):
        pipe.send(share)
    for pipe in pipes:
        pipe.recv()
    seconds = time.monotonic() - started
    said = [pipe.recv() for pipe in pipes]
    right = sum(
        found == wanted[index]
        for share, (answers, _) in zip(shares, said, strict=True)
        for index, found in zip(share, answers, strict=True)
    )
    return Turn(rate=len(wanted) / seconds, right=right, memory_mib=sum(memory for _, memory in said))


def compare(served: Served, requests: int, turns: int, log: Path) -> dict[Way, list[Turn]]:
    """Every way's turns; a first turn, in which kernels are built, is not counted."""
    wanted = run_isolated(serial_answers, served, requests, step="answer", log=log, timeout_s=TIMEOUT_S)
    found: dict[Way, list[Turn]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        pipes = {way: stack.enter_context(opened(served, way, requests)) for way in WAYS}
        for turn in range(1 + turns):
            for way in random.sample(WAYS, len(WAYS)):
                taken = take_turn(pipes[way], wanted)
                if turn:
                    found[way].append(taken)
    return found


def rows(served: Served, requests: int, found: dict[Way, list[Turn]]) -> Iterator[str]:
    """The lines of the table."""
    for way, turns in found.items():
        ratios = [each.rate / alone.rate for each, alone in zip(turns, found[ALONE], strict=True)]
        right = sum(each.right for each in turns)
        yield (
            f"| {served.name} | {way} | {median(each.rate for each in turns):.0f}"
            f" | {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            f" | {turns[-1].memory_mib:.0f} | {right:,} of {requests * len(turns):,} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    arguments = parser.parse_args()
    print(  # noqa: T201
        "| model | processes × predictors in each | requests a second | beside one predictor | MiB "
        "| right answers |\n|---|---|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="paddle-int8-") as name:
        folder = Path(name)
        for served in build(folder, arguments.models).values():
            found = compare(served, arguments.requests, arguments.turns, folder / "serial.log")
            print(*rows(served, arguments.requests, found), sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
