"""Candidates are built on real Dask clusters whose workers have their own disks, or a cluster is missing."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.release import FanOut, ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.published.figures import IMAGES
from paddle_int8.tasks.published.request import TableRequest
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, release
from tests.e2e.ground import Ground
from tests.e2e.object_store import running_store
from tests.e2e.records import FlowRecord
from tests.e2e.servers import ROOT, free_port, program, running
from tests.e2e.small_inputs import LENIENT, SmallInputs
from tests.patience import allowed

pytestmark = pytest.mark.paddle

HOSTS = ("worker-one", "worker-two")
ADDRESS = "PADDLE_INT8_DASK_SCHEDULER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`variables`: what a flow's host needs to know of it."""

    folder: Path
    variables: dict[str, str]

    def built(self) -> list[set[str]]:
        """The steps that each worker ran."""
        return [{step.split()[0] for step in computed(self.folder / host)} for host in HOSTS]


@pytest.fixture
def cluster(tmp_path: Path, temporary: Path) -> Iterator[Cluster]:
    scheduler = f"tcp://127.0.0.1:{free_port()}"
    with running_store(f"dask-{tmp_path.name}") as store, ExitStack() as started:
        common = {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT), **store.environment}
        start = ["--host", "127.0.0.1", "--no-dashboard"]
        command = program("dask", "scheduler", "--port", scheduler.rpartition(":")[2], *start)
        started.enter_context(
            running(command, environment=variables(tmp_path), log=tmp_path / "scheduler.log")
        )
        for host in HOSTS:
            environment = variables(tmp_path / host, **common)
            command = program("dask", "worker", scheduler, "--no-nanny", "--nthreads", "1", *start)
            log = tmp_path / host / "worker.log"
            started.enter_context(running(command, environment=environment, log=log))
        yield Cluster(folder=tmp_path, variables=common | {ADDRESS: scheduler})


def test_candidates_are_built_on_the_clusters_hosts_and_measured_on_the_flows(
    inputs: SmallInputs, tmp_path: Path, cluster: Cluster
) -> None:
    config = inputs.approvable(
        tmp_path / "release.yaml", "fanned-out", quantization={"algorithms": ["abs_max", "avg"]}
    )
    with config.open("a", encoding="utf-8") as file:
        file.write("task_runner: dask\n")
    home = tmp_path / "flow"
    document = release(config, variables(home, **cluster.variables))
    assert document["outcome"] == "approved"
    assert len(document["candidates"]) == 2
    built = cluster.built()
    assert all(built), "one worker built nothing"
    assert set.union(*built) == {"calibrate", "quantize", "convert"}
    assert not {"calibrate", "quantize", "convert"} & {step.split()[0] for step in computed(home)}


def test_rows_of_the_table_are_trained_and_built_on_the_cluster_and_measured_on_the_flows_host(
    inputs: SmallInputs, tmp_path: Path, cluster: Cluster
) -> None:
    row = IMAGES[0].key
    recipe = {"train": "tests.e2e.recipes:hand_over", "arguments": {"model": str(inputs.folder / "model")}}
    inputs.approvable(tmp_path / f"{row}_speed.yaml", "row", model=recipe, registry={"enabled": False})
    options = ("--configs", str(tmp_path), "--only", row, "--task-runner", "dask")
    home = tmp_path / "flow"
    ended = subprocess.run(
        program("paddle-int8", "published-table", *options),
        env=variables(home, **cluster.variables),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=allowed(300),
    )
    assert ended.returncode == 0, ended.stderr
    built = {"train", "calibrate", "quantize", "convert"}
    assert set.union(*cluster.built()) == built
    measured = {step.split()[0] for step in computed(home)}
    assert "validate" in measured
    assert not built & measured


def _config(ground: Ground, asked: FanOut | None) -> ReleaseConfig:
    path = ground.inputs.config(ground.folder / "release.yaml", ground.name, gate=LENIENT)
    return load_config(path).model_copy(update={"task_runner": asked})


@pytest.mark.parametrize("asked", [FanOut.DASK, None], ids=["asked for", "only in the environment"])
def test_release_with_a_scheduler_that_does_not_answer_ends_before_any_work(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, asked: FanOut | None
) -> None:
    from paddle_int8.flows.release import release

    monkeypatch.setattr("paddle_int8.flows.server.fan_out.CONNECT_S", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv(ADDRESS, address)
        with pytest.raises(ConfigError) as caught:
            release(_config(ground, asked))
    assert address in caught.value.found
    assert ADDRESS in caught.value.remedy
    _require_nothing_done(ground)


def test_release_that_asks_for_dask_without_an_address_ends_before_any_work(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddle_int8.flows.release import release

    monkeypatch.delenv(ADDRESS, raising=False)
    with pytest.raises(ConfigError) as caught:
        release(_config(ground, FanOut.DASK))
    assert ADDRESS in caught.value.found
    _require_nothing_done(ground)


def _require_nothing_done(ground: Ground) -> None:
    assert ground.flow(lambda flow: flow.state == "FAILED") == FlowRecord(state="FAILED", tasks={})
    assert not ground.kinds()
    with connection(ground.tracking_uri) as client:
        assert client.get_experiment_by_name(ground.name) is None


def test_table_that_asks_for_dask_without_an_address_ends_before_its_rows(
    warm_ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddle_int8.flows.published_table import published_table

    monkeypatch.delenv(ADDRESS, raising=False)
    with pytest.raises(ConfigError, match=ADDRESS):
        published_table(TableRequest(configs=warm_ground.folder, task_runner=FanOut.DASK))


def test_release_that_asks_for_threads_leaves_the_cluster_alone(
    warm_ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddle_int8.flows.release import release

    monkeypatch.setenv(ADDRESS, f"tcp://127.0.0.1:{free_port()}")
    assert release(_config(warm_ground, FanOut.THREADS)).evidence
