"""Estimates how long a release will take and how much memory it needs, from what a check measured.

The factors were fitted to releases on a host with nothing else to do; docs/benchmarks/index.md compares the
estimates with what those took.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.preview.findings import Forecast
from paddle_int8.tasks.validation.latency import LONG_CALL_MS, WARM_UP_MS, turns

START_S, END_S = 10.0, 4.0
"""Prefect's server, MLflow and the imports; the bundle, the registration and the report."""
CANDIDATE_S = 2.5
"""What each candidate costs whatever the model: its processes, the passes, the records in MLflow."""
CALIBRATION_RUNS = 4.5
"""Calibrating on a sample takes as long as this many runs of FP32 on oneDNN."""
NATIVE_RUNS = 2.5
"""Running a calibration sample on oneDNN and in Paddle's own kernels, which take longer."""
EXTRA_CALLS = 35
"""Audits and PaddleSlim's simulation, as runs of FP32."""
LOADS = 7
"""How often a candidate's model is loaded, by the conversion and by what is timed."""
SUBJECTS = 2
"""What is timed beside the references: the baseline and the candidate."""
SPREAD = 1.5
"""A release takes between the estimate divided and multiplied by it."""
SERVERS_BYTES = 800 << 20
"""Prefect's temporary server, the program with MLflow's client, and the server of isolated processes."""
WEIGHT_COPIES, ACTIVATIONS = 3, 170
"""Quantizing holds so many copies of the weights, and so many times the inputs of a batch as activations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a check measured. Times are those of FP32 on oneDNN.

    call_ms: one inference of `validation.batch_size` samples; sample_ms: one sample of a larger batch.
    draw_s: reading one sample.
    calibration, validation: how many samples a release takes.
    size_bytes: of the model on disk; input_bytes: of one sample as the model takes it.
    """

    load_ms: float
    call_ms: float
    sample_ms: float
    draw_s: float
    calibration: int
    validation: int
    peak_memory_bytes: int
    size_bytes: int
    input_bytes: int


def forecast(config: ReleaseConfig, measured: Measured, *, candidates: int, parallel: int) -> Forecast:
    """candidates: how many are built; parallel: how many of them at the same time."""
    together = max(1, min(parallel, candidates))
    isas = 1 + len(config.validation.deploy_isas)
    seconds = (
        START_S
        + (measured.calibration + measured.validation) * measured.draw_s
        + isas * _baseline_s(measured)
        + candidates * (_built_s(measured) / together + _validated_s(config, measured))
        + END_S
    )
    quantizing = (
        measured.peak_memory_bytes
        + WEIGHT_COPIES * measured.size_bytes
        + ACTIVATIONS * config.data.calibration_batch_size * measured.input_bytes
    )
    return Forecast(
        seconds=seconds,
        seconds_low=seconds / SPREAD,
        seconds_high=seconds * SPREAD,
        memory_bytes=round(SERVERS_BYTES + together * quantizing),
    )


def _baseline_s(measured: Measured) -> float:
    """FP32 runs on all samples, and is compared with Paddle's own kernels on those of the calibration."""
    runs = measured.validation + NATIVE_RUNS * measured.calibration
    return (runs * measured.sample_ms + 3 * measured.load_ms) / 1e3


def _built_s(measured: Measured) -> float:
    return CALIBRATION_RUNS * measured.calibration * measured.sample_ms / 1e3


def _validated_s(config: ReleaseConfig, measured: Measured) -> float:
    """Accuracy and latency on the instruction set that serves, with the references, and on emulated ones."""
    validation = config.validation
    on_each = measured.validation * measured.sample_ms + EXTRA_CALLS * measured.call_ms
    again_ms = (validation.processes - 1) * measured.load_ms  # each further process opens all that it times
    subject_ms = _turns_ms(config, measured.call_ms) + again_ms
    native = LOADS * measured.load_ms + on_each + subject_ms * (SUBJECTS + len(validation.references))
    emulated = SUBJECTS * measured.load_ms + on_each + subject_ms * SUBJECTS
    return CANDIDATE_S + (native + len(validation.deploy_isas) * emulated) / 1e3


def _turns_ms(config: ReleaseConfig, call_ms: float) -> float:
    """All turns of one subject (`tasks.validation.latency`), if it takes as long as FP32."""
    processes = config.validation.processes
    rounds, calls = turns(config.validation.repeats, processes)
    warm_up = 0.0
    if call_ms < LONG_CALL_MS:
        warm_up = min(config.validation.warmup, math.ceil(WARM_UP_MS / max(call_ms, 1e-3))) * call_ms
    return processes * rounds * (warm_up + calls * call_ms)
