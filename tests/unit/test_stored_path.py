"""A path in the store means the same artifact on hosts whose stores are in different folders."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.stored_path import PORTABLE, StoredPath

PATH = TypeAdapter(StoredPath)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredPath:
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "one"))
    return StoredPath(Settings().store / "evidence" / "abc" / "outcomes.npz")


def test_stored_path_pickled_is_found_in_the_other_hosts_store(
    stored: StoredPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = pickle.dumps(stored)
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "two"))
    assert pickle.loads(pickled) == tmp_path / "two" / "artifacts" / "evidence" / "abc" / "outcomes.npz"


def test_stored_path_in_a_record_is_found_in_the_other_hosts_store(
    stored: StoredPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = PATH.dump_json(stored, context=PORTABLE)
    assert record == b'"evidence/abc/outcomes.npz"'
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "two"))
    assert PATH.validate_json(record, context=PORTABLE).artifact() == Settings().store / "evidence" / "abc"


def test_stored_path_sent_to_an_isolated_process_stays_where_it_is(
    stored: StoredPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = bytes(ForkingPickler.dumps(stored))
    monkeypatch.delenv("PADDLE_INT8_HOME")
    assert pickle.loads(sent) == stored


def test_stored_path_in_json_for_people_is_absolute(stored: StoredPath) -> None:
    assert PATH.dump_json(stored) == f'"{stored}"'.encode()
    assert PATH.validate_json(PATH.dump_json(stored)) == stored


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "models/../../../x", ""])
def test_stored_path_in_a_record_that_leaves_the_store_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="not a path inside the store"):
        PATH.validate_python(path, context=PORTABLE)
