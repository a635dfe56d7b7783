"""Prints what each operator of a model costs, for a person."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.tracking.sensitivity import HEADS, measured_sentence, worst_rows

NUMBERS = frozenset(HEADS[2:6])


def print_sensitivity(console: Console, measured: Sensitivity, most: int) -> None:
    """Prints the `most` worst operators, and what to do with them."""
    print_worst(console, measured, most)
    console.print(
        f"keep the worst in FP32: `quantization.keep_fp32: [{measured.worst_first()[0].layer}]`",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def print_worst(console: Console, measured: Sensitivity, most: int) -> None:
    """Prints the `most` worst operators. A column that says nothing of any of them is left out."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    rows = worst_rows(measured, most)
    told = [place for place in range(len(HEADS)) if any(row[place] for row in rows)]
    for place in told:
        right = HEADS[place] in NUMBERS
        table.add_column(HEADS[place], justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(row[place]) for place in told))
    console.print(table)
    console.print(f"\n{measured_sentence(measured)}", highlight=False, markup=False, soft_wrap=True)
