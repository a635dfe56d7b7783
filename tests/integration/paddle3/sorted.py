"""`python sorted.py FOLDER STABLE`: exports a program that sorts. Runs in Paddle 3's own environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import paddle


class Sorter(paddle.nn.Layer):  # type: ignore[misc]
    """The order of each row's elements."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = paddle.nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return paddle.argsort(self.linear(x), stable=sys.argv[2] == "True")


if __name__ == "__main__":
    spec = paddle.static.InputSpec([2, 3], "float32", "x")
    paddle.jit.save(Sorter(), str(Path(sys.argv[1], "model")), input_spec=[spec])
