"""Classifiers of PaddleClas, one or two of each family. They take pictures of any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from families.weights import begin, pictures, settle

ANY_SIZE = {0: [0, 2, 3]}
ANY_SIDES = (
    *("PPLCNet_x0_25", "PPLCNet_x1_0", "PPLCNetV2_small", "PPLCNetV2_base", "PPHGNet_tiny", "PPHGNet_small"),
    *("PPHGNetV2_B0", "PPHGNetV2_B4", "ESNet_x0_25", "GhostNet_x0_5", "MobileNetV1_x0_25", "DPN68", "DLA34"),
    *("MobileNetV3_small_x0_35", "ShuffleNetV2_x0_25", "EfficientNetB0", "ResNet18_vd", "SE_ResNet18_vd"),
    *("ResNeSt50_fast_1s1x64d", "RepVGG_A0", "Res2Net50_26w_4s", "CSPDarkNet53", "RegNetX_4GF", "ReXNet_1_0"),
    *("ConvNeXt_tiny", "StarNet_S1", "FasterNet_T0", "VAN_B0", "HarDNet39_ds"),
)
"""Networks that take pictures of any size; they are tried on 64 by 64."""


def every() -> Mapping[str, Any]:
    begin()
    return {name: classifier(name, 64, ANY_SIZE) for name in ANY_SIDES}


def classifier(name: str, side: int, free: Mapping[int, list[int]]) -> Any:
    """A case that builds a network of PaddleClas. free: the free dimensions of its pictures, by input."""

    def case() -> Any:
        from paddle.utils import unique_name
        from paddleclas.ppcls.arch import backbone

        with unique_name.guard():  # some networks give their parameters names
            network = getattr(backbone, name)(class_num=10)
        inputs = [pictures(side)]
        settle(network, inputs)
        return network, inputs, free

    return case
