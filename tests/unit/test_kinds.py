"""A section that is one of several kinds: those of this project and those of installed packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from paddle_int8.tasks.config.data import DataConfig, Source
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.training.data import training_digest
from tests.e2e.small_inputs import SmallInputs
from tests.e2e.someones_source import LABELS, SAMPLES, ArraysSource
from tests.installed_package import install

OURS = ("image_folder", "npz", "idx", "tagged_text", "callable")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "tests.e2e.someones_source:SOURCE"
    install(tmp_path / "site", "someones-source", {"paddle_int8.sources": {"arrays": place}})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def config(kind: str, tmp_path: Path) -> Path:
    data = {"calibration": {"kind": kind, "folder": str(tmp_path)}}
    return SmallInputs(folder=tmp_path).config(tmp_path / "release.yaml", "x", data=data)


def test_kinds_of_source_are_the_records_of_the_folder() -> None:
    assert tuple(Source.kinds()) == OURS


def test_kind_of_another_package_is_taken_dumped_and_read_again(installed: None, tmp_path: Path) -> None:
    loaded = load_config(config("arrays", tmp_path))
    assert loaded.data.calibration == ArraysSource(kind="arrays", folder=tmp_path)
    assert type(loaded).model_validate_json(loaded.model_dump_json()) == loaded


def test_run_form_offers_the_kinds_of_every_package(installed: None) -> None:
    schema = TypeAdapter(DataConfig).json_schema()
    offered = [each["$ref"].rpartition("/")[2] for each in schema["properties"]["calibration"]["anyOf"]]
    titles = [schema["$defs"][name]["title"] for name in offered]
    assert titles == [
        *("Image folder", "NumPy archive", "IDX files", "Tagged text", "Python function"),
        "Folder of arrays",
    ]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        pytest.param("array", "is array, did you mean `arrays`?", id="unknown"),
        pytest.param("folders", "is folders, did you mean `image_folder`?", id="ours"),
    ],
)
def test_unknown_kind_names_the_one_that_was_meant(
    installed: None, tmp_path: Path, kind: str, found: str
) -> None:
    with pytest.raises(ConfigError, match=r"data\.calibration\.kind") as raised:
        load_config(config(kind, tmp_path))
    assert found in raised.value.found
    assert raised.value.required.endswith(f"one of {', '.join(OURS)}, arrays")


def test_key_of_another_kind_is_said_to_be_of_that_kind(installed: None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which `kind: arrays` has"):
        load_config(config("npz", tmp_path))


def test_kind_that_a_server_does_not_allow_is_refused_and_the_others_are_not(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "started-by-a-server")
    assert tuple(Source.kinds()) == OURS
    with pytest.raises(ConfigError, match=r"does not allow: tests\.e2e\.someones_source"):
        load_config(config("arrays", tmp_path))
    given: Any = {"kind": "npz", "path": "x"}
    assert DataConfig(calibration=given, validation=given).calibration.kind == "npz"


def test_source_without_a_kind_is_asked_for_one() -> None:
    with pytest.raises(ValidationError, match="discriminator"):
        DataConfig.model_validate({"calibration": {}, "validation": {}})


def test_training_digest_of_another_packages_source_follows_its_content(
    installed: None, tmp_path: Path
) -> None:
    source = ArraysSource(kind="arrays", folder=tmp_path)
    digests = []
    for text in ("one", "two"):
        (tmp_path / SAMPLES).write_text(text)
        (tmp_path / LABELS).write_text("labels")
        digests.append(training_digest(source))
    assert len(set(digests)) == 2
