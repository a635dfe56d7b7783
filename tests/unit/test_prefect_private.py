"""What is taken from Prefect's inside is there and does what it is taken for, and its absence is told."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import prefect.context
import prefect.results
import prefect.tasks
import pytest
from prefect import task
from prefect.results import ResultStore

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import InstallationError
from paddle_int8.tasks.steps import prefect_private
from paddle_int8.tasks.steps.results import KIND, ArtifactSerializer, ResultFolder

STEP = "paddle_int8.tasks.algorithms.task:quantize"


def _nothing() -> None:
    pass


def test_installed_prefect_has_what_flows_and_steps_take() -> None:
    prefect_private.RUNS.require()


def test_installed_prefect_has_what_the_temporary_server_takes() -> None:
    assert callable(prefect_private.server_app())


def test_record_names_its_serializer_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path))
    ResultStore(result_storage=ResultFolder(), serializer=ArtifactSerializer(step=STEP)).write(
        RuntimeError("kept"), key="key"
    )
    record = (Settings().store / "results" / "key").read_bytes()
    assert prefect_private.serializer_of(record) == KIND
    assert str(tmp_path).encode() not in record  # it is the same on every host


def test_results_are_kept_in_the_folder_that_was_given() -> None:
    folder = ResultFolder()
    with pytest.raises(TypeError, match="persisted server-side"):  # else the adapter is needed no more
        task(result_storage=folder)(_nothing)
    assert prefect_private.keep_results_in(task(_nothing), folder).result_storage is folder


def test_flow_run_of_a_deployment_is_known_by_the_variable_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(prefect_private.FLOW_RUN_ID, "00000000-0000-0000-0000-000000000001")
    from prefect.runtime import flow_run

    assert Settings().flow_run_id == flow_run.get_id() == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        (prefect.context, "FlowRunContext", "without prefect.context:FlowRunContext.get"),
        (prefect.results, "ResultStore", "without _resolve_path in prefect.results:ResultStore"),
        (prefect.tasks, "Task", "without result_storage in prefect.tasks:Task"),
    ],
)
def test_prefect_whose_class_has_changed_is_refused(
    module: ModuleType, name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, type(name, (), {}))
    with pytest.raises(InstallationError, match=told):
        prefect_private.RUNS.require()
