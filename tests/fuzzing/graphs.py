"""A graph as plain data, which can be drawn, printed, reduced and built."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]
FREE = -1
"""The batch."""


@dataclass(frozen=True, slots=True)
class Input:
    """What is fed as `name`. kind: `signed`, `unit` (0 to 1) or `ids` (integers 0 to 19)."""

    name: str
    shape: Shape
    kind: str = "signed"


@dataclass(frozen=True, slots=True)
class Node:
    """One call of `operator` on tensors by name.

    stored: the name of its parameters; nodes that share it share the weights.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    stored: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of their computation. `seed` makes the parameters and the samples."""

    seed: int
    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        """A line an input and a node, for people."""
        lines = [f"{part.name} = {part.kind} {list(part.shape)}" for part in self.inputs]
        for node in self.nodes:
            settings = [f"{key}={value}" for key, value in node.settings.items()]
            shared = [f"weights of {node.stored}"] if node.stored != node.name else []
            lines.append(f"{node.name} = {node.operator}({', '.join([*node.inputs, *settings, *shared])})")
        return "\n".join([f"seed {self.seed}", *lines, f"return {', '.join(self.outputs)}"])


def live(graph: Graph) -> Graph:
    """`graph` without nodes and inputs that no output needs."""
    needed, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if node.name in needed:
            kept.append(node)
            needed.update(node.inputs)
    inputs = tuple(part for part in graph.inputs if part.name in needed)
    return Graph(graph.seed, inputs, tuple(reversed(kept)), graph.outputs)


def to_json(graph: Graph) -> str:
    return json.dumps(
        {
            "seed": graph.seed,
            "inputs": [[part.name, part.shape, part.kind] for part in graph.inputs],
            "nodes": [
                [node.name, node.operator, node.inputs, node.stored, node.settings] for node in graph.nodes
            ],
            "outputs": graph.outputs,
        }
    )


def from_json(text: str) -> Graph:
    """The inverse of `to_json`."""
    data = json.loads(text)
    return Graph(
        seed=data["seed"],
        inputs=tuple(Input(name, tuple(shape), kind) for name, shape, kind in data["inputs"]),
        nodes=tuple(
            Node(name, operator, tuple(inputs), stored, settings)
            for name, operator, inputs, stored, settings in data["nodes"]
        ),
        outputs=tuple(data["outputs"]),
    )
