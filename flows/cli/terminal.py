"""Prints for a person: progress while a command runs, and its result as a table when it is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from paddle_int8.flows.cli.sensitivity_table import print_worst
from paddle_int8.tasks.contracts.artifacts import Candidate, HostProfile
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.contracts.evidence import IsaEvidence, KernelAudit
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.verdict import Release, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.contracts.wording import counted, duration, so_far
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.tracking.connection import redact
from paddle_int8.tasks.tracking.sensitivity import WORST, advice
from paddle_int8.tasks.tracking.summary import headline, looks_sentences

RARER = 2.0
"""A wait is reported again when it has lasted this many times as long as at the previous report."""
BETWEEN = "between steps"
WIDEST = 1000
"""More columns than any table has."""
COLOURS = {Outcome.APPROVED: "green", Outcome.REJECTED: "red", Outcome.INCONCLUSIVE: "yellow"}


class StepDisplay:
    """Shows a live line for each running step, and prints a lasting line for each ended one."""

    def __init__(
        self, console: Console, *, between: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """between: what the program does while no step is running; "" when it may be waiting for a person."""
        self._console, self._clock, self._between = console, clock, between
        self._next_word: dict[str, float] = {}
        self._latest: dict[str, progress.Progress] = {}
        self._lock = threading.Lock()
        self._lines: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]:>11}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            transient=True,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        over = threading.Event()
        self._started.setdefault(BETWEEN, self._clock())
        teller = threading.Thread(target=self._tell_on, args=(over,), name="tell of steps", daemon=True)
        with self._bars, progress.listen(self.show):
            teller.start()
            try:
                yield
            finally:
                over.set()
                teller.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the terminal to a question for as long as the context is open."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def show(self, event: progress.Progress) -> None:
        """Shows one progress report. Any thread may call it."""
        with self._lock:
            if event.ended and event.step != event.whole:
                self._end_part(event.whole)
            elif event.ended:
                self._end(event)
                self._started[BETWEEN] = self._clock()
            else:
                self._remove(BETWEEN)
                self._update(event)
                if event.waits and event.note:
                    self._say(event)

    def tell_silence(self) -> None:
        """Says how long the running steps have been at work, or that none is, after `QUIET_S` of it."""
        with self._lock:
            for event in tuple(self._latest.values()):
                if not event.waits and self._lasts(event.whole) >= progress.QUIET_S:
                    self._say(event)
            if self._between and not self._latest.keys() - {BETWEEN}:
                lasts = self._lasts(BETWEEN)
                if lasts >= progress.QUIET_S:
                    note = f"{self._between}: {so_far(lasts, None)}"
                    event = progress.Progress(step=BETWEEN, done=0, total=0, note=note, waits=True)
                    self._update(event)
                    self._say(event)

    def _tell_on(self, over: threading.Event) -> None:
        while not over.wait(progress.AGAIN_S):
            self.tell_silence()

    def _lasts(self, step: str) -> float:
        return self._clock() - self._started.get(step, self._clock())

    def _update(self, event: progress.Progress) -> None:
        step = event.whole
        self._latest[step] = event
        if step not in self._lines:
            self._lines[step] = self._bars.add_task(step, total=None, count="", note="")
            self._started.setdefault(step, self._clock())
        self._bars.update(
            self._lines[step],
            total=event.total or None,
            completed=event.done,
            count=_count(event),
            note=escape(_part(event) if event.waits else _limited(event)),
        )

    def _say(self, event: progress.Progress) -> None:
        """Prints a line about a step when the output is no terminal, such as a log file.

        The first line comes at once, further ones after ever longer times.
        """
        if self._console.is_terminal:
            return
        lasts = self._lasts(event.whole)
        if lasts >= self._next_word.get(event.whole, 0.0):
            self._next_word[event.whole] = RARER * max(lasts, 1.0)
            at_work = " ".join(filter(None, (_count(event), _part(event)))) or "at work"
            time_told = f"{so_far(lasts, event.limit_s)}{_of_part(event)}"
            said = event.note if event.waits else f"{at_work}: {time_told}"
            self._console.print(f"  {event.whole}: {said}", highlight=False, markup=False, soft_wrap=True)

    def _remove(self, step: str) -> None:
        self._latest.pop(step, None)
        self._next_word.pop(step, None)
        if (line := self._lines.pop(step, None)) is not None:
            self._bars.remove_task(line)

    def _end_part(self, step: str) -> None:
        """Takes back what only held for a part of `step`: its wait. What was counted last stays in sight."""
        if step in self._latest and self._latest[step].waits:
            self._update(progress.Progress(step=step, done=0, total=0))

    def _end(self, event: progress.Progress) -> None:
        self._remove(event.step)
        if event.note:
            seconds = self._clock() - self._started.pop(event.step, self._clock())
            mark = "[red]✗[/]" if event.note == progress.FAILED else "[green]✓[/]"
            first, *more = event.note.split(" · ")
            grid = Table.grid(padding=(0, 1))
            grid.add_row(mark, f"{event.step:<24}", f"{escape(first)} [dim]{seconds:.1f} s[/]")
            for extra in more:
                grid.add_row(
                    "", "", Text(extra, style="yellow" if extra.startswith(progress.WARNING) else "")
                )
            self._console.print(grid, highlight=False)


def _part(event: progress.Progress) -> str:
    """What the step is doing: in its own words, or else the name of its part."""
    return event.note or (event.step if event.step != event.whole else "")


def _limited(event: progress.Progress) -> str:
    """What the step is doing, and how long that takes at most, for a line that shows the time itself."""
    at_most = "" if event.limit_s is None else f"at most {duration(event.limit_s)}{_of_part(event)}"
    return ", ".join(filter(None, (_part(event), at_most)))


def _of_part(event: progress.Progress) -> str:
    """What a limit is for, where the step has parts."""
    return " for this part" if event.limit_s is not None and event.step != event.whole else ""


def _count(event: progress.Progress) -> str:
    return f"{event.done}/{event.total}" if event.total else ""


def print_error(console: Console, error: PipelineError) -> None:
    """Prints the three parts of an error message: found, required, remedy."""
    console.print(f"[bold red]{type(error).__name__}[/]", highlight=False)
    for part in ("found", "required", "remedy"):
        console.print(f"  [bold]{part:<9}[/]", end="")
        console.print(getattr(error, part), markup=False, highlight=False, soft_wrap=True)


def print_host(console: Console, host: HostProfile) -> None:
    rows = {
        "CPU": f"{host.cpu_model} ({host.microarchitecture})",
        "instruction set": f"{host.isa.value} (oneDNN {host.onednn_version}: {host.onednn_isa})",
        "full AVX-512": "yes" if host.full_avx512 else "no",
        "cores": f"{host.usable_cores:g} usable of {host.cores}",
        "memory": f"{host.memory_bytes / 2**30:.1f} GiB",
        "published speed-up": f"{host.band.low:g}-{host.band.high:g}x ({host.band.source})"
        if host.band
        else "none: not a target of the published procedure",
        "can emulate": ", ".join(isa.value for isa in host.emulates) or "nothing lower",
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        grid.add_row(f"[bold]{name}", value)
    console.print(grid, highlight=False)
    for warning in host.warnings:
        console.print(f"[yellow]warning[/]  {warning}", highlight=False, soft_wrap=True)


def print_release(console: Console, release: Release) -> None:
    """Prints the table of candidates, the verdict, and where to find the run, the report and the model."""
    verdicts = {verdict.candidate: verdict for verdict in release.verdicts}
    if release.evidence:
        console.print(_fitted(_candidates(verdicts, release), console))
    for failed in release.failed:
        console.print(
            f"[red]{failed.candidate.name}[/] failed at {failed.step}: {escape(failed.error)}", soft_wrap=True
        )
    if release.chosen and (verdict := verdicts.get(release.chosen)):
        _print_verdict(console, verdict)
    if release.sensitivity:
        _print_costs(console, release, release.sensitivity)
    for sentence in looks_sentences(release.looks) if release.looks else ():
        console.print(sentence, highlight=False, soft_wrap=True)
    console.print(
        f"run      {release.run_id} in {redact(release.tracking_uri)}", highlight=False, soft_wrap=True
    )
    if release.report:
        console.print(f"report   {release.report}", highlight=False, soft_wrap=True)
    if release.registered:
        console.print(f"model    {release.registered.uri}", highlight=False, soft_wrap=True)
    console.print(
        f"\n[bold {COLOURS[release.outcome]}]{release.outcome.value.upper()}[/] in {release.seconds:.0f} s",
        highlight=False,
    )
    if beside := headline(release).beside:
        console.print(f"[yellow]but[/] {escape(beside)}", highlight=False, soft_wrap=True)


def _print_costs(console: Console, release: Release, measured: Sensitivity) -> None:
    console.print(f"\n[bold]What each layer of {measured.candidate.name} costs[/], the worst first:")
    print_worst(console, measured, WORST)
    if said := advice(release):
        console.print(said, highlight=False, markup=False, soft_wrap=True)


def _print_verdict(console: Console, verdict: Verdict) -> None:
    right = verdict.outcome is Outcome.APPROVED
    why = "the fastest approved candidate" if right else "the candidate nearest to the criteria"
    console.print(f"\n[bold]{verdict.candidate.name}[/], {why}:", highlight=False)
    for result in verdict.results:
        mark = {"approved": "✓", "rejected": "✗", "inconclusive": "?"}[result.outcome.value]
        where = f" ({result.isa.value})" if result.isa else ""
        console.print(
            f"  [{COLOURS[result.outcome]}]{mark}[/] {result.criterion}{where}: {result.found}; "
            f"required {result.required}",
            highlight=False,
            soft_wrap=True,
        )
        if result.outcome is not Outcome.APPROVED:
            console.print(f"      [dim]{result.remedy}[/]", highlight=False, soft_wrap=True)


def _candidates(verdicts: dict[Candidate, Verdict], release: Release) -> Table:
    """The table of candidates. FP32's figures are the same for all, so they stand in the title once."""
    first = release.evidence[0].per_isa[0]
    table = Table(
        title=_heading(release, first), title_justify="left", box=None, pad_edge=False, header_style="dim"
    )
    table.add_column("candidate", no_wrap=True)
    for metric in first.metrics:
        table.add_column(f"{metric.title} % (diff)", justify="right", no_wrap=True)
    for heading in ("speed", "INT8", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for item in release.evidence:
        native, outcome = item.per_isa[0], verdicts[item.candidate].outcome
        table.add_row(
            item.candidate.name,
            *(f"{100 * each.candidate:.2f} ({each.change})" for each in native.metrics),
            f"{native.latency.speedup.ratio:.2f}x",
            f"{native.audit.int8_primitives}/{native.audit.compute_operators}",
            f"{item.size_bytes / item.baseline_size_bytes:.2f}",
            f"[{COLOURS[outcome]}]{outcome.value}[/]" + (" ◀" if item.candidate == release.chosen else ""),
        )
    return table


def _fitted(table: Table, console: Console) -> Table:
    """The table, with its columns closer to each other where the console would cut them."""
    if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum > console.width:
        table.padding = (0, 1, 0, 0)
    return table


def _heading(release: Release, native: IsaEvidence) -> str:
    scores = ", ".join(f"{metric.title} {100 * metric.baseline:.2f} %" for metric in native.metrics)
    throughput = native.latency.summaries["baseline"].throughput_per_s
    threads = native.latency.threads
    return (
        f"{release.host.cpu_model}, {release.host.isa}, {counted(threads, 'thread')}, batch "
        f"{native.latency.batch_size}\nFP32 on oneDNN: {scores}, {throughput:.1f}/s"
    )


def print_audit(console: Console, audit: KernelAudit) -> None:
    console.print(
        f"{audit.counted()} ran in INT8, "
        f"{100 * audit.int8_share_by_time:.0f} % of compute time, on {audit.isa}{audit.aside()}",
        highlight=False,
    )
    table = Table("kind", "type", "implementation", "count", "ms")
    for share in audit.shares:
        table.add_row(share.kind, share.dtype, share.implementation, str(share.count), f"{share.time_ms:.3f}")
    console.print(table)
    for layer in audit.fp32_layers:
        console.print(
            f"  {layer.dtype} {layer.kind} {layer.shape} ({layer.time_ms:.3f} ms): {layer.reason}",
            highlight=False,
            soft_wrap=True,
        )
