"""Checks graphs in forked processes, where a crash is a finding and does not end the fuzzer."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzzing import shortcuts
from tests.fuzzing.checks import Checks, Finding, Result
from tests.fuzzing.graphs import Graph

CPU_LIMIT_S, LIMIT_S = 60, 900
"""The most seconds that one graph may take: of its own work, where the slowest take some five, and with the
waiting that a busy machine adds."""
STACKED = 50
"""How many graphs share a process. Starting one costs as much as a graph, and what a graph leaves behind in
it is found in this way."""


def check_all(graphs: Sequence[Callable[[], Graph]], *, int8: bool = True) -> Iterator[dict[str, Any]]:
    """A result for each graph, in order. Whatever fails in company is checked once more alone."""
    place = 0
    while place < len(graphs):
        results = _in_child(graphs[place : place + STACKED], int8=int8)
        for offset, result in enumerate(results):
            if result["findings"]:
                (alone,) = _in_child([graphs[place + offset]], int8=int8)
                if not alone["findings"]:
                    alone["company"] = result["findings"]
                result = alone
            yield result
        place += len(results)


def check_one(graph: Graph, *, int8: bool = True) -> dict[str, Any]:
    return _in_child([lambda: graph], int8=int8)[0]


def _in_child(graphs: Sequence[Callable[[], Graph]], *, int8: bool) -> list[dict[str, Any]]:
    """Results up to the first graph that ends the process, with that one's."""
    reading, writing = os.pipe()
    root = Path(tempfile.mkdtemp(prefix="fuzzing"))
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(graphs, root, writing, int8=int8)
    os.close(writing)
    results: list[dict[str, Any]] = []
    with os.fdopen(reading, encoding="utf-8") as stream:
        for line in stream:
            results.append(json.loads(line))
    _, status = os.waitpid(child, 0)
    shutil.rmtree(root, ignore_errors=True)
    if len(results) < len(graphs):
        results.append(_death(graphs[len(results)](), status))
    return results


def _work(graphs: Sequence[Callable[[], Graph]], root: Path, pipe: int, *, int8: bool) -> None:
    """Does not return."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = os.open(root / "log.txt", os.O_WRONLY | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    shortcuts.take()
    code = 1
    with suppress(Exception), os.fdopen(pipe, "w", encoding="utf-8") as stream:
        for index, graph in enumerate(graphs):
            signal.alarm(LIMIT_S)
            signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
            started = time.process_time()
            drawn = graph()
            folder = root / str(index)
            result = Checks(drawn, folder, int8=int8).run().to_dict()
            result["seconds"]["all"] = round(time.process_time() - started, 4)
            shutil.rmtree(folder, ignore_errors=True)
            stream.write(json.dumps(result) + "\n")
            stream.flush()
        code = 0
    sys.stdout.flush()
    os._exit(code)


def _death(graph: Graph, status: int) -> dict[str, Any]:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        how = {"SIGALRM": f"hung for {LIMIT_S} s", "SIGPROF": f"ran for {CPU_LIMIT_S} s"}.get(name, name)
    else:
        how = f"exit status {os.WEXITSTATUS(status)}"
    return asdict(Result(graph.seed, len(graph.nodes), [Finding("died", "", how)]))
