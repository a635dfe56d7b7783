"""Segmenters of PaddleSeg, whose pictures may have any size."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from families.weights import begin, pictures, settled

CLASSES, SIDE = 5, 128
ANY_SIZE = {0: [0, 2, 3]}
NETWORKS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "pp-liteseg, stdc1": ("PPLiteSeg", "STDC1", {}),
    "pp-liteseg, stdc2": ("PPLiteSeg", "STDC2", {"arm_type": "UAFM_ChAtten"}),
    "pp-humanseg lite": ("PPHumanSegLite", "", {}),
    "deeplabv3p": ("DeepLabV3P", "ResNet18_vd", {"backbone_indices": (0, 3)}),
    "fcn": ("FCN", "HRNet_W18_Small_V1", {"backbone_indices": (0,)}),
    "segformer": ("SegFormer", "MixVisionTransformer_B0", {"embedding_dim": 64}),
    "bisenetv2": ("BiSeNetV2", "", {}),
    "unet": ("UNet", "", {}),
}


def every() -> Mapping[str, Any]:
    begin()
    return {name: partial(_case, *network) for name, network in NETWORKS.items()}


def _case(kind: str, backbone: str, options: Mapping[str, Any]) -> Any:
    import paddleseg.models as zoo
    from paddleseg.models import backbones

    parts = {"backbone": getattr(backbones, backbone)()} if backbone else {}
    network = getattr(zoo, kind)(num_classes=CLASSES, **parts, **options)
    inputs = [pictures(SIDE)]

    return settled(network, lambda network, picture: network(picture), inputs), inputs, ANY_SIZE
