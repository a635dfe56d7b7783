"""Draws the report's figures. Each figure is a function from evidence to SVG bytes.

The colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart. No meaning
depends on colour alone. The figures are built without pyplot, so threads share nothing but the style.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, KernelAudit, MetricEvidence
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.gate.speed import least_speedup
from paddle_int8.tasks.tracking.summary import SUBJECTS, focus, metric_label, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scales = Mapping[str, Mapping[str, float | Sequence[float]]]
"""The calibrated threshold of each tensor, or one for each of its channels: scales[candidate][tensor]."""

BLUE, ORANGE, VERMILION, GREEN, GREY, INK = (
    "#0072B2",
    "#E69F00",
    "#D55E00",
    "#009E73",
    "#9AA0A6",
    "#202124",
)
DTYPE_COLOURS = {"int8": BLUE, "bf16": ORANGE, "fp32": GREY}
MOVEMENT = "#DDDDDD"
SERIES = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#56B4E9", "#F0E442", "#000000")
WIDTH_IN = 8.6
MEASURED_FONT = "DejaVu Sans"
"""The font that text is measured with; it ships with matplotlib. Browsers draw it in `READERS_FONTS`."""
READERS_FONTS = b"Helvetica, Arial, sans-serif"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "paddle-int8",
    "font.family": MEASURED_FONT,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": "#5f6368",
    "axes.edgecolor": "#bdc1c6",
    "axes.linewidth": 0.8,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#eceff1",
    "grid.linewidth": 0.8,
    "xtick.color": "#5f6368",
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A figure, the question that it answers, and a sentence for those who cannot see it."""

    svg: bytes
    question: str
    description: str


def release_plots(release: Release, config: ReleaseConfig, scales: Scales) -> dict[str, Plot]:
    """The figures that this release has data for, by name."""
    focused = focus(release)
    if focused is None:
        return {}
    evidence, _ = focused
    plots = {
        "accuracy": accuracy_drop(release.evidence, config.gate.max_drop_pp),
        "speedup": speedup_bars(
            release.evidence, least_speedup(release.evidence[0].per_isa[0].isa, config.gate)
        ),
        "latency": latency_distribution(release.evidence, evidence),
        "kernels": kernel_time(evidence),
    }
    if len(evidence.per_isa) > 1:
        plots["isa_matrix"] = isa_matrix(release.evidence, config.gate.max_drop_pp)
    if ranges := activation_ranges(scales):
        plots["calibration"] = calibration_ranges(ranges)
    return plots


def accuracy_drop(evidence: Sequence[CandidateEvidence], margin_pp: float) -> Plot:
    """Draws each metric's drop on the native instruction set, with its interval, beside the margin."""
    names = [metric.name for metric in evidence[0].per_isa[0].metrics]
    with figure(0.34 * len(evidence) + 1.1, columns=len(names), sharey=True) as (axes, save):
        for axis, index in zip(axes, range(len(names)), strict=True):
            metrics = [item.per_isa[0].metrics[index] for item in evidence]
            for row, metric in enumerate(metrics):
                _interval(axis, row, metric, margin_pp)
            axis.axvline(0, color=GREY, linewidth=0.8)
            axis.set_title(f"{metric_label(names[index])} drop, percentage points")
            axis.set_xlim(*_drop_limits(metrics, margin_pp))
            _limit(axis, margin_pp, f"margin {margin_pp:g}", leftwards=True)
        _rows(axes[0], [item.candidate.name for item in evidence], headroom=0.5)
        confidence = evidence[0].per_isa[0].metrics[0].confidence
        together = ", together" if any(map(_corrected, evidence)) else ""
        axes[0].set_xlabel(f"worse → (dot: measured, bar: one-sided {100 * confidence:g} % bounds{together})")
        return Plot(
            svg=save(),
            question="Is what each candidate loses within the margin?",
            description=f"Accuracy drop of each candidate beside the margin of {margin_pp:g}.",
        )


def speedup_bars(evidence: Sequence[CandidateEvidence], required: float) -> Plot:
    """Draws the FP32/INT8 latency ratio on the native instruction set, with its interval."""
    with figure(0.34 * len(evidence) + 0.7) as ((axis,), save):
        for row, item in enumerate(evidence):
            speed = item.per_isa[0].latency.speedup
            axis.barh(row, speed.ratio, height=0.5, color=BLUE if speed.low >= required else VERMILION)
            axis.plot((speed.low, speed.high), (row, row), color=INK, linewidth=1.2, marker="|", markersize=7)
            _beside(axis, speed.high, row, f"{speed.ratio:.2f}×", bold=True)
        axis.axvline(1, color=INK, linewidth=0.8)
        _limit(axis, required, f"required {required:g}", leftwards=False)
        longest = max(item.per_isa[0].latency.speedup.high for item in evidence)
        axis.set_xlim(0, max(longest, required) * 1.12)
        axis.set_xlabel("times as fast as FP32 (1 is equal); line: confidence interval")
        _rows(axis, [item.candidate.name for item in evidence], headroom=0.5)
        return Plot(
            svg=save(),
            question="Is each candidate surely as fast as required?",
            description="Speed-up of each candidate over the FP32 baseline.",
        )


def latency_distribution(evidence: Sequence[CandidateEvidence], chosen: CandidateEvidence) -> Plot:
    """Draws each candidate's latencies above those of the baseline that was measured in turns with it."""
    rows = [(item.candidate.name, item.per_isa[0].latency.samples_ms, "candidate") for item in evidence]
    references = chosen.per_isa[0].latency.samples_ms
    rows += [(SUBJECTS[key], references, key) for key in ("bf16", "native_fp32") if key in references]
    with figure(0.42 * len(rows) + 1.0) as ((axis,), save):
        for row, (_, samples, key) in enumerate(rows):
            paired = key == "candidate"
            _box(axis, row - 0.17 * paired, samples[key], BLUE if paired else ORANGE, label=True)
            if paired:
                _box(axis, row + 0.2, samples["baseline"], GREY, label=False)
        axis.set_xlim(left=0)
        axis.set_xlabel("ms per batch (tick: p50, diamond: p99, line: from p1; figures: p50 · p99)")
        _rows(axis, [name for name, _, _ in rows])
        _legend(axis, {"INT8": BLUE, "FP32 baseline, interleaved": GREY, "reference": ORANGE})
        return Plot(
            svg=save(),
            question="How long does a batch take, mostly and at worst?",
            description="Latency distribution of each candidate beside its FP32 baseline.",
        )


def kernel_time(evidence: CandidateEvidence) -> Plot:
    """Draws the kernel time of one inference by data type, for the FP32 baseline and for INT8."""
    bars: list[tuple[str, KernelAudit]] = []
    for item in evidence.per_isa:
        suffix = f" ({item.isa})" if len(evidence.per_isa) > 1 else ""
        bars += [(f"FP32{suffix}", item.baseline_audit), (f"INT8{suffix}", item.audit)]
    with figure(0.34 * len(bars) + 1.0) as ((axis,), save):
        for row, (_, audit) in enumerate(bars):
            start = 0.0
            for name, time_ms in _time_by_dtype(audit).items():
                colour = DTYPE_COLOURS.get(name, MOVEMENT)
                axis.barh(row, time_ms, left=start, height=0.55, color=colour, edgecolor="white")
                start += time_ms
            _beside(axis, start, row, f"{start:.1f} ms")
        axis.margins(x=0.12)
        axis.set_xlabel("ms in oneDNN primitives, one inference")
        _rows(axis, [name for name, _ in bars])
        present = {name for _, audit in bars for name in _time_by_dtype(audit)}
        words = {"int8": "INT8", "bf16": "BF16", "fp32": "FP32"}
        colours = {words[name]: colour for name, colour in DTYPE_COLOURS.items() if name in present}
        _legend(axis, colours | ({"reorders and the rest": MOVEMENT} if present - set(words) else {}))
        return Plot(
            svg=save(),
            question="How much of the kernels' time is INT8?",
            description="Kernel time by data type, FP32 baseline beside INT8.",
        )


def isa_matrix(evidence: Sequence[CandidateEvidence], margin_pp: float) -> Plot:
    """Draws speed-up and drop of every candidate on every instruction set, as a matrix.

    Cells whose drop may exceed the margin are outlined.
    """
    levels = [item.isa for item in evidence[0].per_isa]
    with figure(0.36 * len(evidence) + 0.9) as ((axis,), save):
        ratios = [[item.latency.speedup.ratio for item in row.per_isa] for row in evidence]
        highest = max(map(max, ratios))
        axis.imshow(ratios, cmap="Blues", vmin=0, vmax=highest * 1.15, aspect="auto", alpha=0.75)
        for row, candidate in enumerate(evidence):
            for column, item in enumerate(candidate.per_isa):
                metric = item.metrics[0]
                beyond = metric.drop_upper_pp > margin_pp
                text = f"{item.latency.speedup.ratio:.2f}× · {signed(-metric.drop_pp)} pp"
                dark = item.latency.speedup.ratio > 0.75 * highest
                axis.text(
                    column,
                    row,
                    text + (" ✗" if beyond else ""),
                    ha="center",
                    va="center",
                    color="white" if dark else INK,
                    fontweight="bold" if beyond else "normal",
                )
                if beyond:
                    _outline(axis, column, row)
        native = [f"{level}\n(this CPU)" if index == 0 else level.value for index, level in enumerate(levels)]
        axis.set_xticks(range(len(levels)), native, color=INK)
        axis.xaxis.tick_top()
        axis.spines[:].set_visible(False)
        _rows(axis, [item.candidate.name for item in evidence], grid=False)
        label = metric_label(evidence[0].per_isa[0].metrics[0].name)
        axis.set_xlabel(f"speed-up and {label} change; ✗ and outline: the drop may exceed {margin_pp:g} pp")
        return Plot(
            svg=save(),
            question="How fast and how accurate is each candidate on each instruction set?",
            description="Speed-up and accuracy drop on each instruction set.",
        )


def calibration_ranges(ranges: Mapping[str, Mapping[str, float]]) -> Plot:
    """Draws each activation's threshold by algorithm, on a log scale, in the order of the model."""
    tensors = list(next(iter(ranges.values())))
    with figure(2.9) as ((axis,), save):
        for (algorithm, thresholds), colour in zip(ranges.items(), SERIES, strict=False):
            known = [(index, thresholds[name]) for index, name in enumerate(tensors) if name in thresholds]
            x, y = zip(*known, strict=True)
            axis.plot(x, y, color=colour, linewidth=1.2, marker="o", markersize=3.2, label=algorithm)
        axis.set_yscale("log")
        axis.grid(axis="y")
        axis.set_xlabel(f"{len(tensors)} activations, from input to output")
        axis.set_ylabel("threshold (|x| beyond it is clipped)")
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=len(ranges), borderaxespad=0.2)
        return Plot(
            svg=save(),
            question="Does a threshold lie far away from its neighbours?",
            description="Calibrated threshold of each activation, by algorithm.",
        )


def activation_ranges(scales: Scales) -> dict[str, dict[str, float]]:
    """The positive per-tensor thresholds by algorithm. All layouts of one algorithm have the same ones."""
    ranges: dict[str, dict[str, float]] = {}
    for candidate, tensors in scales.items():
        thresholds = {
            name: float(value)
            for name, value in tensors.items()
            if isinstance(value, int | float) and math.isfinite(value) and value > 0
        }
        if thresholds:
            ranges.setdefault(candidate.rpartition("-")[0] or candidate, thresholds)
    return ranges


@contextmanager
def figure(
    height_in: float, *, columns: int = 1, sharey: bool = False
) -> Iterator[tuple[Sequence[Axes], Callable[[], bytes]]]:
    """Gives the axes of a new figure, in one row, and a function that returns the figure as SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False, sharey=sharey)[0]

        def save() -> bytes:
            stream = io.BytesIO()
            figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
            return stream.getvalue().replace(f"'{MEASURED_FONT}'".encode(), READERS_FONTS)

        yield list(axes), save


def _limit(axis: Axes, x: float, name: str, *, leftwards: bool) -> None:
    """Draws what the gate requires, with its name on the side where nothing else is."""
    axis.axvline(x, color=VERMILION, linewidth=1.4, linestyle=(0, (4, 2)))
    axis.annotate(
        name,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if leftwards else 4, -2),
        textcoords="offset points",
        color=VERMILION,
        fontsize=9,
        ha="right" if leftwards else "left",
        va="top",
    )


def _rows(axis: Axes, names: Sequence[str], *, grid: bool = True, headroom: float = 0.0) -> None:
    """Writes the names along the y axis, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5 - headroom)
    axis.spines["left"].set_visible(False)
    if grid:
        axis.grid(axis="x")


def _corrected(evidence: CandidateEvidence) -> bool:
    """Whether the upper bounds were widened for several candidates, so that all of them hold together."""
    return any(metric.correction for item in evidence.per_isa for metric in item.metrics)


def _interval(axis: Axes, row: int, metric: MetricEvidence, margin_pp: float) -> None:
    within = metric.drop_upper_pp <= margin_pp
    colour = BLUE if within else VERMILION
    bounds = (metric.drop_lower_pp, metric.drop_upper_pp)
    axis.plot(bounds, (row, row), color=colour, linewidth=2, solid_capstyle="butt")
    axis.plot(bounds, (row, row), color=colour, marker="|", markersize=8, linestyle="none")
    axis.plot(metric.drop_pp, row, color=colour, marker="o" if within else "X", markersize=6 if within else 8)


def _drop_limits(metrics: Sequence[MetricEvidence], margin_pp: float) -> tuple[float, float]:
    low = min(0.0, *(metric.drop_lower_pp for metric in metrics))
    high = max(margin_pp, *(metric.drop_upper_pp for metric in metrics))
    padding = 0.06 * (high - low)
    return low - padding, high + padding


def _box(axis: Axes, y: float, samples_ms: Sequence[float], colour: str, *, label: bool) -> None:
    import numpy as np

    p1, p25, p50, p75, p99 = (float(value) for value in np.percentile(samples_ms, (1, 25, 50, 75, 99)))
    axis.plot((p1, p99), (y, y), color=colour, linewidth=1.3)
    axis.barh(y, p75 - p25, left=p25, height=0.28, color=colour)
    axis.plot((p50, p50), (y - 0.2, y + 0.2), color=INK, linewidth=1.4)
    axis.plot(p99, y, color=colour, marker="D", markersize=4)
    if label:
        _beside(axis, p99, y, f"{p50:.2f} · {p99:.2f}")


def _beside(axis: Axes, x: float, y: float, text: str, *, bold: bool = False) -> None:
    weight = "bold" if bold else "normal"
    axis.annotate(
        text, (x, y), (7, 0), textcoords="offset points", va="center", fontsize=9, fontweight=weight
    )


def _legend(axis: Axes, colours: Mapping[str, str]) -> None:
    from matplotlib.artist import Artist
    from matplotlib.patches import Patch

    handles: list[Artist] = [Patch(color=colour, label=name) for name, colour in colours.items()]
    axis.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncol=len(handles),
        borderaxespad=0.2,
        handlelength=1,
        handleheight=0.9,
        fontsize=9,
    )


def _outline(axis: Axes, column: int, row: int) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(
        Rectangle((column - 0.48, row - 0.44), 0.96, 0.88, fill=False, edgecolor=VERMILION, linewidth=2)
    )


def _time_by_dtype(audit: KernelAudit) -> dict[str, float]:
    """The kernel time of one inference by data type, INT8 first. All other types are `other`."""
    times: dict[str, float] = {}
    for share in audit.shares:
        name = share.dtype if share.dtype in DTYPE_COLOURS else "other"
        times[name] = times.get(name, 0.0) + share.time_ms
    return {name: times[name] for name in (*DTYPE_COLOURS, "other") if name in times}
