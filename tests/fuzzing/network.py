"""Builds a graph as a Paddle program with parameters, and samples for it. Paddle must be in static mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from tests.fuzzing.graphs import FREE, Graph, Input, Node, Shape

IDS = 20
Feed = dict[str, Any]


class Parameters:
    """Makes the parameters of a program, equal ones under equal names."""

    def __init__(self, seed: int, block: Any, scope: Any) -> None:
        self._seed, self._block, self._scope = seed, block, scope
        self._owner, self._count = "", 0

    def of(self, owner: str) -> Parameters:
        """Starts the parameters of one node."""
        self._owner, self._count = owner, 0
        return self

    def normal(self, shape: Shape, deviation: float) -> Any:
        return self._store(shape, lambda random: random.standard_normal(shape) * deviation)

    def uniform(self, shape: Shape, low: float, high: float) -> Any:
        return self._store(shape, lambda random: random.uniform(low, high, shape))

    def kaiming(self, shape: Shape, inputs: int) -> Any:
        return self.normal(shape, (2 / max(1, inputs)) ** 0.5)

    def _store(self, shape: Shape, draw: Any) -> Any:
        name = f"{self._owner}.{'x'.join(map(str, shape))}.{self._count}"
        self._count += 1
        if not self._block.has_var(name):
            random = np.random.default_rng([self._seed, *name.encode()])
            self._block.create_parameter(name=name, shape=shape, dtype="float32")
            values = np.ascontiguousarray(draw(random), np.float32)
            self._scope.var(name).get_tensor().set(values, paddle.CPUPlace())
        return self._block.var(name)


class Construction:
    """A program that grows node by node; shapes are Paddle's own."""

    def __init__(self, seed: int) -> None:
        self.program, self.scope = paddle.static.Program(), paddle.static.Scope()
        self.variables: dict[str, Any] = {}
        self._parameters = Parameters(seed, self.program.global_block(), self.scope)

    def feed(self, part: Input) -> Shape:
        dtype = "int64" if part.kind == "ids" else "float32"
        with self._open():
            self.variables[part.name] = paddle.static.data(part.name, list(part.shape), dtype)
        return part.shape

    def append(self, node: Node) -> Shape:
        """Raises: what Paddle does for a node that does not fit its inputs."""
        from tests.fuzzing.operators import OPERATORS

        inputs = [self.variables[name] for name in node.inputs]
        with self._open():
            build = OPERATORS[node.operator].build
            self.variables[node.name] = build(self._parameters.of(node.stored), *inputs, **node.settings)
        return tuple(self.variables[node.name].shape)

    def save(self, feeds: list[str], fetches: list[str], folder: Path) -> None:
        """As users export a model."""
        with self._open():
            paddle.static.save_inference_model(
                str(folder / "model"),
                [self.variables[name] for name in feeds],
                [self.variables[name] for name in fetches],
                paddle.static.Executor(paddle.CPUPlace()),
                program=self.program,
            )

    def _open(self) -> Any:
        return _Opened(self.program, self.scope)


class _Opened:
    def __init__(self, program: Any, scope: Any) -> None:
        self._contexts = (
            paddle.static.scope_guard(scope),
            paddle.static.program_guard(program, paddle.static.Program()),
        )

    def __enter__(self) -> None:
        for context in self._contexts:
            context.__enter__()

    def __exit__(self, *error: Any) -> None:
        for context in reversed(self._contexts):
            context.__exit__(*error)


def construct(graph: Graph) -> Construction:
    """Raises: what Paddle does for a graph that is none."""
    built = Construction(graph.seed)
    with paddle.utils.unique_name.guard():
        for part in graph.inputs:
            built.feed(part)
        for node in graph.nodes:
            built.append(node)
    return built


def export(graph: Graph, folder: Path) -> None:
    construct(graph).save([part.name for part in graph.inputs], list(graph.outputs), folder)


def samples(graph: Graph, count: int, seed: int) -> Feed:
    """`count` samples of every input, others for another `seed`."""
    drawn = {}
    for index, part in enumerate(graph.inputs):
        random = np.random.default_rng([graph.seed, seed, index])
        shape = tuple(count if side == FREE else side for side in part.shape)
        if part.kind == "ids":
            drawn[part.name] = random.integers(0, IDS, shape)
        elif part.kind == "unit":
            drawn[part.name] = random.uniform(0, 1, shape).astype(np.float32)
        else:
            drawn[part.name] = random.standard_normal(shape).astype(np.float32)
    return drawn


def disturbed(feed: Mapping[str, Any], size: float) -> Feed:
    """`feed` with relative errors of `size`: what a rounding amounts to."""
    random = np.random.default_rng(0)
    return {
        name: (values * (1 + size * random.standard_normal(values.shape))).astype(values.dtype)
        if values.dtype == np.float32
        else values
        for name, values in feed.items()
    }
