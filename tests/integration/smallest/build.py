"""Builds the smallest graphs on which the fuzzer found defects."""

from __future__ import annotations

from typing import Any

from tests.fuzzing.graphs import Graph, Input, Node, Shape

PICTURE: Shape = (-1, 4, 6, 6)
ROWS: Shape = (-1, 8, 8)
LAYER = {
    "channels": 4,
    "kernel": [1, 1],
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "bias": False,
}
POOLING = {"kind": "avg", "size": 3, "stride": 2, "padding": 0, "ceil_mode": False, "exclusive": False}
PRODUCT = {"transpose_x": False, "transpose_y": False}


def graph(shape: Shape, *nodes: Node, y: Shape | None = None, outputs: tuple[str, ...] = ()) -> Graph:
    """A graph of one input `x`, and of a second one of shape `y` if that is given."""
    inputs = (Input("x", shape), *((Input("y", y),) if y else ()))
    return Graph(0, inputs, nodes, outputs or (nodes[-1].name,))


def node(name: str, operator: str, *inputs: str, **settings: Any) -> Node:
    return Node(name, operator, inputs, name, settings)


def conv(name: str, source: str, layout: str = "NCHW", **settings: Any) -> Node:
    operator = "conv2d" if layout == "NCHW" else "conv2d_last"
    return node(name, operator, source, **{**LAYER, **settings}, data_format=layout)


def pool(name: str, source: str, **settings: Any) -> Node:
    return node(name, "pool2d", source, **{**POOLING, **settings})


def mean(name: str, source: str) -> Node:
    return node(name, "adaptive_pool2d", source, kind="avg", size=1)


def recurrence(name: str, source: str) -> Node:
    settings = {"mode": "GRU", "hidden": 4, "layers": 1, "bidirectional": False, "last": False}
    return node(name, "rnn", source, **settings)
