"""What the layers of a rejected release cost, and what to do about it, on each page that shows a release."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from paddle_int8.flows.cli.sensitivity_table import print_worst
from paddle_int8.flows.cli.terminal import print_release
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.tracking.report import render_html, render_markdown, report_plots
from paddle_int8.tasks.tracking.sensitivity import WORST, advice, as_csv
from tests.release_factory import build_config, build_release, build_scales
from tests.unit.test_mixed import operator

ODD = "stage/[3] <b>conv|é"
REASON = "one channel of relu_2.tmp_0 is 1000 times as wide as the median one"


def measured() -> Sensitivity:
    worst = replace(operator(ODD, -3.0, fp32_ms=2.0, int8_ms=0.5), reason=REASON)
    others = tuple(operator(f"conv2d_{place}", 20.0 + place) for place in range(12))
    return Sensitivity(
        candidate=build_release().evidence[0].candidate,
        samples=8,
        together_db=-3.2,
        added_db=-3.1,
        operators=(*others, worst),
        seconds=1.0,
        log=Path("log"),
    )


@pytest.fixture
def rejected() -> Release:
    return replace(build_release(outcome=Outcome.REJECTED), sensitivity=measured())


def printed(release: Release) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_release(console, release)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


def test_terminal_lists_the_ten_worst_with_the_reason(rejected: Release) -> None:
    text = printed(rejected)
    assert text.index(ODD) < text.index("conv2d_0")
    assert REASON in text
    assert "1.500" in text
    assert "conv2d_8 " in text
    assert f"conv2d_{WORST - 1} " not in text


def test_report_and_prefect_s_page_show_the_same_escaped(rejected: Release) -> None:
    config, scales = build_config(), build_scales()
    plots = report_plots(rejected, config, scales)
    assert "sensitivity" in plots
    page = render_html(rejected, config, (), scales, plots)
    assert "What each layer costs" in page
    assert REASON in page
    assert "stage/[3] &lt;b&gt;conv|é" in page
    assert ODD not in page
    text = render_markdown(rejected, ())
    assert "stage/[3] &lt;b>conv\\|é" in text
    assert "## What each layer costs" in text


def test_rejected_release_says_which_line_goes_on_and_an_approved_mix_what_it_keeps(
    rejected: Release,
) -> None:
    assert "`quantization.strategy: mixed`" in advice(rejected)
    assert "`quantization.strategy: mixed`" in printed(rejected)
    chosen = replace(rejected.evidence[0].candidate, overrides=((f"{ODD}.tmp_0", "fp32"),))
    mixed = replace(rejected, outcome=Outcome.APPROVED, chosen=chosen)
    assert advice(mixed) == f"{chosen.name} keeps in FP32: {ODD} ({ODD}.tmp_0)."
    assert advice(replace(rejected, sensitivity=None)) == ""
    searched = replace(rejected.evidence[0], candidate=chosen)
    assert advice(replace(rejected, evidence=(*rejected.evidence, searched))) == ""


def test_release_that_measured_no_operators_says_nothing_of_layers() -> None:
    release = build_release(outcome=Outcome.REJECTED)
    assert "What each layer costs" not in render_markdown(release, ())
    assert "What each layer costs" not in printed(release)


def test_column_of_milliseconds_is_left_out_where_none_were_measured() -> None:
    plain = replace(measured(), operators=(operator("conv2d_0", 20.0),))
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_worst(console, plain, WORST)
    assert "saves" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_csv_has_the_milliseconds_of_both_precisions() -> None:
    *_, last = csv.DictReader(io.StringIO(as_csv(measured())))
    assert (last["layer"], last["fp32_ms"], last["int8_ms"]) == (ODD, "2.0000", "0.5000")
