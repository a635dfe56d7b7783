"""PIR programs and their parameters, written by hand as Paddle 3 writes them."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FP32 = {"#": "0.t_f32"}
FP32_NUMBER = 5
"""The number of the data type in framework.proto."""


def tensor(*shape: int) -> dict[str, Any]:
    return {"#": "0.t_dtensor", "D": [FP32, list(shape), "NCHW", [], 0]}


def attribute(name: str, kind: str, data: Any) -> dict[str, Any]:
    return {"N": name, "AT": {"#": kind, "D": data}}


def operation(
    name: str,
    operands: Sequence[int],
    results: Sequence[tuple[int, Any]],
    attributes: Sequence[Any] = (),
    **more: Any,
) -> dict[str, Any]:
    stored = {
        "#": name,
        "I": [{"%": number} for number in operands],
        "O": [{"%": number, "TT": type} for number, type in results],
        "A": list(attributes),
    }
    return stored | more


def parameter(number: int, name: str, *shape: int) -> dict[str, Any]:
    return {"#": "p", "A": [0, 1, 1, name], "O": {"%": number, "TT": tensor(*shape)}}


def given(number: int, name: str, *shape: int) -> dict[str, Any]:
    """An input of the program."""
    return operation("1.data", [], [(number, tensor(*shape))], [attribute("name", "0.a_str", name)])


def answered(number: int, name: str, *shape: int, place: int = 0) -> dict[str, Any]:
    """An output of the program."""
    attributes = [attribute("name", "0.a_str", name), attribute("col", "0.a_i32", place)]
    return operation("1.fetch", [number], [(number + 1000, tensor(*shape))], attributes)


def document(*operations: Any, version: int = 1) -> dict[str, Any]:
    block = {"#": "block_0", "args": [], "ops": list(operations)}
    return {
        "base_code": {"magic": "pir", "trainable": False, "version": version},
        "program": {"regions": [{"#": "region_0", "blocks": [block]}]},
    }


def write_program(folder: Path, content: Any) -> Path:
    """content: a document, or the text of the file."""
    path = folder / "inference.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def write_parameters(folder: Path, *values: Any) -> Path:
    """values: FP32 arrays, in the order of the file."""
    path = folder / "inference.pdiparams"
    with path.open("wb") as stream:
        for each in values:
            stream.write(_stored(np.asarray(each, np.float32)))
    return path


def _stored(values: Any) -> bytes:
    message = bytes([0x08, FP32_NUMBER]) + b"".join(b"\x10" + _varint(side) for side in values.shape)
    return struct.pack("<IQIi", 0, 0, 0, len(message)) + message + values.tobytes()


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
