"""Gives the tensors that the conversion made names which no pass of the predictor gives. Isolated only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private.variables import rename_variable

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

NUMBERED = re.compile(r"(de|re)?quantize/(in|out)/\d+")
"""What `cpu_quantize_pass` and `cpu_bfloat16_pass` name a tensor. Both count from 0 in each process."""
PREFIX = "int8/"


def rename_int8_tensors(loaded: LoadedProgram) -> int:
    """`quantize/out/0` -> `int8/quantize/out/0`, and so on. Returns how many tensors it renamed."""
    block = loaded.program.global_block()
    numbered = [name for name in block.vars if NUMBERED.fullmatch(name)]
    for name in numbered:
        rename_variable(block, name, PREFIX + name)
    return len(numbered)
