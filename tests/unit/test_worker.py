"""A worker that cannot start says why, once and first."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle_int8.flows.server.worker.startup import become_worker
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import StorageError


def test_worker_whose_home_cannot_be_written_is_refused_before_prefect_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StorageError, match="set PADDLE_INT8_HOME"):
        become_worker(Settings(), pool="skylake", limit=1, health_port=8080)
