"""Writes Paddle's published tables beside what was measured here: as Markdown, CSV, and an HTML page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.published.figures import PublishedRow, Unit
from paddle_int8.tasks.published.measured import (
    Extra,
    Measured,
    Row,
    Speed,
    Unmeasured,
    accuracy_misses,
    comparable,
    shown,
)
from paddle_int8.tasks.published.origin import without_folders
from paddle_int8.tasks.tracking.connection import redact
from paddle_int8.tasks.tracking.summary import metric_label, percent, signed

TEMPLATES = Path(__file__).parent / "templates"
NOTHING = "–"
LOG = re.compile(r"last lines of .*?(?=^required:|\Z)", re.DOTALL | re.MULTILINE)
SERVERS = {
    IsaLevel.AVX512_CORE: "Skylake",
    IsaLevel.AVX512_CORE_VNNI: "Cascade Lake",
    IsaLevel.AVX512_CORE_BF16: "Cooper Lake",
    IsaLevel.AVX512_CORE_AMX: "Sapphire Rapids",
}
EMULATED = (IsaLevel.AVX512_CORE_VNNI, IsaLevel.AVX512_CORE)
SPEED_HEADS = (
    "model",
    "setting",
    "published FP32 → INT8",
    "ratio",
    "native Paddle FP32",
    "oneDNN FP32",
    "INT8",
    "ratio here (95 %)",
    "Cascade Lake",
    "Skylake",
    "INT8 share",
    "best",
    "size",
    "target",
    "measured",
)
CSV_HEADS = (
    *("key", "model", "setting", "unit", "published_fp32", "published_int8", "published_ratio"),
    *("isa", "emulated", "candidate", "native_fp32", "fp32", "int8"),
    *("ratio", "ratio_low", "ratio_high", "int8_share_by_count", "int8_share_by_time", "sqnr_db"),
    *("size_ratio", "metric", "metric_fp32", "metric_int8", "drop_pp", "drop_upper_pp"),
    *("margin_pp", "verdict", "samples", "measured_on", "weights", "measured", "reason"),
)
ACCURACY_HEADS = (
    "model",
    "published FP32 → INT8",
    "measured on",
    "metric",
    "FP32",
    "INT8",
    "difference",
    "drop at most (95 %)",
    "margin",
    "best",
    "verdict",
    "weights",
    "measured",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The whole table, and what it was measured on. `command` is the command that makes the table again."""

    rows: tuple[Row, ...]
    host: HostProfile
    versions: dict[str, str]
    date: str
    command: str
    quick: bool
    extras: tuple[Extra, ...] = ()


def to_markdown(table: Table) -> str:
    """The table as a Markdown document."""
    lines = ["# The published tables, measured", "", *(f"{line}  " for line in preamble(table)), ""]
    lines += ["## Speed", "", *_grid(SPEED_HEADS, (speed_cells(row) for row in table.rows)), ""]
    lines += ["## Accuracy", "", *_grid(ACCURACY_HEADS, _accuracy_rows(table)), ""]
    for title, remarks in notes(table).items():
        lines += [f"## {title}", "", *(f"- {_escaped(remark)}" for remark in remarks), ""]
    return "\n".join(lines)


def to_csv(table: Table) -> str:
    """The table as CSV: a line for each row and instruction set, and one for each row and metric.

    Cells without a figure are empty.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_HEADS, restval="")
    writer.writeheader()
    for row in table.rows:
        writer.writerows(_csv_speeds(row))
        if row.published.accuracy is not None:
            writer.writerows(_csv_accuracies(_csv_head(row.published), row.accuracy))
    for extra in table.extras:
        writer.writerows(_csv_accuracies({"key": extra.row.key, "model": extra.row.title}, extra.accuracy))
    return stream.getvalue()


def to_html(table: Table) -> str:
    """The table as an HTML page without scripts, network or fonts. Bars compare published and measured."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("table.html.jinja").render(
        preamble=preamble(table),
        speed_heads=SPEED_HEADS,
        speeds=[speed_cells(row) for row in table.rows],
        accuracy_heads=ACCURACY_HEADS,
        accuracies=list(_accuracy_rows(table)),
        bars=[bars for row in table.rows if (bars := _bars(row))],
        notes=notes(table),
    )


def preamble(table: Table) -> list[str]:
    """The paragraphs above the tables: CPU, versions, date and command, and how the figures were measured."""
    host = table.host
    versions = ", ".join(f"{name} {version}" for name, version in table.versions.items())
    lines = [
        f"{host.cpu_model} ({host.microarchitecture}), {host.isa}, "
        f"{host.usable_cores:g} of {host.cores} cores. "
        f"oneDNN {host.onednn_version}, {versions}. {table.date}.",
        f"The tables were made by `{table.command}`. The published machine was a Xeon Gold 6271.",
        "Speeds are measured on architectures of the published size, with random weights that are scaled so "
        "that activations keep a normal size. A ratio is the median latency of FP32 on oneDNN over that of "
        "INT8; both take turns, in several processes. The ratio in brackets is over Paddle's own FP32 "
        "kernels, which the published GRU rows compare with.",
        "In the columns Cascade Lake and Skylake, this CPU runs with oneDNN limited to their instruction "
        "sets; their clock rates and caches are not emulated. The figure in dB is the "
        "signal-to-quantization-noise ratio there.",
    ]
    if table.quick:
        lines.append(
            "This was a quick run: it measured the speed of one algorithm and layout with few repetitions, "
            "so the intervals are wide. Accuracies are those of the last full run with this code, if any."
        )
    return lines


def speed_cells(row: Row) -> tuple[str, ...]:
    """The cells of a row under `SPEED_HEADS`."""
    published = row.published
    head = (
        published.title,
        published.setting,
        f"{published.fp32:g} → {published.int8:g} {published.unit}",
        f"{published.ratio:.2f}x",
    )
    if isinstance(row.speed, Unmeasured):
        return (*head, *(NOTHING,) * 9, f"not measured: {_first_line(row.speed.reason)}", NOTHING)
    native = row.speed.per_isa[0]
    unit = published.unit
    return (
        *head,
        _figure(shown(native.native_fp32, unit), unit) + _times(native.over_native),
        _figure(shown(native.fp32, unit), unit),
        _figure(shown(native.int8, unit), unit),
        f"**{native.ratio:.2f}x** ({native.low:.2f}–{native.high:.2f})",
        *(_ratio(row.speed, isa) for isa in EMULATED),
        f"{percent(native.int8_share_by_count)}, {percent(native.int8_share_by_time)} of their time",
        native.candidate,
        f"{native.size_ratio:.2f}",
        "reached" if comparable(published, native) >= published.ratio else "missed",
        row.speed.finished,
    )


def notes(table: Table) -> dict[str, list[str]]:
    """The remarks below the tables, by title: missed targets, failed candidates, what was not measured."""
    names = {row.published.key: f"{row.published.title}, {row.published.setting}" for row in table.rows}
    names |= {extra.row.key: extra.row.title for extra in table.extras}
    halves = [(row.published.key, "speed", row.speed) for row in table.rows]
    halves += [(row.published.key, "accuracy", row.accuracy) for row in table.rows if row.published.accuracy]
    halves += [(extra.row.key, "accuracy", extra.accuracy) for extra in table.extras]
    misses = [(row.published.key, row.misses) for row in table.rows]
    misses += [(extra.row.key, accuracy_misses(extra.accuracy)) for extra in table.extras]
    missed = [f"{names[key]}: {miss}" for key, found in misses for miss in found]
    absent = [
        f"{names[key]}, {column}: {_flat(half.reason)}"
        for key, column, half in halves
        if isinstance(half, Unmeasured)
    ]
    failed = [
        f"{half.release}: {_flat(text)}"
        for _, _, half in halves
        if isinstance(half, Measured)
        for text in half.failed
    ]
    titled = {"Missed": missed, "Candidates that failed": failed, "Not measured": absent}
    return {title: remarks for title, remarks in titled.items() if remarks}


def _accuracy_rows(table: Table) -> Iterable[tuple[str, ...]]:
    for row in table.rows:
        if (published := row.published.accuracy) is not None:
            printed = f"{published.fp32:g} → {published.int8:g} % ({published.metric})"
            yield from _accuracy_cells(row.published.title, printed, row.accuracy)
    for extra in table.extras:
        yield from _accuracy_cells(extra.row.title, "not published", extra.accuracy)


def _accuracy_cells(title: str, printed: str, half: Measured | Unmeasured) -> Iterable[tuple[str, ...]]:
    if isinstance(half, Unmeasured):
        yield (title, printed, f"not measured: {_first_line(half.reason)}", *(NOTHING,) * 10)
        return
    for metric in half.metrics:
        yield (
            title,
            printed,
            f"{half.samples:,} samples of {half.validation}",
            metric_label(metric.name),
            f"{100 * metric.baseline:.2f} %",
            f"{100 * metric.candidate:.2f} %",
            signed(-metric.drop_pp),
            f"{metric.drop_upper_pp:.2f}",
            f"{half.margin_pp:g}",
            half.chosen,
            half.outcome.value,
            half.model,
            half.finished,
        )


def _csv_head(row: PublishedRow) -> dict[str, object]:
    return {
        "key": row.key,
        "model": row.title,
        "setting": row.setting,
        "unit": row.unit,
        "published_fp32": row.fp32,
        "published_int8": row.int8,
        "published_ratio": row.ratio,
    }


def _csv_speeds(row: Row) -> Iterable[dict[str, object]]:
    head, unit = _csv_head(row.published), row.published.unit
    if isinstance(row.speed, Unmeasured):
        yield head | {"reason": f"speed: {_flat(row.speed.reason)}"}
        return
    for speed in row.speed.per_isa:
        native = shown(speed.native_fp32, unit)
        yield head | {
            "isa": speed.isa,
            "emulated": speed.emulated,
            "candidate": speed.candidate,
            "native_fp32": "" if native is None else native,
            "fp32": shown(speed.fp32, unit),
            "int8": shown(speed.int8, unit),
            "ratio": speed.ratio,
            "ratio_low": speed.low,
            "ratio_high": speed.high,
            "int8_share_by_count": speed.int8_share_by_count,
            "int8_share_by_time": speed.int8_share_by_time,
            "sqnr_db": speed.sqnr_db,
            "size_ratio": speed.size_ratio,
            "weights": row.speed.model,
            "measured": row.speed.finished,
        }


def _csv_accuracies(head: dict[str, object], half: Measured | Unmeasured) -> Iterable[dict[str, object]]:
    if isinstance(half, Unmeasured):
        yield head | {"reason": f"accuracy: {_flat(half.reason)}"}
        return
    native = half.per_isa[0]
    for metric in half.metrics:
        yield head | {
            "isa": native.isa,
            "emulated": native.emulated,
            "candidate": half.chosen,
            "size_ratio": native.size_ratio,
            "metric": metric.name,
            "metric_fp32": metric.baseline,
            "metric_int8": metric.candidate,
            "drop_pp": metric.drop_pp,
            "drop_upper_pp": metric.drop_upper_pp,
            "margin_pp": half.margin_pp,
            "verdict": half.outcome,
            "samples": half.samples,
            "measured_on": half.validation,
            "weights": half.model,
            "measured": half.finished,
        }


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the HTML page. `percent` is its length relative to the longest bar, `kind` its CSS class."""

    label: str
    ratio: float
    percent: float
    kind: str


@dataclass(frozen=True, slots=True)
class Bars:
    title: str
    bars: tuple[Bar, ...]


def _bars(row: Row) -> Bars | None:
    if isinstance(row.speed, Unmeasured):
        return None
    ratios = [("published, Cascade Lake", row.published.ratio, "published")]
    ratios += [(_level(speed), speed.ratio, "measured") for speed in row.speed.per_isa]
    longest = max(ratio for _, ratio, _ in ratios)
    bars = tuple(Bar(label, ratio, 100 * ratio / longest, kind) for label, ratio, kind in ratios)
    return Bars(f"{row.published.title}, {row.published.setting}", bars)


def _level(speed: Speed) -> str:
    name = SERVERS.get(speed.isa, str(speed.isa))
    return f"{name}, emulated" if speed.emulated else f"this CPU ({speed.isa})"


def _ratio(measured: Measured, isa: IsaLevel) -> str:
    for speed in measured.per_isa:
        if speed.isa is isa:
            return f"{speed.ratio:.2f}x" + (f", {speed.sqnr_db:.0f} dB" if speed.emulated else " (this CPU)")
    return NOTHING


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f" ({ratio:.2f}x)"


def _figure(value: float | None, unit: Unit) -> str:
    return NOTHING if value is None else f"{value:.4g} {unit}"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    body = [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *body]


def _escaped(text: str) -> str:
    return " ".join(redact(text).replace("<", "&lt;").replace("|", "\\|").split())


def _flat(text: str) -> str:
    """`text` on one line, without excerpts of logs and without folders of this machine."""
    return without_folders(" ".join(re.sub(LOG, "", text).split()))[:600]


def _first_line(text: str) -> str:
    return _flat(text.splitlines()[0] if text else "").removeprefix("found: ")[:160]
