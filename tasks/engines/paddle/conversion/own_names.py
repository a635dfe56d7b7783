"""Gives the conversion's tensors names that no pass of the predictor gives. Isolated process only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private.variables import rename_variable

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

NUMBERED = re.compile(r"(de|re)?quantize/(in|out)/\d+")
"""The names that `cpu_quantize_pass` and `cpu_bfloat16_pass` give. Both count from 0 in each process."""
PREFIX = "int8/"


def rename_int8_tensors(loaded: LoadedProgram) -> None:
    """`quantize/out/0` becomes `int8/quantize/out/0`, and so on."""
    block = loaded.program.global_block()
    for name in [name for name in block.vars if NUMBERED.fullmatch(name)]:
        rename_variable(block, name, PREFIX + name)
