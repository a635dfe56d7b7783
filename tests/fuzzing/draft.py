"""A graph while it is being drawn."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzzing.graphs import FREE, Graph, Input, Node, Shape, live
from tests.fuzzing.network import Construction

LARGEST, DEEPEST = 3000, 6
"""Elements of a sample's tensor, and its dimensions."""
OUTPUTS = 3


class ImpossibleError(Exception):
    """The drawn operator does not fit what there is so far."""


class Draft:
    """Nodes so far. `shapes` are those of tensors that operators may read, the last ones written last."""

    def __init__(self, seed: int, random: Random) -> None:
        self.seed, self.random = seed, random
        self.shapes: dict[str, Shape] = {}
        self.ids: dict[str, Shape] = {}
        self.nodes: list[Node] = []
        self._inputs: list[Input] = []
        self._read: set[str] = set()
        self._finished: list[str] = []
        self._construction = Construction(seed)

    def feed(self, shape: Shape, kind: str) -> str:
        part = Input(f"in{len(self._inputs)}", shape, kind)
        self._construction.feed(part)
        self._inputs.append(part)
        (self.ids if kind == "ids" else self.shapes)[part.name] = shape
        return part.name

    def add(self, operator: str, *inputs: str, stored: str | None = None, **settings: Any) -> str:
        """Raises: ImpossibleError where Paddle refuses it, or where its result is too large."""
        name = f"n{len(self.nodes)}"
        node = Node(name, operator, inputs, stored or name, settings)
        try:
            shape = self._construction.append(node)
        except Exception as error:
            raise ImpossibleError(str(error)) from error
        if not _usable(shape):
            raise ImpossibleError(f"{operator} of {shape}")
        self.nodes.append(node)
        self._read.update(inputs)
        if operator == "argmax":
            self._finished.append(name)
        else:
            self.shapes[name] = shape
        return name

    def pick(self, fits: Callable[[Shape], bool] = lambda shape: True) -> str:
        """A tensor whose shape fits, more often one that nothing reads yet, and a late one."""
        names = [name for name, shape in self.shapes.items() if fits(shape)]
        if not names:
            raise ImpossibleError("no tensor fits")
        weights = [(1 + place) * (1 if name in self._read else 4) for place, name in enumerate(names)]
        return self.random.choices(names, weights)[0]

    def another(self, name: str, fits: Callable[[Shape], bool]) -> str:
        """A tensor beside `name`."""
        others = [other for other, shape in self.shapes.items() if other != name and fits(shape)]
        if not others:
            raise ImpossibleError("no other tensor fits")
        return self.random.choice(others)

    def finish(self) -> Graph:
        written = [node.name for node in self.nodes if node.name in self.shapes]
        unread = [name for name in written if name not in self._read] or written[-1:]
        outputs = unread[-OUTPUTS:] + self._finished[:1]
        if self.random.random() < 0.15 and len(outputs) < OUTPUTS:  # a tensor inside is an output too
            outputs += [name for name in self.random.sample(written, 1) if name not in outputs]
        return live(Graph(self.seed, tuple(self._inputs), tuple(self.nodes), tuple(outputs)))


def _usable(shape: Shape) -> bool:
    elements = 1
    for side in shape[1:]:
        elements *= side
    return (
        0 < len(shape) <= DEEPEST
        and shape[0] == FREE
        and min(shape[1:], default=1) > 0
        and elements <= LARGEST
    )
