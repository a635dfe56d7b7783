"""Training functions, the demo's and a user's own, run in real isolated processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.model import ModelFiles, TrainedModel
from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import DataError, TrainingError
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.training.entry import run_training, source_digest
from paddle_int8.zoo.digits import SPLITS, digits

DEMO = "paddle_int8.zoo.digits:train_mobilenet_v1"
TINY = {"scale": 0.25, "side": 32, "epochs": 1, "samples": 64}


def train_linear(folder: Path, progress: Callable[[int, int, str], None], *, width: int) -> None:
    """What a user's own recipe looks like."""
    import paddle

    progress(1, 1, "done")
    spec = paddle.static.InputSpec([None, width], "float32", "x")
    paddle.jit.save(paddle.nn.Linear(width, 2), str(folder / "model"), input_spec=[spec])


def train_nothing(folder: Path, progress: Callable[[int, int, str], None]) -> None:
    """A recipe that forgot to export."""


def train_half(folder: Path, progress: Callable[[int, int, str], None]) -> None:
    (folder / "model.pdmodel").write_bytes(b"program")


def train_badly(folder: Path, progress: Callable[[int, int, str], None]) -> None:
    raise RuntimeError("no such optimizer")


def trained(tmp_path: Path, train: str, **arguments: Any) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    config = TrainedModel(train=train, arguments=arguments)
    run_isolated(run_training, config, folder, step="train", log=tmp_path / "log", timeout_s=120)
    return folder


def inputs_of(folder: Path, prepared: Path) -> tuple[TensorSpec, ...]:
    return prepare_model(find_model(ModelFiles(path=folder)), prepared).inputs


@pytest.mark.paddle
def test_demo_recipe_trains_reports_and_exports_what_the_release_reads(tmp_path: Path) -> None:
    heard: list[progress.Progress] = []
    with progress.listen(heard.append):
        folder = trained(tmp_path, DEMO, **TINY)
    steps = [(event.done, event.total) for event in heard if event.done and not event.ended]
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    assert len(steps) > 1
    inputs = run_isolated(
        inputs_of, folder, tmp_path / "prepared", step="read", log=tmp_path / "log", timeout_s=120
    )
    assert inputs == (TensorSpec(name="image", shape=(-1, 3, 32, 32), dtype="float32"),)


@pytest.mark.paddle
@pytest.mark.parametrize(
    ("peak_rate", "found"),
    [
        pytest.param(float("nan"), "loss nan in step 2 of", id="loss"),
        pytest.param(1e30, "NaN or infinity in .* after", id="weights behind a finite loss"),
    ],
)
def test_demo_recipe_that_diverges_says_where_and_how_to_help(
    tmp_path: Path, peak_rate: float, found: str
) -> None:
    with pytest.raises(TrainingError, match=found) as caught:
        trained(tmp_path, DEMO, **TINY, peak_rate=peak_rate)
    assert "peak_rate" in caught.value.remedy
    assert not list((tmp_path / "trained").iterdir())


@pytest.mark.paddle
def test_users_own_function_gets_its_arguments(tmp_path: Path) -> None:
    folder = trained(tmp_path, f"{__name__}:train_linear", width=3)
    assert {path.name for path in folder.iterdir()} >= {"model.pdmodel", "model.pdiparams"}


@pytest.mark.paddle
@pytest.mark.parametrize(
    ("function", "found"),
    [
        pytest.param("train_nothing", "wrote no model.pdmodel, model.pdiparams", id="writes nothing"),
        pytest.param("train_half", "wrote no model.pdiparams", id="writes half"),
        pytest.param("train_badly", "RuntimeError: no such optimizer", id="raises"),
        pytest.param("train_linear", "width", id="misses an argument"),
    ],
)
def test_users_own_function_that_fails_is_a_training_error(tmp_path: Path, function: str, found: str) -> None:
    with pytest.raises(TrainingError, match=found) as caught:
        trained(tmp_path, f"{__name__}:{function}")
    assert function in caught.value.found


@pytest.mark.paddle
def test_function_that_does_not_exist_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train_absent"):
        trained(tmp_path, f"{__name__}:train_absent")


def test_digits_splits_share_no_picture_and_hold_every_class() -> None:
    seen: set[bytes] = set()
    for split, (start, end) in SPLITS.items():
        pictures, labels = digits(split)
        assert len(pictures) == len(labels) == end - start
        assert pictures.shape[1:] == (28, 28, 3)
        assert pictures.dtype == np.uint8
        assert set(labels.tolist()) == set(range(10))
        contents = {picture.tobytes() for picture in pictures}
        assert len(contents) == len(pictures)
        assert not contents & seen
        seen |= contents


def test_digits_unknown_split_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match="train, calibration, validation"):
        digits("test")


def test_source_digest_follows_the_code_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "my_recipe.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    config = TrainedModel(train="my_recipe:train")
    digests = []
    for text in ("import paddle_that_is_not_there", "import paddle_that_is_not_there  # changed"):
        recipe.write_text(text)
        digests.append(source_digest(config))
    assert digests[0] != digests[1]
    assert "my_recipe" not in sys.modules


def test_source_digest_follows_what_the_recipe_imports_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my_recipes"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "__init__": "",
        "mine": "def train():\n    from my_recipes.loop import fit",
        "loop": "from . import state\nimport numpy",
        "state": "import my_recipes.mine",
        "another": "x = 1",
    }
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)

    def changed(name: str) -> bool:
        before = source_digest(TrainedModel(train="my_recipes.mine:train"))
        (folder / f"{name}.py").write_text(f"{files[name]}\n# changed")
        return source_digest(TrainedModel(train="my_recipes.mine:train")) != before

    assert {name: changed(name) for name in ("mine", "loop", "state", "another")} == {
        "mine": True,
        "loop": True,
        "state": True,
        "another": False,
    }


@pytest.mark.parametrize("train", ["absent_module:train", "absent.inside:train", "sys:exit"])
def test_source_digest_of_no_file_names_the_module(train: str) -> None:
    with pytest.raises(DataError, match=train.partition(":")[0]):
        source_digest(TrainedModel(train=train))


ERNIE = "paddle_int8.zoo.ernie:train_ernie"
TINY_ERNIE = {"layers": 1, "hidden": 16, "heads": 2, "length": 12, "epochs": 1}


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    """Two classes that one character tells apart, in place of the corpus, which is fetched."""
    for name, word in (("neg", "坏"), ("pos", "好")):
        lines = [
            word + "".join("零一二三四五六七八九"[int(digit)] for digit in str(number))
            for number in range(2000)
        ]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return str(tmp_path)


@pytest.mark.paddle
def test_ernie_recipe_exports_a_model_of_tokens(tmp_path: Path, reviews: str) -> None:
    folder = trained(tmp_path, ERNIE, corpus=reviews, **TINY_ERNIE)
    inputs = run_isolated(
        inputs_of, folder, tmp_path / "prepared", step="read", log=tmp_path / "log", timeout_s=120
    )
    assert inputs == (TensorSpec(name="tokens", shape=(-1, 12), dtype="int64"),)


class KilledError(Exception):
    """Raised in the parent, which then kills the training's process."""


def train_saving_each_step(folder: Path, samples: int, checkpoint: Path) -> list[float]:
    """Ten steps of a network with chance in it; the losses. Runs in an isolated process."""
    import paddle

    from paddle_int8.zoo.network import Recipe, train_network

    paddle.seed(0)
    random = np.random.default_rng(0)
    inputs, labels = random.standard_normal((samples, 6)).astype(np.float32), random.integers(0, 3, samples)
    network = paddle.nn.Sequential(paddle.nn.Linear(6, 8), paddle.nn.Dropout(0.5), paddle.nn.Linear(8, 3))
    recipe = Recipe(epochs=2, batch=samples // 5, peak_rate=1e-2, largest_gradient=1.0, save_every_s=0)
    report = partial(progress.report, "train")
    history = train_network(network, inputs, labels, recipe, report, checkpoint)
    np.savez(folder / "weights.npz", *[each.numpy() for each in network.parameters()])
    return [*history.losses, history.resumed_from]


@pytest.mark.paddle
def test_killed_training_of_a_network_goes_on_and_ends_bit_equal(tmp_path: Path) -> None:
    def train(name: str) -> tuple[list[float], list[bytes]]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        arguments = (folder, 40, folder / "checkpoint")
        losses = run_isolated(
            train_saving_each_step, *arguments, step="train", log=folder / "log", timeout_s=120
        )
        with np.load(folder / "weights.npz") as weights:
            return losses, [weights[key].tobytes() for key in weights.files]

    def kill(event: progress.Progress) -> None:
        if event.done == 6 and not event.ended:
            raise KilledError

    (*losses, _), weights = train("whole")
    with pytest.raises(KilledError), progress.listen(kill):
        train("killed")
    (*again, resumed_from), same = train("killed")
    assert 5 <= resumed_from < len(losses) == 10
    assert again == losses
    assert same == weights


@pytest.mark.paddle
def test_ernie_recipe_that_diverges_says_where(tmp_path: Path, reviews: str) -> None:
    with pytest.raises(TrainingError, match="loss nan in step"):
        trained(tmp_path, ERNIE, corpus=reviews, **TINY_ERNIE, peak_rate=float("nan"))


def read_saving_each_step(folder: Path, checkpoint: Path) -> None:
    """A few steps of the line recogniser. Runs in an isolated process, whose loop alone saves each step."""
    from paddle_int8.zoo import digit_reader
    from paddle_int8.zoo.digit_lines import train_reader

    digit_reader.fit = partial(digit_reader.fit, save_every_s=0)  # type: ignore[assignment]
    report = partial(progress.report, "train")
    train_reader(folder, report, digit_steps=4, line_steps=3, checkpoint=checkpoint)


@pytest.mark.paddle
def test_line_recogniser_killed_on_digits_and_on_lines_ends_bit_equal(tmp_path: Path) -> None:
    def train(name: str, killed_at: tuple[int, int] | None = None) -> list[int]:
        folder, heard = tmp_path / name, []

        def listen(event: progress.Progress) -> None:
            if event.done and not event.ended:
                heard.append(event.total)
                if (event.done, event.total) == killed_at:
                    raise KilledError

        folder.mkdir(exist_ok=True)
        arguments = (folder, folder / "checkpoint")
        with progress.listen(listen):
            run_isolated(read_saving_each_step, *arguments, step="train", log=tmp_path / "log", timeout_s=200)
        return heard

    assert set(train("whole")) == {4, 3}
    for killed_at in ((3, 4), (2, 3)):
        with pytest.raises(KilledError):
            train("killed", killed_at)
    assert 4 not in train("killed"), "digits are not learnt again when lines have been begun"
    whole, killed = ((tmp_path / name / "model.pdiparams").read_bytes() for name in ("whole", "killed"))
    assert killed == whole
