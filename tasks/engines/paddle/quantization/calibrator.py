"""Runs PaddleSlim's post-training quantization with a loop over the samples of its own.

It adds to PaddleSlim's code progress, checks of the thresholds, and roundings that work.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import paddle
from paddle.static.quantization import post_training_quantization as slim

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.engines.paddle.blocks import is_skipped, tensor_of
from paddle_int8.tasks.engines.paddle.private.variables import rename_variable
from paddle_int8.tasks.engines.paddle.quantization.tensors import fed, view
from paddle_int8.tasks.engines.paddle.quantization.weights import Grams, layers_of, rounded_weight
from paddle_int8.tasks.process.progress import report

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Program, Scope, Tensor

DEAD_THRESHOLD = 1e-8
"""The threshold of an activation that was 0 throughout, as in PaddleSlim's `mse`: 0 has no finite scale."""

Batch = dict[str, Array]
HistogramRule = Callable[[Array, Array], float]
"""(counts [bins] of a tensor's magnitudes, edges [bins + 1]) -> threshold"""


class Batches(Protocol):
    """The samples that a model is calibrated on."""

    def __len__(self) -> int: ...

    def batches(self, batch_size: int) -> Iterator[Batch]: ...


class Loader(paddle.io.DataLoader):  # type: ignore[misc]  # Paddle has no types
    """Yields the reader's batches as they are. It is a DataLoader only for PaddleSlim's `isinstance`."""

    def __init__(self, reader: Batches, batch_size: int) -> None:
        self._reader = reader
        self._samples_per_batch = batch_size

    def __call__(self) -> Iterator[Batch]:
        return self._reader.batches(self._samples_per_batch)

    def __iter__(self) -> Iterator[Batch]:
        return self()

    def __len__(self) -> int:
        return math.ceil(len(self._reader) / self._samples_per_batch)


class Calibrator(slim.PostTrainingQuantization):  # type: ignore[misc]  # Paddle has no types
    """PaddleSlim's quantization of one model. After `quantize` the quantized program is in `program`."""

    def __init__(
        self,
        *,
        step: str,
        adaround: bool,
        keep_mean: bool,
        learned: Mapping[str, float] | None = None,
        histogram: HistogramRule | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._learned = dict(learned or {})
        self._histogram_rule = histogram
        self._step = step
        self._adaround = adaround
        self._keep_mean = keep_mean
        self._done = 0
        self._total = 0

    @property
    def program(self) -> Program:
        made: Program = self._program
        return made

    @property
    def thresholds(self) -> dict[str, float | list[float]]:
        """Thresholds by tensor: a float for an activation, one for each channel for a weight.

        Empty before `quantize`.
        """
        return self._scales()

    @property
    def calibrated(self) -> int:
        """How many activations have a threshold."""
        return sum(name in self._scales() for name in self._quantized_act_var_name)

    def quantize(self) -> None:
        """Loads, calibrates and rewrites the program.

        Raises: QuantizationError when a tensor to skip doesn't exist or a threshold is not finite.
        """
        self._load_model_data()
        self._check_skipped_tensors()
        self._collect_target_varnames()
        self._leave_skipped_tensors()
        self._set_activation_persistable()
        two_passes = self._algo in ("KL", "hist")
        self._total = self._batch_nums * (1 + two_passes + self._adaround) + 2
        with self._measuring():
            if two_passes:
                self._each_batch(self._collect_activation_abs_min_max, "ranges")
                self._init_sampling_act_histogram()
            self._each_batch(self._sampling, "samples")
        self._settle_thresholds()
        self._advance("thresholds")
        self._reset_activation_persistable()
        if self._adaround or self._keep_mean:
            self._round_weights()
        self._update_program()
        self._name_channel_scales()
        self._save_output_threshold()
        slim.utils.move_persistable_var_to_global_block(self._program)
        self._advance("program")

    def _leave_skipped_tensors(self) -> None:
        """Excludes tensors that PaddleSlim would measure, but cannot or should not.

        - Weights that only skipped operators read: PaddleSlim fails on a vector.
        - Tensors that exist only inside a loop or a branch: they are gone when PaddleSlim looks.
        - Tensors that a loop writes again.
        - Tensors in FP64, for which there is no INT8 kernel.
        """
        read: dict[bool, set[str]] = {True: set(), False: set()}
        written: Counter[str] = Counter()
        for block in self._program.blocks:
            for op in block.ops:
                read[is_skipped(op)].update(op.input_arg_names)
                written.update(set(op.output_arg_names))
        self._quantized_weight_var_name -= read[True] - read[False]
        outside = self._program.global_block().vars
        fleeting = {
            name
            for name in self._quantized_act_var_name
            if name not in outside or written[name] > 1 or outside[name].dtype != paddle.float32
        }
        self._quantized_act_var_name -= fleeting
        self._zero_size_var_names |= fleeting  # PaddleSlim's word for tensors that get no threshold

    def _check_skipped_tensors(self) -> None:
        known = {variable.name for variable in self._program.list_vars()}
        if unknown := sorted(set(self._skip_tensor_list) - known):
            raise QuantizationError(
                found=f"no tensor {', '.join(unknown)} in the model",
                required="`quantization.skip_tensors` that the model has",
                remedy="copy names from `scales.json` of a quantized model",
            )

    def _name_channel_scales(self) -> None:
        """Names the scales of weights after the weights.

        PaddleSlim numbers them in the order of a hash table, so that equal models get unequal programs.
        """
        block = self._program.global_block()
        for op in [op for op in block.ops if op.type == "fake_channel_wise_dequantize_max_abs"]:
            old, new = op.input("Scales")[0], f"{op.output('Out')[0]}.channel_scale"
            rename_variable(block, old, new)
            scale = np.array(self._tensor(old))
            self._scope.var(new).get_tensor().set(scale, self._place)

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        """Open while samples run through the network."""
        with replaced(slim.utils, "load_variable_data", self._load):
            yield

    def _load(self, scope: Scope, name: str) -> Array:
        """A tensor's values. A scalar gets a dimension, as `avg` takes the first dimension for the batch."""
        values: Array = np.atleast_1d(np.array(tensor_of(scope, name)))
        return values

    def _each_batch(self, observe: Callable[[], None], note: str) -> None:
        for batch in self._data_loader():
            self._run(batch)
            observe()
            self._advance(note)

    def _run(self, batch: Batch) -> None:
        self._fetch(batch, [variable.name for variable in self._fetch_list])

    def _advance(self, note: str) -> None:
        self._done += 1
        report(self._step, self._done, self._total, note)

    def _scales(self) -> dict[str, float | list[float]]:
        scales: dict[str, float | list[float]] = (
            self._quantized_var_threshold if self._algo in ("KL", "hist") else self._quantized_threshold
        )
        return scales

    def _settle_thresholds(self) -> None:
        """Computes the thresholds from the samples; learned ones replace them."""
        if self._algo == "avg":
            for name, maxima in self._quantized_var_avg.items():
                self._quantized_threshold[name] = np.array(maxima).mean()
        if self._algo in ("KL", "hist"):
            self._calculate_kl_hist_threshold()
        scales = self._scales()
        for name in self._quantized_act_var_name & self._learned.keys():
            scales[name] = self._learned[name]
        for name in self._quantized_act_var_name & scales.keys():
            scales[name] = checked(name, float(np.max(scales[name])))

    def _round_weights(self) -> None:
        """Rounds weights to the grids of their scales; `adaround` goes by the inputs of their layers too."""
        layers = layers_of(self._program, self._quantized_weight_var_name)
        weights = {layer.weight: np.array(self._tensor(layer.weight)) for layer in layers}
        grams = Grams()
        sources = sorted({layer.source for layer in layers})
        for batch in self._data_loader() if self._adaround else ():
            inputs = dict(zip(sources, self._fetch(batch, sources), strict=True))
            for layer in layers:
                grams.add(layer, view(inputs[layer.source]), weights[layer.weight].shape)
            self._advance("layer inputs")
        for layer in layers:
            rounded = rounded_weight(
                weights[layer.weight],
                self._scales()[layer.weight],
                axis=0 if layer.kind == "convolution" else 1,
                gram=grams.mean(layer),
                keep_mean=self._keep_mean,
            )
            self._tensor(layer.weight).set(rounded, self._place)

    def _fetch(self, batch: Batch, names: list[str]) -> list[Tensor]:
        """The tensors `names` of one forward pass, with their values in plain order."""
        tensors: list[Tensor] = self._executor.run(
            program=self._program,
            feed=fed(batch, self._feed_list),
            fetch_list=names,
            return_numpy=False,
            scope=self._scope,
        )
        return tensors

    def _tensor(self, name: str) -> Tensor:
        return tensor_of(self._scope, name)

    def _get_hist_scaling_factor(self, hist: Array, hist_edges: Array) -> float:
        """The algorithm's own rule where it has one, else PaddleSlim's percentile, but never below zero.

        Rounding can leave PaddleSlim's running sum below the percentile. PaddleSlim then answers half a bin
        below zero; here the threshold is in the last bin.
        """
        if self._histogram_rule is not None:
            return self._histogram_rule(hist, hist_edges)
        threshold = float(super()._get_hist_scaling_factor(hist, hist_edges))
        width = float(hist_edges[1] - hist_edges[0])
        return threshold if threshold > 0 else (hist.size - 0.5) * width


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """`owner.name` is `value` while the context is open."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def checked(name: str, threshold: float) -> float:
    """`threshold`, or `DEAD_THRESHOLD` for 0. Raises: QuantizationError when it is not finite."""
    if not math.isfinite(threshold):
        raise QuantizationError(
            found=f"activation {name} reached {threshold} on the calibration data",
            required="finite activations",
            remedy="check the model's outputs and the preprocessing on the calibration samples",
        )
    return threshold or DEAD_THRESHOLD
