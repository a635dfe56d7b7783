"""Runs PaddleSlim's post-training quantization with a loop over the samples of its own.

It adds to PaddleSlim's code progress, checks of the thresholds, and roundings that work.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import paddle
from paddle.static.quantization import post_training_quantization as slim

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.engines.paddle.blocks import is_skipped, tensor_of
from paddle_int8.tasks.engines.paddle.private.variables import rename_variable
from paddle_int8.tasks.engines.paddle.quantization.observation import (
    AFTERWARDS,
    Activations,
    Observation,
    Spread,
)
from paddle_int8.tasks.engines.paddle.quantization.seen import checked
from paddle_int8.tasks.engines.paddle.quantization.tensors import fed, view
from paddle_int8.tasks.engines.paddle.quantization.weights import Grams, roundable, rounded_weight
from paddle_int8.tasks.process.progress import report

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Program, Scope, Tensor

Batch = dict[str, Array]


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


T = TypeVar("T")


def _one_by_one(function: Callable[..., T], /, *items: Iterable[object]) -> Iterable[T]:
    return map(function, *items)


class Calibrator(slim.PostTrainingQuantization):  # type: ignore[misc]  # Paddle has no types
    """PaddleSlim's quantization of one model. After `quantize` the quantized program is in `program`."""

    def __init__(
        self,
        *,
        step: str,
        adaround: bool = False,
        keep_mean: bool = False,
        learned: Mapping[str, float] | None = None,
        found: Mapping[str, float] | None = None,
        done: int = 0,
        more: int = 0,
        **options: Any,
    ) -> None:
        """Takes PaddleSlim's own options too.

        found: the thresholds of all activations, which are then not sampled; `algo` is "abs_max" then.
        learned: thresholds of some, which count before all others.
        done, more: how much of the step's progress was made before, and follows.
        """
        super().__init__(**options)
        self._learned = dict(learned or {})
        self._found = found
        self._step = step
        self._adaround = adaround
        self._keep_mean = keep_mean
        self._done = done
        self._more = more
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
    def done(self) -> int:
        """How much of the step's progress was made, in reports."""
        return self._done

    @property
    def calibrated(self) -> int:
        """How many activations have a threshold."""
        return sum(name in self._scales() for name in self._quantized_act_var_name)

    def quantize(self) -> None:
        """Loads, calibrates and rewrites the program.

        Raises: QuantizationError when a tensor to skip doesn't exist or a threshold is not finite.
        """
        self._open()
        two_passes = self._algo in ("KL", "hist")
        passes = self._adaround + (1 + two_passes) * (self._found is None)
        self._total = self._done + self._batch_nums * passes + AFTERWARDS
        if self._found is None:
            self._sample(two_passes=two_passes)
        else:
            self._adopt(self._found)
        self._settle_thresholds()
        self._advance("thresholds")
        if self._adaround or self._keep_mean:
            self._round_weights()
        self._update_program()
        self._name_channel_scales()
        self._save_output_threshold()
        slim.utils.move_persistable_var_to_global_block(self._program)
        self._advance("program")

    def observe(self, observations: Sequence[Observation]) -> None:
        """Shows the activations of every batch to each of `observations`, which share the passes.

        Raises: QuantizationError when an activation is not finite.
        """
        self._open()
        self._set_activation_persistable()
        passes = list(zip_longest(*(each.passes for each in observations)))
        self._total = self._done + self._batch_nums * len(passes) + self._more
        with self._measuring():
            for looks in passes:
                for batch in self._data_loader():
                    self._run(batch)
                    activations = {name: values for name, values in self._all().items() if values.size}
                    for look in filter(None, looks):
                        look(activations, self._spread)
                    self._advance("samples")

    @property
    def _spread(self) -> Spread:
        """Calls a function for many tensors."""
        return _one_by_one

    def _all(self) -> Activations:
        """The activations of the batch that ran last, as `_load` gives them."""
        return {name: self._load(self._scope, name) for name in self._quantized_act_var_name}

    def _open(self) -> None:
        self._load_model_data()
        self._check_skipped_tensors()
        self._collect_target_varnames()
        self._leave_skipped_tensors()

    def _sample(self, *, two_passes: bool) -> None:
        """PaddleSlim's own sampling, and its thresholds."""
        self._set_activation_persistable()
        with self._measuring():
            if two_passes:
                self._each_batch(self._collect_activation_abs_min_max, "ranges")
                self._init_sampling_act_histogram()
            self._each_batch(self._sampling, "samples")
        if self._algo == "avg":
            for name, maxima in self._quantized_var_avg.items():
                self._quantized_threshold[name] = np.array(maxima).mean()
        if two_passes:
            self._calculate_kl_hist_threshold()
        self._reset_activation_persistable()

    def _adopt(self, found: Mapping[str, float]) -> None:
        """Takes thresholds that were found before. A weight's is its greatest magnitude, as always."""
        activations = self._quantized_act_var_name
        self._zero_size_var_names |= activations - found.keys()
        with replaced(self, "_quantized_act_var_name", set()):
            self._sampling()
        self._scales().update({name: found[name] for name in activations & found.keys()})

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
        """A context that is open while samples run through the network."""
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
        """Puts learned thresholds in the place of others, and checks all."""
        scales = self._scales()
        for name in self._quantized_act_var_name & self._learned.keys():
            scales[name] = self._learned[name]
        for name in self._quantized_act_var_name & scales.keys():
            scales[name] = checked(name, float(np.max(scales[name])))

    def _round_weights(self) -> None:
        """Rounds weights to the grids of their scales; `adaround` goes by the inputs of their layers too."""
        layers = roundable(self._program, self._quantized_weight_var_name)
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
        """PaddleSlim's percentile, but never below zero.

        Rounding can leave PaddleSlim's running sum below the percentile. PaddleSlim then answers half a bin
        below zero; here the threshold is in the last bin.
        """
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
