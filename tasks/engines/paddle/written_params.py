"""Writes a combined file of parameters, tensor by tensor, as Paddle's `save_combine` does.

That operator holds the whole file in memory, twice, before it writes any of it. `params` says what the format
is. Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.private.programs import tensor_message
from paddle_int8.tasks.engines.paddle.private.tensors import is_laid_out_by_onednn, type_of_tensor
from paddle_int8.tasks.engines.paddle.quantization.tensors import view

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Tensor

VERSION, LEVELS = 0, 0


def write_params(path: Path, tensors: Iterable[Tensor]) -> None:
    """Writes `tensors` into the file `path`. At most one of them is copied in memory at a time."""
    with path.open("wb") as stream:
        for tensor in tensors:
            assert not is_laid_out_by_onednn(tensor)
            message = tensor_message(int(type_of_tensor(tensor)), tensor.shape())
            stream.write(struct.pack("<IQIi", VERSION, LEVELS, VERSION, len(message)) + message)
            stream.write(np.ascontiguousarray(view(tensor)).reshape(-1).view(np.uint8).data)
