"""The sentences of a check, on the terminal and on its page alike."""

from __future__ import annotations

from paddle_int8.tasks.contracts.wording import counted, duration, points
from paddle_int8.tasks.preview.findings import Check, DataFindings, Forecast, Score

GIB = 1 << 30


def data_sentence(data: DataFindings) -> str:
    labels = f", {counted(data.classes, 'class', 'classes')}" if data.labelled else ", without labels"
    read = "" if data.read == data.samples else f"; {data.read} were read for this check"
    return f"{data.samples:,} of {data.found:,} samples in {data.source}{labels}{read}"


def score_sentence(score: Score) -> str:
    return f"{score.metric} {100 * score.value:.1f} % on {counted(score.samples, 'sample')}"


def margin_sentence(found: Check) -> str:
    """How many samples the margin needs, and which margin the samples can decide."""
    fewest = counted(found.fewest_samples, "sample")
    needed = f"a margin of {points(f'{found.max_drop_pp:g}')} needs {fewest} at the least"
    there = found.deciding_samples
    if there >= found.fewest_samples:
        few = f", and it needs {found.fewest_for_all:,} if the candidates err on different ones"
        return (
            f"{needed}, if INT8 loses none of them; there are {there:,}"
            f"{few if there < found.fewest_for_all else ''}"
        )
    return f"{needed}; {there:,} can decide {points(f'{found.decidable_pp:g}')} or more"


def forecast_sentence(forecast: Forecast, candidates: int) -> str:
    return (
        f"{counted(candidates, 'candidate')}, {duration(forecast.seconds_low)} to "
        f"{duration(forecast.seconds_high)} on a host with nothing else to do, and about "
        f"{forecast.memory_bytes / GIB:.1f} GiB of memory"
    )
