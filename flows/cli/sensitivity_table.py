"""Prints what each operator of a model costs, for a person."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paddle_int8.tasks.contracts.sensitivity import Sensitivity


def print_sensitivity(console: Console, measured: Sensitivity, most: int) -> None:
    """Prints the `most` worst operators, and what to do with them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("layer", "type"):
        table.add_column(name, overflow="fold")
    for name in ("output, dB", "own, dB", "share of noise"):
        table.add_column(name, justify="right")
    table.add_column("likely reason", overflow="fold")
    listed = measured.worst_first()[:most]
    for each in listed:
        table.add_row(
            escape(each.layer),
            each.type,
            f"{each.output_sqnr_db:.1f}",
            f"{each.own_sqnr_db:.1f}",
            f"{100 * each.noise_share:.1f} %",
            escape(each.reason),
        )
    console.print(table)
    console.print(
        f"\n{len(listed)} of {len(measured.operators)} operators of {measured.candidate.name}, each"
        f" quantized alone on {measured.samples} samples. All together leave {measured.together_db:.1f} dB; "
        f"the sum of single noises predicts {measured.added_db:.1f} dB.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"keep the worst in FP32: `quantization.keep_fp32: [{listed[0].layer}]`",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
