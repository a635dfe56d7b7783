"""Measures what each quantized operator costs the model's outputs, by itself. Isolated process only.

Each operator is quantized while all others stay FP32, in a simulation that needs no conversion: n operators
cost n inferences of a few samples. So the figures hold whatever lies behind an operator, where methods that
linearise the network (HAWQ, arXiv:1905.03696) need gradients and small errors. Noise of different operators
is nearly independent, so the powers add up; `added_db` beside `together_db` shows how nearly.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import ModelArtifact
from paddle_int8.tasks.contracts.sensitivity import OperatorInput, OperatorSensitivity
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.quantization.preparation import prepared
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.validation.noise import Noise

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.simulated import Scale
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

STEP = "sensitivity"
SAMPLES = 8
"""How many samples are run. Noise is averaged over all values of an output, so few samples suffice."""
AT_ONCE = 16
"""How many operators' outputs in FP32 are in memory at a time."""
OUTLIERS, CLIPPED, COARSE_DB = 20.0, 0.01, 20.0
"""The widest channel, the clipped share and the SQNR of an operator's own output from which on they are named
as the reason. Rounding alone leaves a tensor of well-spread values 30 to 40 dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRequest:
    """A candidate that was quantized as `made` says, into the folder of `made`.

    operators: the output tensors of its quantized operators, in the order of the program.
    """

    made: PtqRequest
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityOutcome:
    """See `tasks.contracts.sensitivity.Sensitivity`."""

    samples: int
    together_db: float
    added_db: float
    operators: tuple[OperatorSensitivity, ...]
    seconds: float


def measure_sensitivity(request: SensitivityRequest) -> SensitivityOutcome:
    """Quantizes the operators one by one and together, and compares the outputs with FP32.

    That is the FP32 model from which the candidate was quantized: the given one, or as its algorithm changed
    or trained it.
    """
    with prepared(request.made) as changed:
        return _measured(changed, request.operators)


def _measured(made: PtqRequest, operators: tuple[str, ...]) -> SensitivityOutcome:
    from paddle_int8.tasks.data.reader import BatchReader
    from paddle_int8.tasks.engines.paddle.program import load_program

    started = time.monotonic()
    loaded = load_program(find_model(ModelFiles(path=made.model.folder)))
    scales: dict[str, Scale] = json.loads((made.folder / "scales.json").read_text(encoding="utf-8"))
    reader = BatchReader(made.calibration, made.model.inputs)
    size = _batch(made.model)
    feed = next(iter(reader.batches(size, limit=size)))
    network = _Network(loaded, scales, feed)
    exact = network.run((), loaded.fetches)
    found: list[OperatorSensitivity] = []
    for start in range(0, len(operators), AT_ONCE):
        names = operators[start : start + AT_ONCE]
        for name, own in zip(names, network.run((), names), strict=True):
            report(STEP, len(found), len(operators), name)
            found.append(network.alone(name, own, exact))
    together = _worst_db(exact, network.run(operators, loaded.fetches))
    noise = [10 ** (-each.output_sqnr_db / 10) for each in found]
    return SensitivityOutcome(
        samples=len(next(iter(feed.values()))),
        together_db=together,
        added_db=-10 * math.log10(max(sum(noise), 1e-20)),
        operators=tuple(_with_share(each, noise) for each in found),
        seconds=time.monotonic() - started,
    )


def _batch(model: ModelArtifact) -> int:
    """How many samples are run at once: as many as the model demands, else `SAMPLES`."""
    demanded = [spec.shape[0] for spec in model.inputs if not spec.sequence and spec.shape[:1] > (0,)]
    return demanded[0] if demanded else SAMPLES


@dataclass(frozen=True, slots=True)
class _Network:
    """The FP32 program, the thresholds of its tensors, and the batch that is run."""

    loaded: LoadedProgram
    scales: Mapping[str, Scale]
    feed: Feed

    def run(self, quantized: Collection[str], names: Sequence[str]) -> list[Array]:
        """The tensors `names` while the operators that write `quantized` are rounded."""
        import paddle

        from paddle_int8.tasks.engines.paddle.quantization.tensors import fed
        from paddle_int8.tasks.engines.paddle.simulated import simulated

        copy = simulated(self.loaded, quantized, self.scales)
        executor = paddle.static.Executor(paddle.CPUPlace())
        with paddle.static.scope_guard(copy.scope):
            found = executor.run(
                copy.program,
                feed=fed(self.feed, self.loaded.feeds),
                fetch_list=list(names),
                return_numpy=False,
            )
        return [np.array(tensor) for tensor in found]

    def alone(self, name: str, own_exact: Array, exact: Sequence[Array]) -> OperatorSensitivity:
        """The operator that writes `name`, measured against its own output and the model's in FP32."""
        from paddle_int8.tasks.engines.paddle.blocks import writer
        from paddle_int8.tasks.engines.paddle.layer_names import named

        block = self.loaded.program.global_block()
        op = writer(block, name)
        assert op is not None, name
        read = [each for each in named(op).reads if each in self.scales]
        own, *rest = self.run((name,), [name, *read, *self.loaded.fetches])
        activations, outputs = rest[: len(read)], rest[len(read) :]
        inputs = tuple(
            _input(block, op, each, self.scales[each], values)
            for each, values in zip(read, activations, strict=True)
        )
        own_db = _worst_db([own_exact], [own])
        return OperatorSensitivity(
            layer=named(op).layer,
            type=op.type,
            tensor=name,
            output_sqnr_db=_worst_db(exact, outputs),
            own_sqnr_db=own_db,
            noise_share=0.0,
            inputs=inputs,
            reason=_reason(inputs, own_db),
        )


def _worst_db(exact: Sequence[Array], found: Sequence[Array]) -> float:
    noise = Noise()
    noise.add(exact, found)
    return noise.sqnr_db


def _with_share(each: OperatorSensitivity, noise: Sequence[float]) -> OperatorSensitivity:
    return replace(each, noise_share=10 ** (-each.output_sqnr_db / 10) / max(sum(noise), 1e-20))


def _input(block: Block, op: Operator, name: str, scale: Scale, values: Array) -> OperatorInput:
    magnitudes, threshold = np.abs(values), float(np.max(scale))
    return OperatorInput(
        tensor=name,
        threshold=threshold,
        greatest=float(magnitudes.max(initial=0.0)),
        clipped_share=float((magnitudes > threshold * (1 + 1e-6)).mean()),
        channel_spread=_channel_spread(magnitudes, _channels(op, magnitudes.ndim)),
    )


def _channels(op: Operator, dimensions: int) -> int | None:
    """The axis of an activation's channels: the second of pictures, the last of rows and channels-last."""
    if dimensions < 2:
        return None
    last = dimensions < 4 or (op.has_attr("data_format") and str(op.attr("data_format")).endswith("C"))
    return dimensions - 1 if last else 1


def _channel_spread(magnitudes: Array, axis: int | None) -> float | None:
    if axis is None or magnitudes.shape[axis] < 2 or magnitudes.size == 0:
        return None
    others = tuple(other for other in range(magnitudes.ndim) if other != axis)
    greatest = magnitudes.max(axis=others)
    return float(greatest.max() / max(float(np.median(greatest)), 1e-12))


def _reason(inputs: Sequence[OperatorInput], own_db: float) -> str:
    """What most likely makes the operator lose much; "" when it loses little."""
    if own_db >= COARSE_DB:
        return ""
    for each in inputs:
        if each.clipped_share >= CLIPPED:
            share = f"{100 * each.clipped_share:.2g} % of the values of {each.tensor}"
            return f"{share} are beyond its threshold {each.threshold:.3g}"
    for each in inputs:
        if each.channel_spread is not None and each.channel_spread >= OUTLIERS:
            return (
                f"one channel of {each.tensor} is {each.channel_spread:.0f} times as wide as the median one"
            )
    wide = max(inputs, key=lambda each: each.greatest / max(each.threshold, 1e-12), default=None)
    if wide is not None and wide.greatest > 2 * wide.threshold:
        ratio = wide.greatest / max(wide.threshold, 1e-12)
        return f"values of {wide.tensor} reach {ratio:.1f} times its threshold"
    return "its inputs or its weights have few values near their greatest"
