"""Changes the accuracy release of an image row to the user's ImageNet and weights."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.model import ModelFiles, TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource
from paddle_int8.tasks.published.figures import RowKey
from paddle_int8.tasks.published.request import ImageNet
from paddle_int8.tasks.store.folder import file_digest

TRAINING, VALIDATION = "train", "val"
PREPROCESSING = Preprocessing(
    resize_shorter=256,
    center_crop=224,
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
"""The published preprocessing, with which `paddle.vision` and PaddleClas train: RGB, bilinear."""
EXPORT = "paddle_int8.zoo.architectures:export_pretrained"
BATCH = 10
"""Batch size for pictures of 224x224. A batch of 100, as for 32x32, would take gigabytes in VGG."""


def on_imagenet(config: ReleaseConfig, key: RowKey, imagenet: ImageNet) -> ReleaseConfig:
    """The row's accuracy release, changed to the pictures in `imagenet.root` and the user's weights.

    Raises: DataError when the pictures or the weights are not found.
    """
    data = config.data.model_copy(
        update={
            "calibration": _pictures(imagenet.root, TRAINING),
            "validation": _pictures(imagenet.root, VALIDATION),
            "preprocessing": PREPROCESSING,
            "validation_samples": imagenet.samples,
        }
    )
    return config.model_copy(
        update={
            "name": f"published-{key}-imagenet".replace("_", "-"),
            "model": _model(key, imagenet.models or imagenet.root / "models"),
            "data": data,
            "validation": config.validation.model_copy(update={"accuracy_batch_size": BATCH}),
        }
    )


def _pictures(root: Path, part: str) -> ImageFolderSource:
    """The pictures of one part: those in `<part>_list.txt`, as PaddleClas has it, or one folder per class."""
    if (listed := root / f"{part}_list.txt").is_file():
        return ImageFolderSource(kind="image_folder", root=root, list_file=listed)
    folder = root / part
    if folder.is_dir() and any(path.is_dir() for path in folder.iterdir()):
        return ImageFolderSource(kind="image_folder", root=folder)
    raise DataError(
        found=f"neither {listed.name} nor class folders in {part}/ below {root}",
        required=f"{part}/<class>/*.JPEG, or {listed.name} of `{part}/name.JPEG label` lines",
        remedy="correct `--imagenet-root`, or write the list: of a flat folder the labels are not known",
    )


def _model(key: RowKey, models: Path) -> ModelFiles | TrainedModel:
    """The model in `<key>/`, or `paddle.vision`'s architecture with the weights in `<key>.pdparams`."""
    if (exported := models / key).is_dir():
        return ModelFiles(path=exported)
    if (weights := models / f"{key}.pdparams").is_file():
        arguments = {"name": str(key), "weights": str(weights), "digest": file_digest(weights)}
        return TrainedModel(train=EXPORT, arguments=arguments)
    raise DataError(
        found=f"neither {key}/ nor {key}.pdparams in {models}",
        required="an exported model of 224x224 pictures, or the weights of paddle.vision's architecture",
        remedy=f"save `paddle.vision.models.{key}(pretrained=True).state_dict()` there with `paddle.save`",
    )
