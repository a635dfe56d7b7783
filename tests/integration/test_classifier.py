"""Classifiers on Fashion-MNIST: their pictures, and a training that is killed and resumes."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.model import ModelFiles, TrainedModel
from paddle_int8.tasks.contracts.errors import DataError, TrainingError
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint, Saved
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.training.entry import run_training
from paddle_int8.zoo.fashion_mnist import CALIBRATION, FILES, pictures

RECIPE = "paddle_int8.zoo.fashion_mnist:train_classifier"
TRAINED, TESTED = 160, 20
STEPS = 10


class KilledError(Exception):
    """Raised in the parent, which then kills the training's process."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IDX files of noise, of which two training pictures come twice and one is a test picture too."""
    folder = tmp_path_factory.mktemp("fashion")
    random = np.random.default_rng(0)
    train = random.integers(0, 256, (TRAINED + CALIBRATION, 28, 28), dtype=np.uint8)
    test = random.integers(0, 256, (TESTED, 28, 28), dtype=np.uint8)
    train[-2:] = train[:2]
    test[0] = train[5]
    for kind, images in (("train", train), ("t10k", test)):
        write_idx(folder / f"{kind}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{kind}-labels-idx1-ubyte.gz", (np.arange(len(images)) % 10).astype(np.uint8))
    return folder


def write_idx(path: Path, array: Any) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))


def small_network() -> Any:
    from paddle import nn

    return nn.Sequential(
        *(nn.Conv2D(3, 8, 3, stride=2), nn.BatchNorm2D(8), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2D(8, 8, 3, groups=8), nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(8, 10)),
    )


def trained_steps(folder: Path, data: str, checkpoint: Path) -> None:
    """Ten steps of a small network with chance in it, saved after each. Runs in an isolated process."""
    from paddle_int8.zoo.classifier import Schedule, export, train

    taken, labels = pictures("train", data)
    inputs = (taken.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
    weights = train(
        small_network,
        lambda rows: inputs[rows],
        labels,
        Schedule(
            epochs=1,
            batch=len(labels) // STEPS,
            optimizer="sgd",
            peak_rate=1e-3,
            seed=0,
            save_every_s=0,
        ),
        lambda done, total, note: progress.report("train", done, total, note),
        Checkpoint(checkpoint),
        side=28,
    )
    export(small_network, weights, folder, side=28)


def started_block(image: Any) -> Any:
    """What a residual block of ResNet makes of `image` [1, 64, H, W] at the start. In an isolated process."""
    import paddle
    from paddle.vision.models.resnet import BasicBlock

    from paddle_int8.zoo.classifier import close_branches

    paddle.enable_static()
    block = BasicBlock(64, 64)
    made = block(paddle.static.data("image", image.shape, "float32"))
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(paddle.static.default_startup_program())
    close_branches(paddle.nn.Sequential(block))
    return executor.run(feed={"image": image}, fetch_list=[made])[0]


def grown(name: str, architecture: dict[str, Any], image: Any) -> tuple[Any, Any, int]:
    """What a shallow network and the one grown from it make of `image`, and how many layers were added."""
    import paddle

    from paddle_int8.zoo.classifier import close_branches, put
    from paddle_int8.zoo.growth import deepen, shallow

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())

    def build(whole: bool) -> tuple[Any, Any, Any]:
        program, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(program, startup):
            network = getattr(paddle.vision.models, name)(num_classes=0, with_pool=False, **architecture)
            network = network if whole else shallow(network)
            network.eval()
            made = network(paddle.static.data("image", image.shape, "float32"))
        executor.run(startup)
        return network, program, made

    small, program, made = build(whole=False)
    kernels = [each for each in small.sublayers() if isinstance(each, paddle.nn.Conv2D)]
    said = executor.run(program, feed={"image": image}, fetch_list=[made])[0]
    scope = paddle.static.global_scope()
    weights = {
        key: np.array(scope.find_var(each.name).get_tensor()) for key, each in small.state_dict().items()
    }
    network, program, made = build(whole=True)
    close_branches(network)
    deepen(network, weights, put)
    more = [each for each in network.sublayers() if isinstance(each, paddle.nn.Conv2D)]
    return said, executor.run(program, feed={"image": image}, fetch_list=[made])[0], len(more) - len(kernels)


def moments(mean: Any, deviation: Any) -> Any:
    from paddle_int8.zoo.growth import rectified_moments

    return rectified_moments(mean, deviation)


def train_in(folder: Path, data: Path) -> str:
    """Trains in a process of its own; returns the digest of what it exported."""
    exported = folder / "exported"
    exported.mkdir(parents=True, exist_ok=True)
    arguments = (exported, str(data), folder / "checkpoint")
    run_isolated(trained_steps, *arguments, step="train", log=folder / "log", timeout_s=200)
    return run_isolated(program_digest, exported, step="digest", log=folder / "log", timeout_s=60)


def test_pictures_splits_share_none_and_repeated_ones_count_once(data: Path) -> None:
    splits = {split: pictures(split, str(data)) for split in ("train", "calibration", "validation")}
    contents = {split: {each.tobytes() for each in taken} for split, (taken, _) in splits.items()}
    assert [len(taken) for taken, _ in splits.values()] == [TRAINED, CALIBRATION - 2, TESTED - 1]
    assert [len(contents[split]) for split in splits] == [len(taken) for taken, _ in splits.values()]
    assert not contents["train"] & contents["calibration"]
    assert not contents["validation"] & (contents["train"] | contents["calibration"])
    assert splits["train"][0].shape == (TRAINED, 28, 28, 3)


def test_pictures_that_are_missing_name_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("FETCHED", "INSTALLED"):
        monkeypatch.setattr(f"paddle_int8.zoo.fashion_mnist.{place}", tmp_path)
    with pytest.raises(DataError, match="make data") as caught:
        pictures("train")
    assert str(tmp_path) in caught.value.found


def test_pictures_that_are_not_the_published_ones_are_refused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paddle_int8.zoo.fashion_mnist.FETCHED", data)
    with pytest.raises(DataError, match=FILES["train-images-idx3-ubyte.gz"][:12]):
        pictures("train")


@pytest.mark.paddle
def test_killed_training_goes_on_and_exports_the_same_model(data: Path, tmp_path: Path) -> None:
    whole = train_in(tmp_path / "whole", data)

    def kill(event: progress.Progress) -> None:
        if event.done == 6 and not event.ended:
            raise KilledError

    with pytest.raises(KilledError), progress.listen(kill):
        train_in(tmp_path / "killed", data)
    saved = Checkpoint(tmp_path / "killed" / "checkpoint").load()
    assert saved is not None
    assert 5 <= len(saved.losses) < STEPS
    assert train_in(tmp_path / "killed", data) == whole


@pytest.mark.paddle
@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("mobilenet_v2", {"scale": 0.25}),
        ("resnet18", {"optimizer": "sgd"}),
        ("resnet18", {"shallow": {"epochs": 0.2, "peak_rate": 1e-3}}),
        ("vgg11", {"batch_norm": True}),
        ("vgg13", {"batch_norm": True, "shallow": {"epochs": 0.2, "peak_rate": 1e-3}}),
    ],
    ids=["mobilenet", "resnet", "grown resnet", "vgg", "grown vgg"],
)
def test_recipe_exports_a_model_of_ten_classes(
    data: Path, tmp_path: Path, name: str, architecture: dict[str, Any]
) -> None:
    chosen = {"name": name, "epochs": 32 / TRAINED, "batch": 16, "data": str(data)}
    config = TrainedModel(train=RECIPE, arguments=chosen | architecture)
    arguments = (config, tmp_path, tmp_path / "checkpoint")
    run_isolated(run_training, *arguments, step="train", log=tmp_path / "log", timeout_s=200)
    assert find_model(ModelFiles(path=tmp_path)).program.is_file()


@pytest.mark.paddle
@pytest.mark.parametrize(
    ("name", "architecture", "added"),
    [("resnet50", {}, 36), ("vgg16", {"batch_norm": True}, 8)],
    ids=["resnet50", "vgg16"],
)
def test_grown_network_starts_as_the_shallow_one(
    tmp_path: Path, name: str, architecture: dict[str, Any], added: int
) -> None:
    image = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    arguments = (name, architecture, image)
    said, after, layers = run_isolated(grown, *arguments, step="grow", log=tmp_path / "log", timeout_s=120)
    assert layers == added
    assert np.abs(said).max() > 0
    np.testing.assert_allclose(after, said, atol=1e-4 * np.abs(said).max())


@pytest.mark.paddle
def test_growing_an_architecture_without_such_blocks_is_refused(tmp_path: Path) -> None:
    image = np.zeros((1, 3, 32, 32), np.float32)
    with pytest.raises(TrainingError, match="batch_norm: true"):
        run_isolated(grown, "mobilenet_v1", {}, image, step="grow", log=tmp_path / "log", timeout_s=120)


@pytest.mark.paddle
def test_rectified_moments_are_those_of_many_draws(tmp_path: Path) -> None:
    mean, deviation = np.array([-1.5, 0.0, 0.4, 3.0]), np.array([1.0, 2.0, -0.5, 0.3])
    found = run_isolated(moments, mean, deviation, step="moments", log=tmp_path / "log", timeout_s=60)
    draws = np.maximum(np.random.default_rng(0).normal(mean, np.abs(deviation), (400_000, 4)), 0)
    np.testing.assert_allclose(found, (draws.mean(axis=0), draws.var(axis=0)), rtol=0.03)


@pytest.mark.paddle
def test_residual_block_starts_as_the_identity(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 64, 4, 4)).astype(np.float32)
    made = run_isolated(started_block, image, step="start", log=tmp_path / "log", timeout_s=60)
    np.testing.assert_allclose(made, np.maximum(image, 0))


def test_checkpoint_is_whole_or_absent(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run")
    assert checkpoint.load() is None
    arrays = {"a/b@scale": np.arange(3.0), "w": np.ones((2, 2), np.float32)}
    checkpoint.save(Saved(arrays=arrays, losses=[1.0, 0.5], accuracies=[0.1, 0.2]))
    (tmp_path / "run" / "1.partial").write_bytes(b"a process was killed here")
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded.losses == [1.0, 0.5]
    assert {name: values.tolist() for name, values in loaded.arrays.items()} == {
        name: values.tolist() for name, values in arrays.items()
    }
    checkpoint.clear()
    assert checkpoint.load() is None
