"""Calibrates with PaddleSlim's thresholds in a fraction of PaddleSlim's time.

PaddleSlim spends its time on a KL search in pure Python, on a sort for each histogram, on copies of every
activation, and on a forward pass without oneDNN. `observation` and `kl` replace the first two,
this module the others; and tensors are observed on all cores. On the same activations the thresholds equal
PaddleSlim's bit for bit; the activations that oneDNN computes differ from Paddle's by rounding only.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle
from paddle.static.quantization import post_training_quantization as slim

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.quantization.calibrator import (
    Batch,
    Calibrator,
    replaced,
)
from paddle_int8.tasks.engines.paddle.quantization.observation import Spread
from paddle_int8.tasks.engines.paddle.quantization.tensors import may_be_padded, view
from paddle_int8.tasks.process.limits import own_threads

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Graph, Scope


class FastCalibrator(Calibrator):
    """Runs the network on oneDNN, reads activations without copying them, and counts without sorting.

    It takes programs of one block only, since PaddleSlim's scopes of inner blocks have no such short cut.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._padded: list[str] | None = None
        self._activations: Batch = {}
        threads = os.environ.get("OMP_NUM_THREADS") or own_threads()
        self._cores = ThreadPoolExecutor(int(threads))

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        paddle.set_flags({"FLAGS_use_mkldnn": True})
        try:
            with self._cores, super()._measuring():
                yield
        finally:
            paddle.set_flags({"FLAGS_use_mkldnn": False})
            self._activations = {}

    def _load(self, scope: Scope, name: str) -> Array:
        if name in self._activations:
            return np.atleast_1d(self._activations[name])
        return super()._load(scope, name)

    def _run(self, batch: Batch) -> None:
        """One forward pass. Tensors that oneDNN may pad are fetched, which puts them in plain order."""
        self._activations = {}
        outputs = [variable.name for variable in self._fetch_list]
        fetched = self._fetch(batch, [*outputs, *(self._padded or ())])
        if self._padded is None:
            self._padded = sorted(n for n in self._quantized_act_var_name if may_be_padded(self._tensor(n)))
            if self._padded:
                fetched = self._fetch(batch, [*outputs, *self._padded])
        plain = dict(zip(self._padded, fetched[len(outputs) :], strict=True))
        self._activations = {
            name: view(plain[name] if name in plain else self._tensor(name))
            for name in self._quantized_act_var_name
        }

    @property
    def _spread(self) -> Spread:
        return self._cores.map

    def _update_program(self) -> None:
        with replaced(slim, "AddQuantDequantForInferencePass", _OneSearch):
            super()._update_program()


class _OneSearch(slim.AddQuantDequantForInferencePass):  # type: ignore[misc]  # Paddle has no types
    """Lists a graph's parameters once. PaddleSlim lists them twice for each operator, which is quadratic.

    The pass looks up only a tensor's own scale, so that it never needs what it adds meanwhile.
    """

    def apply(self, graph: Graph) -> Graph:
        known = graph.all_persistable_nodes()
        graph.all_persistable_nodes = lambda: known
        try:
            made: Graph = super().apply(graph)
            return made
        finally:
            del graph.all_persistable_nodes
