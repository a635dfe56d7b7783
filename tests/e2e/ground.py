"""The folder in which a test's releases run, and the records that they leave there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import PipelineError
from tests.e2e.records import FlowRecord, eventually, read_flow, read_run
from tests.e2e.small_inputs import SmallInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The folders and records of one release, whose name is its own."""

    inputs: SmallInputs
    folder: Path
    home: Path
    tracking_uri: str
    name: str = field(default_factory=lambda: f"release-{uuid4().hex[:12]}")

    def failure(self, **changes: Any) -> PipelineError:
        """The error of a real release with these changes to a good configuration."""
        from paddle_int8.flows.release import release

        config = load_config(self.inputs.config(self.folder / "release.yaml", self.name, **changes))
        with pytest.raises(PipelineError) as caught:
            release(config)
        error = caught.value
        assert all((error.found, error.required, error.remedy))
        return error

    def flow(self, enough: Callable[[FlowRecord], object] | None = None) -> FlowRecord:
        """Once it is `enough`; by default once a task has failed and all are recorded as ended."""
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return eventually(
                lambda: read_flow(client, self.name),
                enough or (lambda flow: flow.in_state("FAILED") and not flow.in_state("RUNNING")),
            )

    def require_failed(self, error: PipelineError, *, task: str, tags: set[str]) -> None:
        """Only `task` failed in Prefect; MLflow's run failed with `error` and has `tags` of what was done."""
        flow = self.flow()
        (failed,) = flow.in_state("FAILED")
        assert failed.startswith(task)
        assert flow.state == "FAILED"
        assert not flow.in_state("RUNNING")
        run = read_run(self.tracking_uri, self.name)
        assert run.info.status == "FAILED"
        assert error.found[:100] in run.data.tags["error"]
        assert tags <= run.data.tags.keys()

    def kinds(self) -> set[str]:
        """The kinds of artifacts in the store, in which nothing may be half-written."""
        store = self.home / "artifacts"
        assert not list(store.glob("scratch/*/*"))
        kinds = {path.name for path in store.iterdir() if any(path.iterdir())}
        return kinds - {"scratch", "results"}  # Prefect keeps a failed flow's exception among its results
