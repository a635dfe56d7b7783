"""Detectors of PaddleDetection with its configurations, with and without the suppression of boxes.

Each takes a picture, its height and width, and by how much it was scaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import paddle
from families.weights import begin, pictures, settled
from paddle.utils import unique_name

SIDE = 128
CLASSES = 8
ANY_COUNT, ANY_SIZE = (0,), (0, 2, 3)
ALL, IMAGE, SCALED = ("image", "im_shape", "scale_factor"), ("image",), ("image", "scale_factor")
PICODET = {
    "PicoDet": {"backbone": "LCNet", "neck": "LCPAN", "head": "PicoHeadV2"},
    "LCNet": {"scale": 0.75, "feature_maps": [3, 4, 5]},
    "LCPAN": {"out_channels": 96, "num_features": 4, "spatial_scales": [0.125, 0.0625, 0.03125]},
    "PicoFeat": {
        **{"feat_in": 96, "feat_out": 96, "num_convs": 2, "num_fpn_stride": 4},
        **{"norm_type": "bn", "share_cls_reg": True, "use_se": True},
    },
    "PicoHeadV2": {
        **{"conv_feat": "PicoFeat", "loss_class": "VarifocalLoss", "nms": "MultiClassNMS"},
        **{"feat_in_chan": 96, "fpn_stride": [8, 16, 32, 64], "reg_max": 7, "cell_offset": 0.5},
        "eval_size": [SIDE, SIDE],
    },
    "MultiClassNMS": {"nms_top_k": 100, "keep_top_k": 20, "score_threshold": 0.025, "nms_threshold": 0.6},
}
PPYOLOE = {
    "PPYOLOE": {
        **{"backbone": "CSPResNet", "neck": "CustomCSPPAN", "yolo_head": "PPYOLOEHead"},
        **{"post_process": None, "ssod_loss": None},
    },
    "CSPResNet": {"use_large_stem": True, "use_alpha": False, "depth_mult": 0.33, "width_mult": 0.25},
    "CustomCSPPAN": {
        **{"out_channels": [768, 384, 192], "stage_num": 1, "block_num": 3, "act": "swish", "spp": True},
        **{"depth_mult": 0.33, "width_mult": 0.25},
    },
    "PPYOLOEHead": {
        **{"exclude_nms": False, "exclude_post_process": False, "nms": "MultiClassNMS"},
        "eval_size": [SIDE, SIDE],
    },
    "MultiClassNMS": {"nms_top_k": 100, "keep_top_k": 20, "score_threshold": 0.01, "nms_threshold": 0.7},
}
PPYOLO_TINY = {
    "YOLOv3": {
        **{"backbone": "MobileNetV3", "neck": "PPYOLOTinyFPN", "yolo_head": "YOLOv3Head"},
        "post_process": "BBoxPostProcess",
    },
    "MobileNetV3": {"model_name": "large", "scale": 0.5, "feature_maps": [7, 13, 16]},
    "PPYOLOTinyFPN": {"detection_block_channels": [160, 128, 96], "spp": True, "drop_block": False},
    "BBoxPostProcess": {"decode": "YOLOBox", "nms": "MultiClassNMS"},
    "YOLOBox": {"conf_thresh": 0.005, "downsample_ratio": 32, "scale_x_y": 1.05},
    "MultiClassNMS": {"nms_top_k": 100, "keep_top_k": 20, "score_threshold": 0.005, "nms_threshold": 0.45},
    "MatrixNMS": {"nms_top_k": -1, "keep_top_k": 20, "score_threshold": 0.01, "post_threshold": 0.01},
}
ORDER = {
    "multiclass_nms3": (
        3,
        "score_threshold nms_top_k keep_top_k nms_threshold normalized nms_eta background_label",
    ),
    "matrix_nms": (
        2,
        "score_threshold nms_top_k keep_top_k post_threshold use_gaussian gaussian_sigma background_label"
        " normalized",
    ),
}
"""How many tensors an operator of PIR takes, and the order of its attributes behind them."""


def every() -> Mapping[str, Any]:
    """A bare network ends before the suppression, a raw one before any box is computed."""
    begin()
    made = {
        "picodet": (_picodet, SCALED, ANY_COUNT),
        "picodet bare": (partial(_picodet, nms=False), IMAGE, ANY_COUNT),
        "picodet raw": (partial(_picodet, post_process=False), IMAGE, ANY_COUNT),
        "ppyoloe": (partial(_detector, PPYOLOE), SCALED, ANY_COUNT),
        "ppyoloe plus": (partial(_detector, PPYOLOE, CSPResNet={"use_alpha": True}), SCALED, ANY_COUNT),
        "ppyoloe bare": (partial(_detector, PPYOLOE, PPYOLOEHead={"exclude_nms": True}), SCALED, ANY_COUNT),
        "ppyoloe raw": (
            partial(_detector, PPYOLOE, PPYOLOEHead={"exclude_post_process": True}),
            *(IMAGE, ANY_COUNT),
        ),
        "ppyolo tiny": (partial(_detector, PPYOLO_TINY), ALL),
        "ppyolo tiny, matrix": (partial(_detector, PPYOLO_TINY, BBoxPostProcess={"nms": "MatrixNMS"}), ALL),
    }
    return {name: partial(_case, *each) for name, each in made.items()}


def _detector(sections: Mapping[str, Any], **changed: Mapping[str, Any]) -> Any:
    """The detector that the first section of a configuration is, with some entries of sections changed."""
    import ppdet.modeling
    from ppdet.core.workspace import create, merge_config

    ppdet.modeling.ops.in_dynamic_mode = paddle.framework.in_dynamic_or_pir_mode
    ppdet.modeling.ops.C_ops = Operators()
    merge_config({"num_classes": CLASSES, "norm_type": "bn", "eval_size": None})
    merge_config({name: {**deepcopy(section), **changed.get(name, {})} for name, section in sections.items()})
    return create(next(iter(sections)))


class Operators:
    """Paddle's operators under the names and with the arguments that PaddleDetection 2.6 knows, for PIR too.

    That version is older than PIR, in which it would write operators of the older form.
    """

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any) -> Any:
            if not isinstance(arguments[0], paddle.pir.Value):
                return getattr(paddle._legacy_C_ops, name)(*arguments)
            tensors, order = ORDER[name]
            rest = arguments[tensors:]
            given = dict(zip(rest[::2], rest[1::2], strict=True))
            operator = getattr(paddle._C_ops, name)
            return operator(*arguments[:tensors], *(given[each] for each in order.split()))

        return called


def _picodet(*, nms: bool = True, post_process: bool = True) -> Any:
    detector = _detector(PICODET)
    detector.export_nms, detector.export_post_process = nms, post_process
    return detector


def _case(make: Any, names: Sequence[str], picture: Sequence[int] = ANY_SIZE) -> Any:
    """names: the inputs that the detector reads, others are not exported; picture: free dimensions of it."""
    given = {
        "image": pictures(SIDE, count=1),
        "im_shape": np.array([[SIDE, SIDE]], "float32"),
        "scale_factor": np.array([[0.5, 0.5]], "float32"),
    }
    inputs = [given[name] for name in names]

    def ask(network: Any, *values: Any) -> Any:
        return network({"im_shape": None, "scale_factor": None, **dict(zip(names, values, strict=True))})

    free = {place: picture if name == "image" else ANY_COUNT for place, name in enumerate(names)}
    with unique_name.guard():
        return _deployed(settled(make(), ask, inputs)), inputs, free


def _deployed(layer: Any) -> Any:
    """Merges the branches that only training needs, as PaddleDetection's export does."""
    for part in layer.sublayers():
        if hasattr(part, "convert_to_deploy"):
            part.convert_to_deploy()
    return layer
