"""What a person sees while a release runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from paddle_int8.flows.cli.console import LOG_WIDTH, console
from paddle_int8.flows.cli.terminal import StepDisplay, print_release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.process import progress
from tests.release_factory import build_release


@pytest.mark.parametrize("name", ["[red]/1.heic", "[/dog]/1.heic", "[height, width].txt"])
def test_step_summary_with_brackets_of_file_names_is_shown_as_it_is(name: str) -> None:
    printed = io.StringIO()
    with StepDisplay(Console(file=printed, width=120)).shown():
        progress.report("calibration data", 1, 2, note=name)
        progress.end("calibration data", f"2 of 2 samples · left out: {name}")
    assert f"left out: {name}" in printed.getvalue()


def test_step_warning_is_shown_in_yellow_without_marks_of_its_own() -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=120, force_terminal=True, color_system="standard")
    with StepDisplay(console).shown():
        progress.end("hardware check", f"avx2 · {progress.WARNING}no [VNNI] here")
    assert "\x1b[33mwarning: no [VNNI] here" in printed.getvalue()


def test_summaries_of_steps_hold_no_marks_of_the_terminal() -> None:
    tasks = Path(__file__).parents[2] / "tasks"
    assert [path for path in tasks.rglob("*.py") if "[yellow]" in path.read_text(encoding="utf-8")] == []


def test_table_of_candidates_is_whole_on_a_terminal_narrower_than_it_would_be() -> None:
    printed = io.StringIO()
    print_release(Console(file=printed, width=74), build_release(outcome=Outcome.INCONCLUSIVE, run_id="r1"))
    table = [line for line in printed.getvalue().splitlines() if line.startswith(("hist-", "KL-", "avg-"))]
    assert any(line.rstrip().endswith("inconclusive ◀") for line in table)
    assert "…" not in printed.getvalue()


def test_log_without_a_width_is_wider_than_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console().width == LOG_WIDTH
    monkeypatch.setenv("COLUMNS", "90")
    assert console().width == 90
