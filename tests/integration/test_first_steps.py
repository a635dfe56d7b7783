"""`init` and `check` on a real model and real pictures; the programs themselves, as a newcomer runs them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.drafting.draft import DraftRequest, draft
from paddle_int8.tasks.drafting.questions import Interview, Question
from paddle_int8.tasks.gate.sufficiency import too_few
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.preview.check import check
from paddle_int8.tasks.preview.findings import Check
from paddle_int8.tasks.preview.source import files_of
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.colours import CLASSES, SIDE, draw, export
from tests.patience import allowed

pytestmark = pytest.mark.paddle
EACH = 24
VALIDATED = EACH * len(CLASSES) * 4 // 5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    kinds: dict[str, dict[str, Any]] = {
        "colours": {},
        "turned": {"classes": tuple(reversed(CLASSES))},
        "one by one": {"batch": 1},
    }
    for name, given in kinds.items():
        exporting = partial(export, **given)
        run_isolated(exporting, root / name, step="export", log=root / "export.log", timeout_s=300)
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures") / "my pictures", EACH)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def drafted(model: Path, data: Path, **given: str) -> Path:
    request = DraftRequest(model=ModelFiles(path=model), data=data)
    return draft(request, Interview(given=given, prompt=_never, yes=True)).path


def _never(question: Question) -> str:
    raise AssertionError(f"{question.option} was asked")


def checked(config: Path) -> Check:
    loaded = load_config(config)
    with files_of(loaded) as files:
        return check(loaded, files)


def doubted(found: Check) -> str:
    return "; ".join(doubt.said for doubt in found.doubts)


def program(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("paddle-int8")), *command],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=allowed(300),
    )


def test_init_finds_the_preprocessing_by_trying_and_check_agrees(models: Path, pictures: Path) -> None:
    config = drafted(models / "colours", pictures)
    written = yaml.safe_load(config.read_text(encoding="utf-8"))
    preprocessing = written["data"]["preprocessing"]
    assert config.name == "colours.yaml"
    assert (preprocessing["mean"], preprocessing["std"]) == ([0.5], [0.5])
    assert written["gate"]["max_drop_pp"] > 1  # so few samples cannot decide one point
    found = checked(config)
    assert (found.outcome, found.doubts) == (Outcome.APPROVED, ())
    assert [score.value for score in found.scores] == [1.0]
    assert (found.calibration.samples, found.validation.samples) == (EACH, VALIDATED)
    page = found.page.read_text(encoding="utf-8")
    assert page.count('<img src="data:image/') == 48
    assert "http" not in page


def test_check_sees_an_order_of_classes_that_is_not_the_models(models: Path, pictures: Path) -> None:
    config = drafted(models / "colours", pictures)
    text = config.read_text(encoding="utf-8").replace(str(models / "colours"), str(models / "turned"))
    config.write_text(text, encoding="utf-8")
    found = checked(config)
    said = doubted(found)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "another order of the classes: label 0 is 4 in the model, 1 is 3 in the model" in said


def test_check_sees_a_preprocessing_that_is_not_the_trainings(models: Path, pictures: Path) -> None:
    found = checked(drafted(models / "colours", pictures, preprocessing="unit"))
    assert "with the preprocessing scale: 0.00392157, mean: [0.5], std: [0.5]" in doubted(found)


def test_init_renumbers_the_labels_only_when_it_is_told_to(models: Path, pictures: Path) -> None:
    config = drafted(models / "turned", pictures, renumber="yes")
    assert checked(config).scores[0].value == 1.0
    listed = Path("turned-validation.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split("/")[0]: line.split("\t")[1] for line in listed}["blue"] == "4"


def test_init_of_an_archive_without_labels_measures_agreement(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    shutil.make_archive(str(tmp_path / "pictures"), "zip", pictures / "red")
    config = drafted(models / "colours", tmp_path / "pictures.zip")
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["validation"]["metrics"] == ["agreement"]
    found = checked(config)
    assert {sample.label for sample in found.samples} == {None}
    assert found.scores == ()


def test_init_of_prepared_arrays_takes_them_as_they_are(models: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((40, 3, SIDE, SIDE)).astype(np.float32)
    np.savez(tmp_path / "arrays.npz", image=noise, labels=np.arange(40) % len(CLASSES))
    config = drafted(models / "colours", tmp_path / "arrays.npz")
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["data"]["preprocessing"] == {"layout": "as_is"}
    assert checked(config).validation.samples == 32


def test_init_of_a_model_with_a_fixed_batch_writes_its_size(models: Path, pictures: Path) -> None:
    config = drafted(models / "one by one", pictures)
    assert config.name == "one-by-one.yaml"
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["validation"]["accuracy_batch_size"] == 1
    assert checked(config).scores[0].value == 1.0


@pytest.mark.parametrize(
    ("isa", "layouts"),
    [(IsaLevel.AVX2, ["offline", "offline_7bit", "qdq"]), (IsaLevel.AVX512_CORE_VNNI, None)],
)
def test_init_tries_narrow_factors_where_sums_saturate(
    models: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, isa: IsaLevel, layouts: list[str] | None
) -> None:
    host = dataclasses.replace(host_profile(), isa=isa)
    monkeypatch.setattr("paddle_int8.tasks.drafting.draft.look_at_host", lambda _: host)
    config = drafted(models / "colours", pictures)
    written = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert written.get("quantization", {}).get("layouts") == layouts
    loaded = load_config(config)
    candidates = len(loaded.quantization.candidates())
    assert too_few(VALIDATED, loaded.gate, candidates=candidates) is None


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        ("pictures", "pictures", "no Paddle program in"),
        ("colours", "empty", "an empty folder"),
        ("nothing", "pictures", "nothing at"),
        ("colours", "colours", "without a readable picture"),
        ("pictures", "colours", "the model first, then the data"),
    ],
    ids=[
        "a folder that is no model",
        "empty data",
        "a missing model",
        "the model as data",
        "both in the other order",
    ],
)
def test_mistakes_of_a_newcomer_are_told_with_a_remedy(
    models: Path, pictures: Path, tmp_path: Path, model: str, data: str, said: str
) -> None:
    places = {name: tmp_path / name for name in ("empty", "nothing")}
    places |= {"pictures": pictures, "colours": models / "colours"}
    places["empty"].mkdir()
    with pytest.raises(PipelineError, match=said) as raised:
        drafted(places[model], places[data])
    assert raised.value.remedy
    assert not list(tmp_path.glob("*.yaml"))


def test_init_without_a_terminal_refuses_before_it_loads_anything(tmp_path: Path) -> None:
    refused = program(tmp_path, "init", "no-such-model", "no-such-data")
    assert refused.returncode == 2
    assert "no terminal to ask questions on" in refused.stderr
    assert "add --yes" in refused.stderr


def test_programs_write_and_check_a_configuration_and_overwrite_nothing(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    command = ("init", str(models / "colours"), str(pictures), "--yes", "--json")
    first, again = program(tmp_path, *command), program(tmp_path, *command)
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert document["schema"] == "paddle-int8/init/1"
    assert again.returncode == 2
    assert "which is there already" in again.stderr
    shown = program(tmp_path, "check", document["path"])
    assert shown.returncode == 0, shown.stderr
    assert "READY" in shown.stdout
    assert "home/checks/colours.html" in shown.stdout
