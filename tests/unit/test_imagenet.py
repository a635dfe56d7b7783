"""The image rows on a user's ImageNet: where pictures and weights are looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_int8.tasks.config.model import ModelFiles, TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.data.sources import open_source
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource
from paddle_int8.tasks.data.sources.source import ONLY_INPUT
from paddle_int8.tasks.published.figures import IMAGES, RowKey
from paddle_int8.tasks.published.imagenet import PREPROCESSING
from paddle_int8.tasks.published.measured import Unmeasured
from paddle_int8.tasks.published.origin import data_origin
from paddle_int8.tasks.published.plan import planned
from paddle_int8.tasks.published.request import Column, ImageNet, TableRequest
from paddle_int8.tasks.store.folder import file_digest
from tests.unit.test_published import CONFIGS

CLASSES = ("n01440764", "n01443537", "n02119789")


def picture(path: Path, side: int = 300) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(side).integers(0, 256, (side, side + 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """ILSVRC2012 in small: class folders of `.JPEG`, weights of one row beside them."""
    for name in CLASSES:
        picture(tmp_path / "train" / name / f"{name}_1.JPEG")
        picture(tmp_path / "val" / name / "ILSVRC2012_val_00000001.JPEG")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "resnet50.pdparams").write_bytes(b"weights")
    return tmp_path


def release(imagenet: ImageNet, key: RowKey = RowKey.RESNET50) -> ReleaseConfig | Unmeasured:
    items = planned(CONFIGS, TableRequest(imagenet=imagenet))
    (found,) = [item for item in items if item.row.key == key and item.column is Column.ACCURACY]
    return found.config


def accepted(imagenet: ImageNet, key: RowKey = RowKey.RESNET50) -> ReleaseConfig:
    found = release(imagenet, key)
    assert isinstance(found, ReleaseConfig), found
    return found


def test_class_folders_are_read_as_published(root: Path) -> None:
    config = accepted(ImageNet(root=root, samples=2))
    assert config.name == "published-resnet50-imagenet"
    assert config.data.validation_samples == 2
    samples = open_source(config.data.validation, config.data.preprocessing)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2]
    assert samples.read(0)[ONLY_INPUT].shape == (224, 224, 3)
    assert (PREPROCESSING.resize_shorter, PREPROCESSING.center_crop) == (256, 224)


def test_list_of_a_flat_validation_folder_gives_the_labels(root: Path) -> None:
    picture(root / "val" / "ILSVRC2012_val_00000002.JPEG")
    (root / "val_list.txt").write_text("val/ILSVRC2012_val_00000002.JPEG 65\n")
    source = accepted(ImageNet(root=root)).data.validation
    assert isinstance(source, ImageFolderSource)
    samples = open_source(source, PREPROCESSING)
    assert samples.labels is not None
    assert (samples.count, samples.labels.tolist()) == (1, [65])
    assert data_origin(source) == f"{root.name}/val_list.txt"


def test_flat_validation_folder_without_a_list_leaves_the_row_unmeasured(root: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        (root / "val" / name).rename(tmp_path / f"away_{name}")
    found = release(ImageNet(root=root))
    assert isinstance(found, Unmeasured)
    assert "val_list.txt" in found.reason


def test_weights_are_known_by_their_content(root: Path) -> None:
    before = accepted(ImageNet(root=root)).model
    (root / "models" / "resnet50.pdparams").write_bytes(b"other weights")
    after = accepted(ImageNet(root=root)).model
    assert isinstance(before, TrainedModel)
    assert isinstance(after, TrainedModel)
    assert before != after
    assert after.arguments["digest"] == file_digest(root / "models" / "resnet50.pdparams")


def test_exported_model_is_taken_before_weights(root: Path) -> None:
    (root / "elsewhere" / "resnet50").mkdir(parents=True)
    config = accepted(ImageNet(root=root, models=root / "elsewhere"))
    assert config.model == ModelFiles(path=root / "elsewhere" / "resnet50")


def test_row_without_weights_says_what_to_save_and_where(root: Path) -> None:
    found = release(ImageNet(root=root), RowKey.VGG16)
    assert isinstance(found, Unmeasured)
    assert "vgg16.pdparams" in found.reason
    assert "state_dict" in found.reason


def test_only_accuracies_of_image_rows_move_to_imagenet(root: Path) -> None:
    request = TableRequest(imagenet=ImageNet(root=root))
    plain = {(item.row.key, item.column): item.config for item in planned(CONFIGS, TableRequest())}
    moved = [
        item.row for item in planned(CONFIGS, request) if item.config != plain[item.row.key, item.column]
    ]
    assert moved == list(IMAGES)
