"""Runs a candidate and its baseline with another Paddle, in that Paddle's own environment, as it is asked.

`python -I runtime_child.py CONNECTION ROOT SERVING` needs NumPy and Paddle only, and Python 3.11. Of this
project it imports `SERVING`, the file that every bundle has, and modules below `ROOT` that need no more.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array, Feed
    from paddle_int8.tasks.engines.engine import Predictor

STDOUT = 1


class Models:
    """The models that were opened, by what they are to the measurement."""

    def __init__(self, serving: ModuleType) -> None:
        self._serving = serving
        self._opened: dict[str, Predictor] = {}

    def open(self, name: str, folder: str, switches: dict[str, object], threads: int, feed: Feed) -> float:
        """Opens a model and runs it once; returns the milliseconds that both took."""
        import paddle  # noqa: F401 - its import is not the model's time

        started = time.perf_counter()
        program = Path(folder, "model.pdmodel")
        config = self._serving.paddle_config(program, program.with_suffix(".pdiparams"), switches, threads)
        self._opened[name] = self._serving.opened(config, switches)
        self._opened[name].run(feed)
        return (time.perf_counter() - started) * 1e3

    def run(self, name: str, feed: Feed) -> list[Array]:
        return self._opened[name].run(feed)

    def isa(self) -> str:
        """The instruction set that oneDNN uses, in this project's names."""
        from paddle_int8.tasks.hardware.onednn import effective_isa

        return effective_isa().value

    def cpu_s(self) -> float:
        """CPU time of this process."""
        return time.process_time()

    def peak_memory_bytes(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def time(
        self, feeds: list[Feed], threads: int, warmup: int, rounds: int, calls: int, seed: int
    ) -> tuple[dict[str, Array], float, float]:
        """Milliseconds of each timed call, [rounds * calls] by model, in turns; the seconds of all calls, and
        how many of these they waited for a CPU."""
        from paddle_int8.tasks.validation.latency import interleave
        from paddle_int8.tasks.validation.stopwatch import Stopwatch

        def run_all(model: Predictor) -> None:
            for feed in feeds:
                model.run(feed)

        runs = {name: partial(run_all, model) for name, model in self._opened.items()}
        for run in runs.values():
            run()  # builds the kernels of every shape
        with Stopwatch(threads) as watch:
            found = interleave(runs, watch, warmup=warmup, rounds=rounds, calls=calls, seed=seed)
        return found, watch.seconds, watch.waited_s

    def verbose(self, name: str, feed: Feed, inferences: int) -> list[str]:
        """oneDNN's log of so many inferences."""
        from paddle_int8.tasks.hardware.onednn import set_verbose

        saved = os.dup(STDOUT)
        with tempfile.TemporaryFile() as capture:
            os.dup2(capture.fileno(), STDOUT)
            set_verbose(1)
            try:
                for _ in range(inferences):
                    self._opened[name].run(feed)
            finally:
                set_verbose(0)
                flush_native()
                os.dup2(saved, STDOUT)
            capture.seek(0)
            return capture.read().decode(errors="replace").splitlines()


def flush_native() -> None:
    """Writes out what native code has printed to its standard output."""
    import ctypes

    ctypes.CDLL(None).fflush(None)


def answer(function: Callable[..., object], arguments: tuple[object, ...]) -> tuple[str, object]:
    try:
        return "found", function(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side must hear of it
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return "failed", f"{type(error).__name__}: {lines[-1] if lines else ''}"


def main(descriptor: str, root: str, serving: str) -> None:
    import numpy  # noqa: F401 - before Paddle, whose zlib otherwise crashes the interpreter

    sys.path.append(root)  # behind the environment's own packages
    spec = importlib.util.spec_from_file_location("serving", serving)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    models = Models(module)
    with Connection(int(descriptor)) as connection:
        while True:
            try:
                name, arguments = connection.recv()
            except EOFError:
                return
            connection.send(answer(getattr(models, name), arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
