"""What a person is told during a wait: nothing for two seconds, then the reason, the time and the limit."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from paddle_int8.flows.cli.terminal import StepDisplay
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.pace import Patience
from tests.patience import comes_true
from tests.unit.test_pace import Clock

WHAT = "waiting for a server"


def _told(seconds: float) -> str:
    return f"{WHAT}: {seconds:.0f} s so far, no limit"


def test_wait_is_told_of_again_and_again_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_S", 0.01)
    monkeypatch.setattr(progress, "AGAIN_S", 0.01)
    heard: list[progress.Progress] = []
    with progress.listen(heard.append), progress.waiting("start", WHAT):
        assert comes_true(lambda: len(heard) >= 3, seconds=10)
    assert [heard[0].note, heard[1].note, heard[-1].ended] == ["", _told(0), True]


def test_short_wait_is_not_told_of() -> None:
    heard: list[progress.Progress] = []
    with progress.listen(heard.append), progress.waiting("start", WHAT):
        pass
    assert [event.note for event in heard] == ["", ""]


def test_wait_is_written_into_a_log_ever_more_rarely() -> None:
    clock, output = Clock(), StringIO()
    display = StepDisplay(Console(file=output, width=200), clock=clock)
    display.show(progress.Progress(step="start", done=0, total=0))
    for second in range(1, 61):
        clock.now_s += 1
        display.show(progress.Progress(step="start", done=0, total=0, note=_told(second), waits=True))
    lines = output.getvalue().splitlines()
    assert lines[0].strip() == "start: waiting for a server: 1 s so far, no limit"
    assert 5 < len(lines) < 15


def test_step_that_works_in_silence_is_told_of_with_its_time_and_its_count() -> None:
    clock, output = Clock(), StringIO()
    display = StepDisplay(Console(file=output, width=200), clock=clock)
    display.show(progress.Progress(step="validate", done=0, total=0))
    display.tell_silence()
    clock.now_s += 3
    display.tell_silence()
    display.show(progress.Progress(step="validate", done=4, total=20, note="rounds"))
    clock.now_s += 60
    display.tell_silence()
    display.show(progress.Progress(step="validate", done=20, total=20, note="2.00x", ended=True))
    clock.now_s += 60
    display.tell_silence()
    *told, ended = [line.strip() for line in output.getvalue().splitlines()]
    assert told == [
        "validate: at work: 3 s so far, no limit",
        "validate: 4/20 rounds: 63 s so far, no limit",
    ]
    assert ended.startswith("✓ validate")


def test_time_in_which_no_step_runs_is_told_of_where_nobody_is_asked() -> None:
    for between, expected in (("recording", ["between steps: recording: 5 s so far, no limit"]), ("", [])):
        clock, output = Clock(), StringIO()
        display = StepDisplay(Console(file=output, width=200), between=between, clock=clock)
        display.show(progress.Progress(step="gate", done=0, total=0))
        display.show(progress.Progress(step="gate", done=1, total=1, ended=True))
        clock.now_s += 1
        display.tell_silence()
        clock.now_s += 4
        display.tell_silence()
        assert [line.strip() for line in output.getvalue().splitlines()] == expected


def test_parts_of_a_step_are_told_of_in_the_line_of_that_step_and_do_not_end_it() -> None:
    clock, output = Clock(), StringIO()
    display = StepDisplay(Console(file=output, width=200), clock=clock)
    with progress.listen(display.show), progress.within("validate KL"):
        progress.report("validate KL", 0, 0)
        with progress.limited("time KL", 3600.0):
            clock.now_s += 3
            display.tell_silence()
            progress.report("time KL", 9, 30, "rounds")
        clock.now_s += 6
        display.tell_silence()
        progress.end("validate KL", "2.00x")
    *told, ended = [line.strip() for line in output.getvalue().splitlines()]
    assert told == [
        "validate KL: time KL: 3 s so far, at most 60 min for this part",
        "validate KL: 9/30 rounds: 9 s so far, at most 60 min for this part",
    ]
    assert ended.startswith("✓ validate KL")
    assert ended.endswith("9.0 s")


def test_wait_within_a_step_names_the_step_and_is_forgotten_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "QUIET_S", 0.01)
    clock, output = Clock(), StringIO()
    display = StepDisplay(Console(file=output, width=200), clock=clock)
    with progress.listen(display.show), progress.within("validate KL"):
        progress.report("validate KL", 0, 0)
        with progress.waiting("wait", WHAT):
            assert comes_true(output.getvalue, seconds=10)
        clock.now_s += 30
        display.tell_silence()
    told = [line.strip() for line in output.getvalue().splitlines()]
    assert told == [f"validate KL: {_told(0)}", "validate KL: at work: 30 s so far, no limit"]


def test_wait_with_a_limit_tells_it_from_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_S", 0.01)
    clock = Clock()
    patience = Patience(180, clock=clock, measure=lambda: 1.0)
    clock.now_s += 7
    heard: list[progress.Progress] = []
    with progress.listen(heard.append), progress.waiting("start", WHAT, patience):
        assert comes_true(lambda: len(heard) >= 2, seconds=10)
    assert heard[1].note == f"{WHAT}: 7 s so far, at most 3 min"


def test_step_in_one_process_tells_what_it_does_and_its_limit_from_the_first() -> None:
    clock, output = Clock(), StringIO()
    display = StepDisplay(Console(file=output, width=200), clock=clock)
    doing = progress.limited("load model", 900.0, "loading the model into Paddle")
    with progress.listen(display.show), progress.stage("load model"), doing:
        clock.now_s += 3
        display.tell_silence()
    told, _ = [line.strip() for line in output.getvalue().splitlines()]
    assert told == "load model: loading the model into Paddle: 3 s so far, at most 15 min"
