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
from paddle_int8.tasks.sensitivity.reasons import reason, saturated_share, terms_of, terms_spread
from paddle_int8.tasks.validation.noise import Noise

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.simulated import Scale
    from paddle_int8.tasks.engines.paddle.types import Operator

STEP = "sensitivity"
SAMPLES = 8
"""How many samples are run. Noise is averaged over all values of an output, so few samples suffice."""
AT_ONCE = 16
"""How many operators' outputs in FP32 are in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRequest:
    """A candidate that was quantized as `made` says, into the folder of `made`.

    operators: the output tensors of its quantized operators, in the order of the program.
    saturates: whether sums of two products have 16 bits on a CPU that serves the candidate.
    """

    made: PtqRequest
    operators: tuple[str, ...]
    saturates: bool


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
        return _measured(changed, request.operators, request.saturates)


def _measured(made: PtqRequest, operators: tuple[str, ...], saturates: bool) -> SensitivityOutcome:
    from paddle_int8.tasks.data.reader import BatchReader
    from paddle_int8.tasks.engines.paddle.program import load_program

    started = time.monotonic()
    loaded = load_program(find_model(ModelFiles(path=made.model.folder)))
    scales: dict[str, Scale] = json.loads((made.folder / "scales.json").read_text(encoding="utf-8"))
    reader = BatchReader(made.calibration, made.model.inputs)
    size = _batch(made.model)
    feed = next(iter(reader.batches(size, limit=size)))
    network = _Network(loaded, scales, feed, saturates)
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
    """The FP32 program, the thresholds of its tensors, and the batch that is run.

    saturates: see `SensitivityRequest`.
    """

    loaded: LoadedProgram
    scales: Mapping[str, Scale]
    feed: Feed
    saturates: bool

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
        terms = {each: terms_of(block, each) for each in read}
        wanted = dict.fromkeys([name, *read, *(term for each in terms.values() for term in each)])
        tensors = self.run((name,), [*wanted, *self.loaded.fetches])
        known, outputs = dict(zip(wanted, tensors, strict=False)), tensors[len(wanted) :]
        own = known[name]
        inputs = tuple(
            self._input(op, each, known[each], [known[term] for term in terms[each]]) for each in read
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
            reason=reason(inputs, own_db, saturates=self.saturates),
        )

    def _input(self, op: Operator, name: str, values: Array, terms: Sequence[Array]) -> OperatorInput:
        magnitudes, threshold = np.abs(values), float(np.max(self.scales[name]))
        return OperatorInput(
            tensor=name,
            threshold=threshold,
            greatest=float(magnitudes.max(initial=0.0)),
            clipped_share=float((magnitudes > threshold * (1 + 1e-6)).mean()),
            channel_spread=_channel_spread(magnitudes, _channels(op, magnitudes.ndim)),
            terms_spread=terms_spread(terms),
            saturated_share=saturated_share(self.loaded, op, values, self.scales),
        )


def _worst_db(exact: Sequence[Array], found: Sequence[Array]) -> float:
    noise = Noise()
    noise.add(exact, found)
    return noise.sqnr_db


def _with_share(each: OperatorSensitivity, noise: Sequence[float]) -> OperatorSensitivity:
    return replace(each, noise_share=10 ** (-each.output_sqnr_db / 10) / max(sum(noise), 1e-20))


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
