"""What reads documents: PP-OCR's detectors and recognisers, and the unwarping of pages, of PaddleX."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import paddle
from families.weights import begin, pictures, settled

MODELS = "paddlex.inference.models"
ANY_SIZE, ANY_WIDTH, ANY_COUNT = {0: [0, 2, 3]}, {0: [0, 3]}, {0: [0]}
PAGE, LINE = (128, 160), (48, 320)
DETECTION, RECOGNITION = "text_detection", "text_recognition"
NETWORKS: Mapping[str, tuple[str, str, str, tuple[int, int], Mapping[int, list[int]]]] = {
    "pp-ocrv5 mobile det": (DETECTION, "pp_ocrv5_mobile_det", "pp_ocrv5_mobile", PAGE, ANY_SIZE),
    "pp-ocrv5 server det": (DETECTION, "pp_ocrv5_server_det", "pp_ocrv5_server", PAGE, ANY_SIZE),
    "pp-ocrv6 small det": (DETECTION, "pp_ocrv6_small_det", "pp_ocrv6_small_det", PAGE, ANY_SIZE),
    "pp-ocrv6 medium det": (DETECTION, "pp_ocrv6_medium_det", "pp_ocrv6_medium_det", PAGE, ANY_SIZE),
    "pp-ocrv5 mobile rec": (RECOGNITION, "pp_ocrv5_mobile_rec", "pp_ocrv5_mobile_rec", LINE, ANY_WIDTH),
    "pp-ocrv5 server rec": (RECOGNITION, "pp_ocrv5_server_rec", "pp_ocrv5_server_rec", LINE, ANY_WIDTH),
    "pp-ocrv6 small rec": (RECOGNITION, "pp_ocrv6_small_rec", "pp_ocrv6_small_rec", LINE, ANY_WIDTH),
    "pp-ocrv6 tiny rec": (RECOGNITION, "pp_ocrv6_tiny_rec", "pp_ocrv6_tiny_rec", LINE, ANY_WIDTH),
    "uvdoc": ("image_unwarping", "uvdoc", "", PAGE, ANY_COUNT),
}
"""Folder, module, and module of the settings in PaddleX; size of the picture, and what of it is free."""


def every() -> Mapping[str, Any]:
    begin()
    paddle.pir.Value.numpy = paddle.static.Variable.numpy = _itself
    return {name: partial(_case, *network) for name, network in NETWORKS.items()}


def _itself(value: Any) -> Any:
    """PaddleX's networks answer with arrays; those of a program that is exported are its values."""
    return value


def _case(folder: str, module: str, config: str, size: tuple[int, int], free: Mapping[int, list[int]]) -> Any:
    settings = f"_config_{config}".rstrip("_")
    kind = _class_of(importlib.import_module(f"{MODELS}.{folder}.modeling.{module}"), "forward")
    settings_of = _class_of(importlib.import_module(f"{MODELS}.{folder}.modeling.{settings}"), "to_dict")
    network = kind(settings_of())
    inputs = [pictures(*size, count=1)]

    return settled(network, _ask, inputs), inputs, free


def _ask(network: Any, picture: Any) -> Any:
    return network([picture])


def _class_of(module: Any, method: str) -> Any:
    """The last class of a module that has a method: its whole network, or the whole network's settings."""
    made = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
    return [each for each in made if isinstance(each, type) and hasattr(each, method)][-1]
