"""Candidates built on a real Dask cluster whose workers have disks of their own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, release
from tests.e2e.object_store import running_store
from tests.e2e.servers import free_port, program, running
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

HOSTS = ("worker-one", "worker-two")


def test_candidates_are_built_on_the_clusters_hosts_and_measured_on_the_flows(
    inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = inputs.approvable(
        tmp_path / "release.yaml", "fanned-out", quantization={"algorithms": ["abs_max", "avg"]}
    )
    scheduler = f"tcp://127.0.0.1:{free_port()}"
    with running_store("dask") as store, ExitStack() as cluster:
        start = ["--host", "127.0.0.1", "--no-dashboard"]
        command = program("dask", "scheduler", "--port", scheduler.rpartition(":")[2], *start)
        cluster.enter_context(
            running(command, environment=variables(tmp_path), log=tmp_path / "scheduler.log")
        )
        for host in HOSTS:
            environment = variables(tmp_path / host, TMPDIR=str(temporary), **store.environment)
            command = program("dask", "worker", scheduler, "--no-nanny", "--nthreads", "1", *start)
            log = tmp_path / host / "worker.log"
            cluster.enter_context(running(command, environment=environment, log=log))
        home = tmp_path / "flow"
        shared = {"PADDLE_INT8_DASK_SCHEDULER": scheduler, **store.environment}
        document = release(config, variables(home, TMPDIR=str(temporary), **shared))
    assert document["outcome"] == "approved"
    assert len(document["candidates"]) == 2
    built = [computed(tmp_path / host) for host in HOSTS]
    assert all(built), "one worker built nothing"
    steps = {step.split()[0] for host in built for step in host}
    assert steps == {"quantize", "convert"}
    assert not {"quantize", "convert"} & {step.split()[0] for step in computed(home)}
