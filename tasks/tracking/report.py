"""Writes the report of a release: a self-contained HTML page, and a short Markdown text for Prefect.

The page needs no script, network or font, so it opens from a mail, from a disk and in MLflow's sandboxed
frame.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.evidence import Fp32Layer, IsaEvidence
from paddle_int8.tasks.contracts.verdict import CriterionResult, Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.tracking.changes import Changes
from paddle_int8.tasks.tracking.connection import redact
from paddle_int8.tasks.tracking.given import given_rows
from paddle_int8.tasks.tracking.plots import Plot, Scales, release_plots
from paddle_int8.tasks.tracking.runs import config_yaml, versions
from paddle_int8.tasks.tracking.sensitivity import (
    HEADS,
    advice,
    measured_sentence,
    sensitivity_plot,
    worst_rows,
)
from paddle_int8.tasks.tracking.summary import (
    MARKS,
    audit_sentence,
    candidate_rows,
    correction_sentence,
    disturbance_sentence,
    focus,
    headline,
    looks_sentences,
    metric_label,
    percent,
    reference_rows,
    signed,
)

TEMPLATES = Path(__file__).parent / "templates"
MIB = 1 << 20
FP32_LAYERS_SHOWN = 30
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')
CODE = re.compile(r"`([^`]+)`")


def render_html(
    release: Release,
    config: ReleaseConfig,
    why: tuple[str, ...],
    scales: Scales,
    plots: Mapping[str, Plot] | None = None,
    changes: Changes | None = None,
) -> str:
    """The report as an HTML page.

    `why` is the diagnosis in plain words. `scales` are the thresholds by candidate name. `plots` are those of
    `report_plots`; they are drawn here when they are not given. `changes` are the samples that INT8 answers
    otherwise than FP32.
    """
    drawn = report_plots(release, config, scales) if plots is None else plots
    focused = focus(release)
    evidence, verdict = focused or (None, None)
    native = evidence.per_isa[0] if evidence else None
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            release=release,
            headline=headline(release),
            marks=MARKS,
            why=why,
            evidence=evidence,
            verdict=verdict,
            native=native,
            note=LAYOUTS.find(evidence.candidate.layout).note if evidence else "",
            looks=_looks(release),
            costs=_costs(release),
            cost_heads=HEADS,
            cost_rows=worst_rows(release.sensitivity) if release.sensitivity else [],
            given=given_rows(release),
            paddles=[(each.paddle, each.measured or each.error) for each in evidence.runtimes]
            if evidence
            else [],
            criteria=sorted(verdict.results, key=_urgency) if verdict else [],
            tally=_tally(verdict.results) if verdict else "",
            rows=candidate_rows(release),
            references=reference_rows(native) if native else (),
            audit_sentence=audit_sentence(native) if native else "",
            disturbance_sentence=disturbance_sentence(native) if native else "",
            fp32_layers=_slowest(native) if native else [],
            fp32_layers_hidden=max(0, len(native.audit.fp32_layers) - FP32_LAYERS_SHOWN) if native else 0,
            plots=drawn,
            changes=changes,
            versions=versions(),
            config=config,
            config_yaml=config_yaml(config),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "mib": _mib,
        "pct": _pct,
        "signed": signed,
        "share": percent,
        "label": metric_label,
        "redact": redact,
        "prose": _prose,
        "contents": _contents,
        "embedded": lambda plot: base64.b64encode(plot.svg).decode(),
    }
    environment.filters |= filters
    return environment


def report_plots(release: Release, config: ReleaseConfig, scales: Scales) -> dict[str, Plot]:
    """The figures that this release has data for, by name."""
    plots = release_plots(release, config, scales)
    return plots | {"sensitivity": sensitivity_plot(release.sensitivity)} if release.sensitivity else plots


def render_markdown(release: Release, why: tuple[str, ...]) -> str:
    """The report as a short Markdown text for Prefect's page of the flow run, with the verdict first."""
    said = headline(release)
    code = f" `{_cell(said.code)}`" if said.code else ""
    lines = [f"# {said.word}: {_cell(release.name)}", "", _cell(said.sentence), ""]
    lines += [f"**But:** {_cell(said.beside)}", ""] if said.beside else []
    lines += [f"**Next:** {_cell(said.next_step)}{code}"]
    focused = focus(release)
    if focused and focused[1]:
        lines += ["", f"## Criteria of {focused[0].candidate.name}", ""]
        lines += [_criterion(item) for item in sorted(focused[1].results, key=_urgency)]
    if release.evidence:
        lines += ["", f"## Candidates on {release.evidence[0].per_isa[0].isa}", "", *_candidates(release)]
        native = (focused or (release.evidence[0], None))[0].per_isa[0]
        lines += _outputs(native)
        lines += ["", _cell(audit_sentence(native))]
        lines += ["", _cell(disturbed)] if (disturbed := disturbance_sentence(native)) else []
    for row in given_rows(release):
        lines += ["", f"## {_cell(row.name)}, quantized elsewhere", "", f"It is {_cell(row.form)}.", ""]
        lines += [f"- {_cell(finding)}" for finding in row.findings]
    if looks := _looks(release):
        lines += ["", "## Looks at the validation samples", "", *map(_cell, looks)]
    if release.sensitivity:
        lines += ["", "## What each layer costs", "", *map(_cell, _costs(release)), ""]
        lines += _table(HEADS, worst_rows(release.sensitivity))
    if why:
        lines += ["", "## Why", "", *(f"- {_cell(reason)}" for reason in why)]
    for name, data in (("Calibration", release.calibration), ("Validation", release.validation)):
        if data.notes:
            lines += ["", f"## {name} data", "", *(f"- {_cell(note)}" for note in data.notes)]
    if release.failed:
        failures = [(item.candidate.name, item.step, item.error) for item in release.failed]
        lines += ["", "## Failed", "", *_table(("Candidate", "Step", "Message"), failures)]
    return "\n".join(lines) + "\n"


def _criterion(result: CriterionResult) -> str:
    """An item of a list rather than a row: Prefect's page would cut a table of so long sentences."""
    where = f" on {result.isa}" if result.isa else ""
    said = f"{result.found}; required {result.required}"
    remedy = f". Remedy: {result.remedy}" if result.outcome is not Outcome.APPROVED else ""
    return f"- {MARKS[result.outcome]} **{_cell(result.criterion)}**{where}: {_cell(said + remedy)}"


def _looks(release: Release) -> tuple[str, ...]:
    """How often the validation samples were looked at, and what that cost the candidate of the report."""
    if release.looks is None:
        return ()
    focused = focus(release)
    paid = correction_sentence(focused[0]) if focused else ""
    said = looks_sentences(release.looks)
    return (said[0], *filter(None, [paid]), *said[1:])


def _costs(release: Release) -> tuple[str, ...]:
    """What was measured of the operators, and what follows from it, in sentences."""
    if release.sensitivity is None:
        return ()
    return tuple(filter(None, (measured_sentence(release.sensitivity), advice(release))))


def _candidates(release: Release) -> list[str]:
    rows = candidate_rows(release)
    heads = ["Candidate"]
    for metric in rows[0].metrics:
        label = metric_label(metric.name)
        heads += [f"{label} FP32 %", "INT8 %", "Difference"]
    heads += ["FP32 /s", "INT8 /s", "Speed-up", "Verdict"]
    body = []
    for row in rows:
        cells = [f"**{row.name}**" if row.chosen else row.name]
        for metric in row.metrics:
            cells += [
                f"{100 * metric.baseline:.2f}",
                f"{100 * metric.candidate:.2f}",
                signed(-metric.drop_pp),
            ]
        cells += [
            f"{row.baseline.throughput_per_s:.1f}",
            f"{row.candidate.throughput_per_s:.1f}",
            f"{row.speedup.ratio:.2f}× ({row.speedup.low:.2f}–{row.speedup.high:.2f})",
            row.outcome.value if row.outcome else "",
        ]
        body.append(tuple(cells))
    return _table(tuple(heads), body)


def _outputs(item: IsaEvidence) -> list[str]:
    """The table of the model's outputs, one row each."""
    rows = [
        (
            output.name,
            output.kind.value,
            output.why,
            ", ".join(map(metric_label, output.judged_by)),
            "" if output.agreement is None else f"{100 * output.agreement:.2f} %",
            "" if output.sqnr_db is None else f"{output.sqnr_db:.1f} dB",
        )
        for output in item.outputs
    ]
    heads = ("Output", "Holds", "Because", "Judged by", "Agreement", "SQNR")
    return ["", "## Outputs", "", *_table(heads, rows)] if rows else []


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows),
    ]


def _cell(text: str) -> str:
    """Escapes foreign text, so that it cannot end a cell, open a tag or start a line."""
    escaped = redact(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.split())


def _prose(text: str) -> Markup:
    """A sentence for the page, without secrets, in which what stands in backticks is set as code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(redact(text)))))


def _contents(body: Markup) -> Markup:
    """Links to the sections of the page, which show what it holds."""
    links = Markup("\n").join(
        Markup('<a href="#{}">{}</a>').format(place, Markup(title)) for place, title in HEADING.findall(body)
    )
    return Markup('<nav class="contents">{}</nav>').format(links)


def _tally(results: Sequence[CriterionResult]) -> str:
    """How many criteria had which outcome: `8 criteria: 1 rejected, 7 approved.`"""
    outcomes = [result.outcome for result in sorted(results, key=_urgency)]
    counts = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    return f"{counted(len(outcomes), 'criterion', 'criteria')}: {counts}."


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:.1f}"


def _pct(share: float) -> str:
    return f"{100 * share:.2f}"


def _urgency(result: CriterionResult) -> int:
    """Sort key: rejected criteria come first, approved ones last."""
    return (Outcome.REJECTED, Outcome.INCONCLUSIVE, Outcome.APPROVED).index(result.outcome)


def _slowest(item: IsaEvidence) -> list[Fp32Layer]:
    return sorted(item.audit.fp32_layers, key=lambda layer: -layer.time_ms)[:FP32_LAYERS_SHOWN]
