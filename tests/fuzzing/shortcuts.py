"""Work that would be done twice, or that decides no result: left out.

Nothing of what is compared is left out. All of it is done in a process that checks graphs, and nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from paddle_int8.tasks.engines.paddle.conversion import quant2int8
from paddle_int8.tasks.engines.paddle.private.programs import serialized
from paddle_int8.tasks.engines.paddle.program import LoadedProgram
from paddle_int8.tasks.engines.paddle.quantization.calibrator import replaced

FILES = frozenset({"load_combine", "save_combine", "load", "save", "feed", "fetch"})


def take() -> None:
    """For the rest of this process. A program of operators on files has no memory to share, where an operator
    was made is in no result, and the arguments of its variables, which a rebuilt program copies, stay."""
    from paddle.base import executor, framework

    share: Callable[..., None] = executor._apply_inplace_addto_pass

    def share_memory(program: Any, *how: Any) -> None:
        if not {op.type for op in program.global_block().ops} <= FILES:
            share(program, *how)

    executor._apply_inplace_addto_pass = share_memory
    framework.traceback = SimpleNamespace(extract_stack=list)
    framework.copy = SimpleNamespace(deepcopy=copy.copy)


@contextmanager
def one_conversion() -> Iterator[None]:
    """The passes of `offline` run once: weights of 7 bits are narrowed in what they leave."""
    import paddle

    convert, known = quant2int8.quantize_graph, {}

    def quantize_graph(loaded: LoadedProgram, options: Any) -> LoadedProgram:
        if not known:
            made = convert(loaded, options)
            known.update(made=made, data=serialized(made.program), repairs=dict(options.repairs))
            return made
        options.repairs.update(known["repairs"])
        made, program = known["made"], paddle.static.Program.parse_from_string(known["data"])
        return LoadedProgram(program=program, scope=made.scope, feeds=made.feeds, fetches=made.fetches)

    with replaced(quant2int8, "quantize_graph", quantize_graph):
        yield
