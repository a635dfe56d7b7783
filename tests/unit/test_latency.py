"""The turns of the models that are timed together, and the CPUs on which they are timed."""

from __future__ import annotations

import itertools

import pytest

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.validation import latency
from paddle_int8.tasks.validation.latency import choose_cpus, interleave, turns


def test_interleave_gives_every_subject_a_turn_in_each_round() -> None:
    called: list[str] = []
    samples = interleave(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")},
        warmup=2,
        rounds=20,
        calls=3,
        seed=0,
    )
    rounds = {"".join(called[place : place + 10]) for place in range(0, 200, 10)}
    assert rounds == {"aaaaabbbbb", "bbbbbaaaaa"}
    assert {name: len(values) for name, values in samples.items()} == {"a": 60, "b": 60}


def test_warm_up_of_a_slow_model_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "WARM_UP_MS", 1e-9)
    called: list[str] = []
    interleave({"a": lambda: called.append("a")}, warmup=20, rounds=1, calls=1, seed=0)
    assert called == ["a", "a"]


def test_long_calls_are_warmed_up_in_the_first_round_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    lasts = {"long": itertools.repeat(latency.LONG_CALL_MS), "short": itertools.cycle([1.0, 1.0, 1e3])}
    monkeypatch.setattr(latency, "_time_ms", lambda run: next(lasts[run()]))
    runs = {name: lambda name=name: called.append(name) or name for name in lasts}
    samples = interleave(runs, warmup=1, rounds=5, calls=1, seed=0)
    assert (called.count("long"), called.count("short")) == (6, 10)  # one slow call is a neighbour's doing
    assert {name: len(values) for name, values in samples.items()} == {"long": 5, "short": 5}


@pytest.mark.parametrize(
    ("repeats", "expected"), [(20, (20, 1)), (59, (59, 1)), (60, (30, 2)), (89, (44, 2)), (200, (33, 6))]
)
def test_turns_leave_rounds_enough_for_an_interval(repeats: int, expected: tuple[int, int]) -> None:
    assert turns(repeats) == expected


@pytest.mark.parametrize(
    ("threads", "cpus"), [(1, (7,)), (4, (7, 6, 5, 4)), (5, (7, 6, 5, 4, 3))], ids=["one", "cores", "more"]
)
def test_threads_get_a_core_each_before_sharing_one(threads: int, cpus: tuple[int, ...]) -> None:
    def siblings(cpu: int) -> frozenset[int]:
        return frozenset({cpu % 4, cpu % 4 + 4})

    assert choose_cpus(threads, range(8), siblings) == cpus


def test_more_threads_than_cpus_are_refused() -> None:
    with pytest.raises(MeasurementError, match=r"validation\.threads"):
        choose_cpus(3, [0, 1], lambda cpu: frozenset({cpu}))
