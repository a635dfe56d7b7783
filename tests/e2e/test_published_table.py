"""The published table's flow on small releases: a failing row is marked, a finished one is not run again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.limits import own_threads
from paddle_int8.tasks.published.figures import IMAGES, RowKey
from paddle_int8.tasks.published.measured import Measured, Unmeasured
from paddle_int8.tasks.published.request import Column, ImageNet, TableRequest
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.ground import Ground

pytestmark = pytest.mark.paddle

LENIENT = {"metric": "agreement", "max_drop_pp": 40.0, "min_speedup": 0.01, "min_int8_share": 0.1}


def test_table_marks_a_failed_row_goes_on_and_keeps_what_is_done(warm_ground: Ground) -> None:
    from paddle_int8.flows.published_table import published_table

    folder = warm_ground.folder / "configs"
    folder.mkdir()
    good, bad = (folder / f"{row.key}_speed.yaml" for row in IMAGES[1::-1])
    changes = {"gate": LENIENT, "registry": {"enabled": False}, "validation": {"metrics": ["agreement"]}}
    narrow = {"algorithms": ["abs_max"], "layouts": ["offline_7bit"]}  # right on every CPU
    warm_ground.inputs.config(good, warm_ground.name, **changes, quantization=narrow)
    shutil.copy(good, bad)
    bad.write_text(bad.read_text().replace(str(warm_ground.inputs.folder / "model"), "/nowhere"))

    table, document = published_table(TableRequest(configs=folder))
    failed, done, *rest = (row.speed for row in table.rows)
    assert isinstance(done, Measured)
    assert isinstance(failed, Unmeasured)
    assert "/nowhere" in failed.reason
    assert all(isinstance(each, Unmeasured) for each in rest)
    assert "not measured: nothing at /nowhere" in document.read_text()

    again, _ = published_table(TableRequest(configs=folder, only=(IMAGES[1].key,)))
    assert again.rows[1].speed == done
    with connection(warm_ground.tracking_uri) as client:
        (experiment,) = client.search_experiments(filter_string=f"name = '{warm_ground.name}'")
        tables = client.search_experiments(filter_string="name = 'published-table'")
        runs = client.search_runs([experiment.experiment_id], "tags.outcome = 'approved'")
        (newest, *_) = client.search_runs([tables[0].experiment_id])
        files = {item.path for item in client.list_artifacts(newest.info.run_id)}
        assert not client.search_registered_models(f"name = '{warm_ground.name}'")
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 1
    assert files == {f"published-table.{kind}" for kind in ("md", "csv", "html")}
    assert (
        newest.data.metrics[f"{IMAGES[1].key}/{done.per_isa[0].isa}/speedup_ratio"] == done.per_isa[0].ratio
    )


def test_models_are_trained_at_the_same_time_and_a_failed_training_is_not_tried_again(
    warm_ground: Ground,
) -> None:
    from paddle_int8.flows.published_table import published_table

    folder, meeting = warm_ground.folder / "configs", warm_ground.folder / "meeting"
    folder.mkdir()
    meeting.mkdir()
    changes = {"gate": LENIENT, "registry": {"enabled": False}, "validation": {"metrics": ["agreement"]}}
    together = {"model": str(warm_ground.inputs.folder / "model"), "meeting": str(meeting)}
    counted = warm_ground.folder / "counted"
    models = [
        {"train": "tests.e2e.recipes:train_together", "arguments": together | {"name": "first"}},
        {"train": "tests.e2e.recipes:train_together", "arguments": together | {"name": "second"}},
        {"train": "tests.e2e.recipes:fail", "arguments": {"counted": str(counted)}},
    ]
    for row, model in zip(IMAGES, models, strict=False):
        path = folder / f"{row.key}_speed.yaml"
        warm_ground.inputs.config(path, warm_ground.name, model=model, **changes)

    table, _ = published_table(TableRequest(configs=folder))
    first, second, failed, *_ = (row.speed for row in table.rows)
    assert isinstance(first, Measured), first
    assert isinstance(second, Measured), second
    assert isinstance(failed, Unmeasured)
    assert "the loss is not finite" in failed.reason
    assert counted.read_text() == "called\n"
    threads = max(1, own_threads() // 2)
    assert {each.name: each.read_text() for each in meeting.iterdir()} == dict.fromkeys(
        ("first", "second"), str(threads)
    )


def make_imagenet(root: Path) -> None:
    """ILSVRC2012 in small, PaddleClas's lists, and weights that are right on all of it. Runs isolated."""
    import paddle

    paddle.seed(0)
    network = paddle.vision.models.mobilenet_v1(num_classes=3)
    network.eval()
    random = np.random.default_rng(0)
    pictures: list[Any] = []
    for number in range(24):
        part = "val" if number % 2 else "train"
        coarse = random.integers(0, 256, (6, 7, 3), dtype=np.uint8)
        path = root / part / f"ILSVRC2012_{part}_{number:08}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((350, 300), Image.Resampling.NEAREST).save(path, quality=95)
        pictures.append((part, path, as_published(path)))
    stacked = paddle.to_tensor(np.stack([values for _, _, values in pictures]))
    head = network.fc  # without it one class would win everywhere
    head.bias.set_value(-network(stacked).mean(axis=0))
    labels = network(stacked).numpy().argmax(axis=1)
    assert len(set(labels.tolist())) > 1
    for part in ("train", "val"):
        lines = [
            f"{path.relative_to(root)} {label}"
            for (where, path, _), label in zip(pictures, labels, strict=True)
            if where == part
        ]
        (root / f"{part}_list.txt").write_text("\n".join(lines))
    (root / "models").mkdir()
    paddle.save(network.state_dict(), str(root / "models" / "mobilenet_v1.pdparams"))


def as_published(path: Path) -> Any:
    """Shorter side 256, the middle 224, ImageNet's mean and deviation: [3, 224, 224]."""
    picture = Image.open(path).convert("RGB")
    factor = 256 / min(picture.size)
    picture = picture.resize(
        (round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BILINEAR
    )
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    values = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return ((values - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).astype(np.float32).transpose(2, 0, 1)


def test_image_row_is_measured_on_a_user_s_imagenet_with_their_weights(
    warm_ground: Ground, tmp_path: Path
) -> None:
    from paddle_int8.flows.published_table import published_table

    root, key = tmp_path / "imagenet", RowKey.MOBILENET_V1
    run_isolated(make_imagenet, root, step="make", log=tmp_path / "log", timeout_s=120)
    warm_ground.inputs.config(
        tmp_path / f"{key}_accuracy.yaml",
        warm_ground.name,
        gate=LENIENT | {"metric": "top1"},
        registry={"enabled": False},
        validation={"metrics": ["top1"], "repeats": 20, "warmup": 0, "processes": 3},
    )
    request = TableRequest(
        configs=tmp_path, only=(key,), column=Column.ACCURACY, imagenet=ImageNet(root=root)
    )
    table, document = published_table(request)
    found = table.rows[0].accuracy
    assert isinstance(found, Measured), found
    (top1,) = found.metrics
    assert (found.samples, top1.baseline) == (12, 1.0)
    text = document.read_text()
    assert "12 samples of imagenet/val_list.txt" in text
    assert "models/mobilenet_v1.pdparams" in text
    assert str(tmp_path) not in text
