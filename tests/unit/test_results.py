"""Records of finished steps are read back as they were written, and nobody else's record runs code."""

from __future__ import annotations

import json
import math
import pickle
from base64 import encodebytes
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.results import ResultRecordMetadata, ResultStore
from prefect.serializers import PickleSerializer

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts import artifacts, evidence, verdict
from paddle_int8.tasks.contracts.artifacts import BaselineOutputsArtifact
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Observed
from paddle_int8.tasks.steps.results import ArtifactSerializer, ResultFolder
from paddle_int8.tasks.validation.load import LoadEvidence
from tests.release_factory import build_artifacts, build_candidates, build_evidence

CANDIDATE = build_candidates()[0]
QUANTIZE, VALIDATE = (
    "paddle_int8.tasks.algorithms.task:quantize",
    "paddle_int8.tasks.validation.task:validate",
)
BASELINES = "paddle_int8.tasks.validation.task:measure_baselines"
OUTPUTS = "paddle_int8.tasks.validation.task:baseline_outputs"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path))
    return tmp_path


def _in_store(value: Any) -> Any:
    """`value` with each of its stored paths in this test's store, as `commit` makes them."""
    if isinstance(value, tuple):
        return tuple(map(_in_store, value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {
        each.name: StoredPath(Settings().store / "kind" / "digest" / "file")
        if each.type == "StoredPath"
        else _in_store(getattr(value, each.name))
        for each in fields(value)
    }
    return replace(value, **changed)


def _observed(folder: Path) -> artifacts.ObservedArtifact:
    return artifacts.ObservedArtifact(
        kind=Observed.LOSSES,
        folder=StoredPath(folder),
        digest="d",
        tensors=87,
        seconds=1.5,
        log=folder / "log",
    )


def _results() -> dict[str, tuple[str, Any]]:
    """A realistic result of every cached step but training, whose result is a path."""
    folder = Settings().root / "made"
    folder.mkdir(parents=True)
    quantized, deployable = map(_in_store, build_artifacts(folder, CANDIDATE))
    evidence = _in_store(build_evidence(CANDIDATE))
    perfect = replace(evidence.per_isa[0], sqnr_db=math.inf)
    outputs = _in_store(BaselineOutputsArtifact(folder=StoredPath(folder), digest="d", log=folder / "log"))
    load = LoadEvidence(load_ms=1.5, peak_memory_bytes=1 << 20)
    return {
        "calibrate": ("paddle_int8.tasks.algorithms.task:calibrate", _in_store(_observed(folder))),
        "quantize": (QUANTIZE, quantized),
        "convert": ("paddle_int8.tasks.layouts.task:convert", deployable),
        "validate": (VALIDATE, evidence),
        "validate, with an infinite ratio": (VALIDATE, replace(evidence, per_isa=(perfect,))),
        "baseline outputs": (OUTPUTS, outputs),
        "measure baselines": (BASELINES, {IsaLevel.AVX512_CORE: load, IsaLevel.AVX2: load}),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("calibrate", "quantize", "convert", "validate", "validate, with an infinite ratio"),
        *("baseline outputs", "measure baselines"),
    ],
)
def test_result_read_back_equals_what_was_kept_in_value_and_type(name: str) -> None:
    step, result = _results()[name]
    serializer = ArtifactSerializer(step=step)
    again = serializer.loads(serializer.dumps(result))
    assert again == result
    assert repr(again) == repr(result)  # a string key equals its IsaLevel, and is not one


def test_artifacts_hold_their_folders_as_stored_paths() -> None:
    plain = {
        (name, each.name)
        for module in (artifacts, evidence, verdict)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and is_dataclass(kind)
        for each in fields(kind)
        if "Path" in str(each.type).replace("StoredPath", "") and each.name not in ("log", "report")
    }
    assert not plain, "a Path does not travel to another host"


def _store(step: str = QUANTIZE) -> ResultStore:
    return ResultStore(result_storage=ResultFolder(), serializer=ArtifactSerializer(step=step))


def test_record_is_read_by_another_host_that_shares_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_SHARED_STORE", (tmp_path / "shared").as_uri())
    _, quantized = _results()["quantize"]
    _store().write(quantized, key="key")
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "other"))
    assert _store().exists("key")
    received = _store().read("key").result
    assert received.digest == quantized.digest
    assert received.folder.is_relative_to(tmp_path / "other")


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "exploded")


def _record(serializer: dict[str, Any], result: str) -> None:
    path = Settings().store / "results" / "key"
    path.parent.mkdir(parents=True)
    metadata = {"serializer": serializer, "storage_key": "key", "prefect_version": "3.8.8"}
    path.write_text(json.dumps({"metadata": metadata, "result": result}))


@pytest.mark.parametrize(
    "serializer",
    [
        pytest.param({"type": "pickle"}, id="pickle"),
        pytest.param({"type": "pickle", "picklelib": "pickle"}, id="pickle by its library"),
        pytest.param({"type": "json", "object_decoder": "pickle.loads"}, id="another decoder"),
    ],
)
def test_record_that_asks_for_another_serializer_is_absent_and_never_read(
    home: Path, serializer: dict[str, Any]
) -> None:
    bomb = Bomb(home / "exploded")
    _record(serializer, encodebytes(pickle.dumps(bomb)).decode())
    assert not _store().exists("key")
    with pytest.raises(ValueError, match="not a record of this project"):
        _store().read("key")
    assert not (home / "exploded").exists()


def test_bomb_of_these_tests_explodes_where_prefect_reads_by_itself(home: Path) -> None:
    PickleSerializer().loads(encodebytes(pickle.dumps(Bomb(home / "exploded"))))
    assert (home / "exploded").exists()


@pytest.mark.parametrize(
    "step", ["os:system", "paddle_int8.tasks.steps.step:step; import os", "paddle_int8.flows.cli.main:main"]
)
def test_record_that_names_code_outside_the_steps_is_absent(step: str) -> None:
    _record({"type": "artifact", "step": step}, '"x"')
    assert not _store().exists("key")


def test_record_whose_artifact_lies_outside_the_store_is_absent() -> None:
    _, quantized = _results()["quantize"]
    text = ArtifactSerializer(step=QUANTIZE).dumps(quantized).decode()
    moved = text.replace("kind/digest/file", "../../etc")
    assert moved != text
    _record({"type": "artifact", "step": QUANTIZE}, moved)
    assert not _store().exists("key")


def test_record_cut_short_by_a_crash_is_absent(home: Path) -> None:
    _, quantized = _results()["quantize"]
    _store().write(quantized, key="key")
    path = home / "artifacts" / "results" / "key"
    path.write_bytes(path.read_bytes()[:100])
    assert not _store().exists("key")


def test_state_of_a_cached_step_is_read_from_the_server_which_leaves_the_serializer_bare() -> None:
    record = ResultRecordMetadata.model_validate({"storage_key": "key", "serializer": {"type": "artifact"}})
    assert record.serializer == ArtifactSerializer()
