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


def test_step_summaries_hold_no_markup_since_it_would_be_shown_as_it_stands() -> None:
    tasks = Path(__file__).parents[2] / "tasks"
    assert [path.name for path in tasks.rglob("*.py") if "[/]" in path.read_text(encoding="utf-8")] == []
