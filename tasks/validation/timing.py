"""Times a candidate beside the baseline in several processes, and puts what they found together.

A process keeps its memory layout, its CPUs and the huge pages that it happened to get. They change speed by
some percent, in the same way in all of its calls, so more calls do not help against them. Example: two arrays
that the caches map to the same lines, in one process and not in the next. So each process is one draw of
them, and they are drawn on purpose: memory is displaced by random amounts and each process runs on other
CPUs.

Sources: Mytkowicz, Diwan, Hauswirth and Sweeney 2009, "Producing wrong data without doing anything obviously
wrong", doi:10.1145/1508244.1508275; Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time",
doi:10.1145/2491894.2464160.

`time_process` runs in the isolated process only.
"""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from paddle_int8.tasks.config.validation import Reference
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.evidence import LatencyEvidence
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.paddle.predictor import open_predictor
from paddle_int8.tasks.engines.paddle.switches import BF16, NATIVE_FP32
from paddle_int8.tasks.hardware.disturbance import Reading, disturbance, reading
from paddle_int8.tasks.hardware.levels import rank
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.validation.latency import interleave, turns
from paddle_int8.tasks.validation.load import latency_batches
from paddle_int8.tasks.validation.request import MeasureRequest, prepare, require_undisturbed
from paddle_int8.tasks.validation.speed import latency_summary, speed_ratio
from paddle_int8.tasks.validation.stopwatch import Stopwatch

T = TypeVar("T")
NATIVE = Reference.NATIVE_FP32.value
REFERENCES = {Reference.NATIVE_FP32: NATIVE_FP32, Reference.BF16: BF16}
"""How Paddle's predictor opens the FP32 model for each of them."""
BLOCKS, LONGEST_BLOCK = 16, 64 << 10
"""How many blocks displace the heap, and the longest in bytes: below malloc's threshold of 128 KiB, beyond
which a block is mapped by itself."""
PAGES_OF_A_HUGE_PAGE = (2 << 20) // mmap.PAGESIZE
DEEPEST = 64
"""Most levels of calls that displace the stack. Each takes some hundred bytes, so that all levels together
reach every offset within a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTiming:
    """What one process timed.

    samples_ms: [rounds * calls] by subject. ends: the host's counters before and after.
    seconds: how long all calls took, untimed ones too; waited_s: how much of it they waited for a CPU.
    """

    samples_ms: dict[str, NDArray[np.float64]]
    skipped: dict[str, str]
    ends: tuple[Reading, Reading]
    seconds: float
    waited_s: float


def time_process(request: MeasureRequest, place: int) -> ProcessTiming:
    """Times all subjects in turns. place: the position of this process among those of the measurement.

    Raises: MeasurementError when oneDNN uses another instruction set than `request.isa` or the predictors
    disturb one another; ModelFormatError when a model cannot be opened.
    """
    prepare(request, place)
    return displaced(random.Random(), partial(_timed, request, place))


def displaced(draw: random.Random, function: Callable[[], T]) -> T:
    """Calls `function` with the heap, mapped memory and the stack displaced by random amounts."""
    blocks = [bytearray(draw.randrange(LONGEST_BLOCK)) for _ in range(BLOCKS)]
    with mmap.mmap(-1, mmap.PAGESIZE * draw.randint(1, PAGES_OF_A_HUGE_PAGE)):
        found = _deeper(draw.randrange(DEEPEST), function)
    del blocks
    return found


def _deeper(levels: int, function: Callable[[], T]) -> T:
    """Calls `function` so many levels deeper. Calls from Python to Python alone would not use the stack."""
    return next(_deeper(levels - 1, function) for _ in (None,)) if levels else function()


def _timed(request: MeasureRequest, place: int) -> ProcessTiming:
    config = request.config
    feeds = latency_batches(BatchReader(request.validation, request.model.inputs), config.batch_size)
    candidate = request.open_candidate()
    alone = candidate.run(feeds[0])
    references, skipped = ({}, {}) if request.emulated else _references(request)
    subjects = {"baseline": open_predictor(request.baseline_spec()), "candidate": candidate} | references
    for predictor in subjects.values():
        run_all(predictor, feeds)  # builds the kernels of every shape
    rounds, calls = turns(config.repeats, config.processes)
    done, total, told = place * rounds, config.processes * rounds, f"rounds timed on {request.isa}"
    with Stopwatch(config.threads) as stopwatch:
        before = reading()
        samples = interleave(
            {name: partial(run_all, predictor, feeds) for name, predictor in subjects.items()},
            stopwatch,
            warmup=config.warmup,
            rounds=rounds,
            calls=calls,
            seed=request.seed + place,
            after_round=lambda ended: report(request.timing_step, done + ended, total, told),
        )
        ends = before, reading()
    require_undisturbed(alone, candidate.run(feeds[0]))
    return ProcessTiming(
        samples_ms={name: values / len(feeds) for name, values in samples.items()},
        skipped=skipped,
        ends=ends,
        seconds=stopwatch.seconds,
        waited_s=stopwatch.waited_s,
    )


def latency_evidence(request: MeasureRequest, timings: Sequence[ProcessTiming]) -> LatencyEvidence:
    """The latencies of all processes, the ratios and their intervals."""
    config = request.config
    samples = {
        name: np.concatenate([each.samples_ms[name] for each in timings]) for name in timings[0].samples_ms
    }
    _, calls = turns(config.repeats, config.processes)
    seconds = sum(each.seconds for each in timings)
    disturbed = disturbance(
        [each.ends for each in timings],
        waited_share=sum(each.waited_s for each in timings) / seconds,
    )
    ratio = partial(
        speed_ratio,
        candidate_ms=samples["candidate"],
        processes=len(timings),
        calls=calls,
        confidence=request.confidence,
        disturbance=disturbed,
    )
    return LatencyEvidence(
        threads=config.threads,
        batch_size=config.batch_size,
        warmup=config.warmup,
        calls=calls,
        summaries={
            name: latency_summary(values, batch_size=config.batch_size) for name, values in samples.items()
        },
        samples_ms={name: tuple(values.tolist()) for name, values in samples.items()},
        speedup=ratio(samples["baseline"]),
        native_speedup=ratio(samples[NATIVE]) if NATIVE in samples else None,
        skipped=timings[0].skipped,
        disturbance=disturbed,
    )


def run_all(predictor: Predictor, feeds: Sequence[Feed]) -> None:
    """Runs all batches once. One such pass counts as one call, so the model's weights stay in the caches."""
    for feed in feeds:
        predictor.run(feed)


def _references(request: MeasureRequest) -> tuple[dict[str, Predictor], dict[str, str]]:
    """Opens the references of the configuration; returns them, and for each that cannot run the reason."""
    opened: dict[str, Predictor] = {}
    skipped: dict[str, str] = {}
    for each in request.config.references:
        if each is Reference.BF16 and rank(request.isa) < rank(IsaLevel.AVX512_CORE):
            skipped[each.value] = (
                f"Paddle ends the process when BF16 is asked for under {request.isa}; "
                f"it needs {IsaLevel.AVX512_CORE}"
            )
        else:
            opened[each.value] = open_predictor(request.baseline_spec(REFERENCES[each]))
    return opened, skipped
