"""Finds the smallest graph that fails as a given one does, by cutting off, skipping and simplifying nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.fuzzing.graphs import Graph, Input, Shape, live
from tests.fuzzing.network import construct
from tests.fuzzing.processes import check_one
from tests.fuzzing.summary import kind_of

PLAIN: dict[str, Any] = {
    "bias": False,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "ceil_mode": False,
    "exclusive": True,
    "transposed": False,
    "channels": 4,
    "outputs": 4,
    "hidden": 4,
    "layers": 1,
    "bidirectional": False,
    "last": False,
}
"""Settings that are tried instead of what was drawn."""

FP32 = tuple(f"{error}{check}" for error in ("", "error ") for check in ("prepare", "onednn", "legacy"))
"""Kinds of findings that need no INT8."""


def reduced(graph: Graph, *, int8: bool = True) -> tuple[Graph, list[str]]:
    """The graph and its findings. Keeps one kind of finding, the first of FP32 if there is one."""
    wanted = _kinds(graph, int8=int8)
    if not wanted:
        return graph, []
    kind, changed = wanted[0], True
    int8 = int8 and not kind.startswith(FP32)
    while changed:
        changed = False
        for smaller in _smaller(graph):
            if kind in _kinds(smaller, int8=int8):
                graph, changed = smaller, True
                break
    kept = [finding for finding in _findings(graph, int8=int8) if _numberless(kind_of(finding)) == kind]
    return graph, [f"{finding['check']} {finding['where']}: {finding['detail']}" for finding in kept]


def _findings(graph: Graph, *, int8: bool) -> list[dict[str, str]]:
    return list(check_one(graph, int8=int8)["findings"])


def _kinds(graph: Graph, *, int8: bool) -> list[str]:
    """Kinds without their numbers, which differ from graph to graph."""
    return [_numberless(kind_of(finding)) for finding in _findings(graph, int8=int8)]


def _numberless(kind: str) -> str:
    return "".join(letter for letter in kind if not letter.isdigit())


def _smaller(graph: Graph) -> Iterator[Graph]:
    """Every graph that is one step smaller and still one, the greatest steps first."""
    shapes = _shapes(graph)
    for candidate in _candidates(graph, shapes):
        smaller = live(candidate)
        if smaller.nodes and smaller != graph and _shapes(smaller):
            yield smaller


def _candidates(graph: Graph, shapes: dict[str, Shape]) -> Iterator[Graph]:
    if len(graph.outputs) > 1:
        for output in graph.outputs:
            yield replace(graph, outputs=(output,))
        for output in graph.outputs:
            yield replace(graph, outputs=tuple(name for name in graph.outputs if name != output))
    for node in graph.nodes:
        if graph.outputs != (node.name,):
            yield replace(graph, outputs=(node.name,))
    for node in reversed(graph.nodes):
        rest = tuple(other for other in graph.nodes if other is not node)
        yield replace(graph, inputs=(*graph.inputs, Input(node.name, shapes[node.name])), nodes=rest)
    for node in graph.nodes:
        for source in node.inputs:
            if shapes[source] == shapes[node.name]:
                yield _bypassed(graph, node.name, source)
    for index, node in enumerate(graph.nodes):
        for name, value in PLAIN.items():
            if name in node.settings and node.settings[name] != value:
                plain = replace(node, settings={**node.settings, name: value})
                yield replace(graph, nodes=(*graph.nodes[:index], plain, *graph.nodes[index + 1 :]))


def _bypassed(graph: Graph, name: str, source: str) -> Graph:
    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(source if other == name else other for other in names)

    nodes = tuple(replace(node, inputs=renamed(node.inputs)) for node in graph.nodes if node.name != name)
    return replace(graph, nodes=nodes, outputs=tuple(dict.fromkeys(renamed(graph.outputs))))


def _shapes(graph: Graph) -> dict[str, Shape]:
    """The shape of every tensor; empty if Paddle refuses the graph or an input is not read from a batch."""
    try:
        built = construct(graph)
    except Exception:  # noqa: BLE001 - Paddle's own refusal of a graph has no type of its own
        return {}
    if not all(name in {node.name for node in graph.nodes} for name in graph.outputs):
        return {}
    return {name: tuple(variable.shape) for name, variable in built.variables.items()}
