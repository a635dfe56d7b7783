"""Graphs, which are programs as Paddle's passes take them. Isolated process only."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private import raw

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Graph, Program, Scope


def graph_of(program: Program, scope: Scope | None = None) -> Graph:
    """The program as a graph. scope: holds the parameters, for passes that change them."""
    from paddle.base.core import Graph as NativeGraph
    from paddle.base.framework import IrGraph

    graph = IrGraph(NativeGraph(raw(program).desc), for_test=True)
    if scope is not None:
        graph.graph.set_not_owned("__param_scope__", scope)
    made: Graph = graph
    return made


def apply_pass(graph: Graph, name: str, **options: object) -> None:
    """Applies one of Paddle's passes to `graph`, in place."""
    from paddle.base import core

    applied = core.get_pass(name)
    for option, value in options.items():
        applied.set(option, value)
    applied.apply(raw(graph).graph)


def libpaddle() -> ModuleType:
    """Paddle's native module, which Paddle's own quantization takes as an argument."""
    from paddle.base import core

    module: ModuleType = core
    return module
