"""Prints for a person what a check found, and what was drafted."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from paddle_int8.tasks.drafting.draft import Draft
from paddle_int8.tasks.preview.findings import Check, SampleAnswer
from paddle_int8.tasks.preview.page import chosen
from paddle_int8.tasks.preview.sentences import (
    data_sentence,
    forecast_sentence,
    margin_sentence,
    score_sentence,
)

SHOWN = 10


def print_check(console: Console, found: Check) -> None:
    """Prints a few samples with FP32's answers, what to expect of a release, and what is doubtful, last."""
    console.print(_samples([found.samples[place] for place in chosen(found.samples, SHOWN)]))
    lines = {
        "FP32": ", ".join(map(score_sentence, found.scores)),
        "calibration": data_sentence(found.calibration),
        "validation": data_sentence(found.validation),
        "margin": margin_sentence(found),
        "release": forecast_sentence(found.forecast, len(found.candidates)),
        "page": str(found.page),
    }
    console.print()
    for name, sentence in lines.items():
        if sentence:
            _say(console, f"{name:<12} {sentence}")
    for doubt in found.doubts:
        console.print()
        _say(console, f"doubtful     {doubt.said}", style="red" if doubt.decisive else "yellow")
        _say(console, f"remedy       {doubt.remedy}")
    if any(each.decisive for each in found.doubts):
        word = "NOT READY: no candidate could be approved"
    else:
        word = "DOUBTFUL: look at the samples before you release" if found.doubts else "READY"
    console.print(f"\n[bold]{word}[/], checked in {found.seconds:.0f} s", highlight=False)


def print_draft(console: Console, draft: Draft) -> None:
    """Prints what model and data were taken for, which defaults were assumed, and what to do next."""
    for sentence in draft.understood:
        _say(console, sentence)
    if draft.assumed:
        options = ", ".join(f"--{each}" for each in draft.assumed)
        _say(console, f"\nassumed without asking: {options}", style="yellow")
    console.print()
    for path in (draft.path, *draft.files):
        _say(console, f"written  {path}")
    _say(console, f"next     paddle-int8 check {shlex.quote(str(draft.path))}")


def _samples(samples: list[SampleAnswer]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "sample", "label", "FP32 answers"):
        table.add_column(heading, overflow="fold")
    for each in samples:
        mark = "" if each.score is None else "✓" if each.score == 1 else "✗" if each.score == 0 else ""
        style = "green" if each.score == 1 else "red" if each.score == 0 else ""
        graded = f"{each.score:.2f}" if each.score is not None and not mark else mark
        name = each.name.removeprefix(f"{Path.cwd()}/") + (f": {each.text}" if each.text else "")
        table.add_row(Text(graded, style=style), Text(name), Text(each.label or ""), Text(each.answer))
    return table


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
