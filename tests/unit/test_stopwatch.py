"""Timings leave out the time in which a thread waited for a CPU, as the kernel counts it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paddle_int8.tasks.validation.stopwatch import Stopwatch


class Waits:
    """The `schedstat` of this thread, written by hand."""

    def __init__(self, folder: Path, thread: str) -> None:
        self._path = folder / thread / "schedstat"
        self._path.parent.mkdir()
        self.wait(0)

    def wait(self, milliseconds: float) -> None:
        with self._path.open("r+" if self._path.exists() else "w") as stream:  # the open file stays the same
            stream.write(f"0 {int(milliseconds * 1e6):012d} 7\n")


@pytest.fixture
def waits(tmp_path: Path) -> Waits:
    return Waits(tmp_path, str(threading.get_native_id()))


@pytest.fixture
def stopwatch(waits: Waits, tmp_path: Path) -> Iterator[Stopwatch]:
    with Stopwatch(1, tmp_path) as watch:
        yield watch


def slept(seconds: float, waits: Waits | None = None, waited_ms: float = 0) -> None:
    time.sleep(seconds)
    if waits:
        waits.wait(waited_ms)


def test_waiting_for_a_cpu_is_left_out_of_a_timing(stopwatch: Stopwatch, waits: Waits) -> None:
    timed_ms = stopwatch.time_ms(lambda: slept(0.05, waits, 40))
    assert 10 <= timed_ms < 1000 * stopwatch.seconds - 39
    assert stopwatch.waited_s == pytest.approx(0.04)


def test_a_wait_beside_the_call_does_not_make_it_negative(stopwatch: Stopwatch, waits: Waits) -> None:
    assert stopwatch.time_ms(lambda: slept(0.001, waits, 500)) >= 1
    assert stopwatch.waited_s == 0


def test_sleeping_is_part_of_a_call(stopwatch: Stopwatch) -> None:
    assert stopwatch.time_ms(lambda: slept(0.01)) >= 10


def test_the_longest_wait_of_any_thread_counts(tmp_path: Path, waits: Waits) -> None:
    other = Waits(tmp_path, "4711")
    with Stopwatch(2, tmp_path) as stopwatch:
        waits.wait(5)
        other.wait(5)

        def run() -> None:
            slept(0.05, waits, 10)
            other.wait(35)

        stopwatch.time_ms(run)
    assert stopwatch.waited_s == pytest.approx(0.03)


def test_a_kernel_that_does_not_count_waits_gives_plain_times(tmp_path: Path) -> None:
    with Stopwatch(1, tmp_path / "absent") as stopwatch:
        assert stopwatch.time_ms(lambda: slept(0.01)) >= 10
    assert stopwatch.waited_s == 0


def test_a_thread_that_ends_meanwhile_is_no_error() -> None:
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()

    def run() -> None:
        over.set()
        other.join()

    with Stopwatch(2) as stopwatch:
        assert stopwatch.time_ms(run) > 0
        assert stopwatch.time_ms(lambda: slept(0.01)) >= 10


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/schedstat").exists(), reason="the kernel counts no waits"
)
def test_a_neighbour_on_the_same_cpu_is_not_in_the_timings() -> None:
    """Two processes share one CPU, so that a call of 60 ms lasts about twice as long on the wall clock."""
    allowed = os.sched_getaffinity(0)
    cpu = {max(allowed)}
    os.sched_setaffinity(0, cpu)
    neighbour = os.fork()
    if neighbour == 0:
        while True:
            pass
    try:
        with Stopwatch(1) as stopwatch:
            own = [stopwatch.time_ms(lambda: _computed(0.06)) for _ in range(5)]
    finally:
        os.kill(neighbour, 9)
        os.waitpid(neighbour, 0)
        os.sched_setaffinity(0, allowed)
    assert stopwatch.waited_s > 0.2 * stopwatch.seconds
    assert sorted(own)[2] < 75


def _computed(seconds: float) -> None:
    """Uses so much CPU time."""
    ended = time.thread_time() + seconds
    while time.thread_time() < ended:
        pass
