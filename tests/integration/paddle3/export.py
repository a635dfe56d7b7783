"""`python export.py MODULE FOLDER`: exports the cases of a module with Paddle 3, and writes down its answers.

It runs in Paddle 3's own environment, so it imports nothing of this project. Each case has a folder:
`model.json`, `model.pdiparams` where there are parameters, `inputs.npz` and `answers.npz`. What Paddle 3
itself refuses is in `refused.json`, by case.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle


class Wrapped(paddle.nn.Layer):  # type: ignore[misc]
    """A function as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(
        self, a: Any, b: Any = None, c: Any = None, d: Any = None, e: Any = None, f: Any = None
    ) -> Any:
        return self.function(*[each for each in (a, b, c, d, e, f) if each is not None])


def export(
    folder: Path,
    function: Any,
    inputs: list[Any],
    free: dict[int, list[int]] | None = None,
    right: list[Any] | None = None,
) -> None:
    """free: the dimensions of each input that the program leaves free, by the input's place.

    right: the answers, where Paddle 3 is not asked.
    """
    layer = Wrapped(function)
    layer.eval()
    specs = []
    for place, array in enumerate(inputs):
        shape: list[int | None] = list(array.shape)
        for axis in (free or {}).get(place, ()):
            shape[axis] = None
        specs.append(paddle.static.InputSpec(shape, str(array.dtype), f"input_{place}"))
    paddle.jit.save(layer, str(folder / "model"), input_spec=specs)
    np.savez(folder / "inputs.npz", *inputs)
    np.savez(folder / "answers.npz", *(right or ask(folder / "model", inputs)))


def ask(model: Path, inputs: list[Any]) -> list[Any]:
    answers = paddle.jit.load(str(model))(*map(paddle.to_tensor, inputs))
    flat = [answers] if isinstance(answers, paddle.Tensor) else list(answers)
    return [np.asarray(answer.numpy()) for answer in flat]


def main(module: str, target: Path) -> None:
    refused = {}
    for number, (name, case) in enumerate(importlib.import_module(module).every().items()):
        folder = target / f"{number:03}"
        folder.mkdir(parents=True)
        (folder / "name.txt").write_text(name, encoding="utf-8")
        try:
            case = case() if callable(case) else case
            export(folder, *case)
        except Exception as error:  # noqa: BLE001 - a case that fails must not end the others
            refused[name] = f"{type(error).__name__}: {error}"
    (target / "refused.json").write_text(json.dumps(refused, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
