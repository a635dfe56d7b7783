"""What a release does with bad input: one clear message, failed records, nothing half-written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.artifacts import IsaLevel
from tasks.config import load_config
from tasks.errors import (
    DataError,
    HardwareError,
    IsolatedProcessError,
    MeasurementError,
    ModelFormatError,
    PipelineError,
    RegistryError,
    StorageError,
)
from tasks.hardware.levels import rank
from tasks.hardware.profile import host_profile
from tests.e2e.records import FlowRecord, eventually, read_flow, read_run
from tests.e2e.small_inputs import SIDE, SmallInputs, labels, noise, save_data

pytestmark = pytest.mark.paddle

METRICS = "tests.e2e.failing_metrics"
AFTER_MODEL = {"models"}
AFTER_DATA = {"models", "data"}
AFTER_CONVERSION = {"models", "data", "quantized", "deployable", "results"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where one release of a test runs, and where it leaves its records."""

    inputs: SmallInputs
    folder: Path
    home: Path
    name: str
    tracking_uri: str

    def failure(self, **changes: Any) -> PipelineError:
        """The error of a release with these changes to a good configuration."""
        from flows.release import release

        config = load_config(self.inputs.config(self.folder / "release.yaml", self.name, **changes))
        with pytest.raises(PipelineError) as caught:
            release(config)
        assert all((caught.value.found, caught.value.required, caught.value.remedy))
        return caught.value

    def flow(self) -> FlowRecord:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return eventually(lambda: read_flow(client, self.name), lambda flow: flow.in_state("FAILED"))

    def kinds(self) -> set[str]:
        """The kinds of artifacts in the store; asserts that none is half-written."""
        store = self.home / "artifacts"
        assert not [path for path in store.glob("scratch/*/*")]
        return {path.name for path in store.iterdir() if path.name != "scratch" and any(path.iterdir())}


@pytest.fixture
def ground(
    inputs: SmallInputs,
    prefect_server: None,
    tracking_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ground]:
    with _ground(inputs, tracking_uri, tmp_path, tmp_path / "home", monkeypatch) as made:
        yield made


def _require_failed(ground: Ground, error: PipelineError, *, task: str, logged: set[str]) -> None:
    """Both records name the failure; MLflow's holds the tags in `logged`, of what was done before."""
    flow = ground.flow()
    assert flow.state == "FAILED"
    (failed,) = flow.in_state("FAILED")
    assert failed.startswith(task)
    assert not flow.in_state("RUNNING")
    run = read_run(ground.tracking_uri, ground.name)
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith(str(error)[:200])
    assert logged <= run.data.tags.keys()
