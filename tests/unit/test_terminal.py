"""What a person sees while a release runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from paddle_int8.flows.cli.terminal import StepDisplay
from paddle_int8.tasks.process import progress


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
