"""Vision transformers of PaddleClas, one of each family. They take pictures of one size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from families.classifiers import classifier
from families.weights import begin

SIDES = {
    "ViT_small_patch16_224": 224,
    "DeiT_tiny_patch16_224": 224,
    "SwinTransformer_tiny_patch4_window7_224": 224,
    "CSWinTransformer_tiny_224": 224,
    "CvT_13_224": 224,
    "LeViT_128S": 224,
    "MobileViT_XXS": 256,
    "MobileViTV3_XXS": 256,
    "NextViT_small_224": 224,
    "PVT_V2_B0": 224,
    "TNT_small": 224,
    "alt_gvt_small": 224,
    "pcpvt_small": 224,
}
"""The side of the pictures for which each network is built."""
FREE = {0: [0]}
"""The batch."""


def every() -> Mapping[str, Any]:
    begin()
    return {name: classifier(name, side, FREE) for name, side in SIDES.items()}
