"""The turns of the models that are timed together, and the CPUs on which they are timed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.validation import latency
from paddle_int8.tasks.validation.latency import LEAST_ROUNDS, choose_cpus, interleave, turns
from paddle_int8.tasks.validation.stopwatch import Stopwatch
from paddle_int8.tasks.validation.timing import displaced

SYSCALL = Path("/proc/self/syscall")


@pytest.fixture
def stopwatch() -> Iterator[Stopwatch]:
    with Stopwatch(1) as watch:
        yield watch


def test_interleave_gives_every_subject_a_turn_in_each_round(stopwatch: Stopwatch) -> None:
    called: list[str] = []
    samples = interleave(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")},
        stopwatch,
        warmup=2,
        rounds=20,
        calls=3,
        seed=0,
    )
    rounds = {"".join(called[place : place + 10]) for place in range(0, 200, 10)}
    assert rounds == {"aaaaabbbbb", "bbbbbaaaaa"}
    assert {name: len(values) for name, values in samples.items()} == {"a": 60, "b": 60}


def test_warm_up_of_a_slow_model_ends_after_its_time(
    stopwatch: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "WARM_UP_MS", 1e-9)
    called: list[str] = []
    interleave({"a": lambda: called.append("a")}, stopwatch, warmup=20, rounds=1, calls=1, seed=0)
    assert called == ["a", "a"]


def test_long_calls_are_warmed_up_in_the_first_round_alone(
    stopwatch: Stopwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    lasts = {"long": itertools.repeat(latency.LONG_CALL_MS), "short": itertools.cycle([1.0, 1.0, 1e3])}
    monkeypatch.setattr(stopwatch, "time_ms", lambda run: next(lasts[run()]))
    runs = {name: lambda name=name: called.append(name) or name for name in lasts}
    samples = interleave(runs, stopwatch, warmup=1, rounds=5, calls=1, seed=0)
    assert (called.count("long"), called.count("short")) == (6, 10)  # one slow call is a neighbour's doing
    assert {name: len(values) for name, values in samples.items()} == {"long": 5, "short": 5}


@pytest.mark.parametrize(
    ("repeats", "processes", "expected"),
    [
        (20, 2, (10, 1)),
        (20, 5, (4, 1)),
        (20, 100, (1, 1)),
        (60, 5, (6, 2)),
        (200, 5, (6, 6)),
        (200, 3, (10, 6)),
    ],
)
def test_turns_leave_rounds_enough_and_time_no_more_than_asked(
    repeats: int, processes: int, expected: tuple[int, int]
) -> None:
    rounds, calls = turns(repeats, processes)
    assert (rounds, calls) == expected
    assert processes * rounds * calls <= max(repeats, processes)
    assert processes * rounds >= min(LEAST_ROUNDS, repeats // processes * processes)


@pytest.mark.parametrize(
    ("threads", "cpus"), [(1, (7,)), (4, (7, 6, 5, 4)), (5, (7, 6, 5, 4, 3))], ids=["one", "cores", "more"]
)
def test_threads_get_a_core_each_before_sharing_one(threads: int, cpus: tuple[int, ...]) -> None:
    def siblings(cpu: int) -> frozenset[int]:
        return frozenset({cpu % 4, cpu % 4 + 4})

    assert choose_cpus(threads, range(8), siblings) == cpus


@pytest.mark.parametrize(
    ("threads", "places"),
    [(1, [(3,), (2,), (1,), (0,), (3,)]), (2, [(3, 2), (1, 0), (3, 2)]), (4, [(3, 2, 1, 0), (3, 2, 1, 0)])],
    ids=["one", "two", "all"],
)
def test_each_process_is_pinned_to_the_next_cpus(threads: int, places: list[tuple[int, ...]]) -> None:
    def siblings(cpu: int) -> frozenset[int]:
        return frozenset({cpu % 2, cpu % 2 + 2})

    found = [choose_cpus(threads, range(4), siblings, place) for place in range(len(places))]
    assert found == places


def _stack_pointer() -> int:
    """The last but one field of this file, which the kernel writes while it is read: see proc(5)."""
    return int(SYSCALL.read_text().split()[-2], 16)


@pytest.mark.skipif(not SYSCALL.exists(), reason="the kernel does not show stack pointers")
def test_processes_run_at_different_offsets_of_the_stack() -> None:
    draw = random.Random(0)
    offsets = {displaced(draw, _stack_pointer) % 4096 for _ in range(50)}
    assert len(offsets) > 20


def test_more_threads_than_cpus_are_refused() -> None:
    with pytest.raises(MeasurementError, match=r"validation\.threads"):
        choose_cpus(3, [0, 1], lambda cpu: frozenset({cpu}))
