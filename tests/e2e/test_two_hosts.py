"""One release on two hosts with separate disks, which share only an object store, Prefect and MLflow."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from paddle_int8.tasks.tracking.connection import connection
from tests import databases
from tests.e2e.command_line import variables
from tests.e2e.crashes import CACHED, STEPS, computed, kill, release, verdict
from tests.e2e.object_store import running_store
from tests.e2e.records import read_runs
from tests.e2e.servers import PrefectServer, kill_all_of, wait_until, worker
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

POOL = "skylake"
"""One that no other test's worker takes runs from."""


def test_release_killed_on_one_host_ends_on_another_with_what_the_first_had_computed(
    inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "travelling")
    with running_store("int8") as store:
        one, two = (
            variables(tmp_path / name, TMPDIR=str(temporary), **store.environment) for name in ("one", "two")
        )
        kill(config, "pack bundle", "1", one)
        document = release(config, two)
        keys = store.keys()

    assert document["outcome"] == "approved"
    assert document["bundle"]["folder"].startswith(str(tmp_path / "two"))
    assert {step.split()[0] for step in computed(tmp_path / "one")} >= {"quantize", "convert", "measure"}
    assert not computed(tmp_path / "two"), "the second host computed anew what the first had"
    kinds = {key.split("/")[1] for key in keys}
    assert kinds >= {
        "models",
        "data",
        "baselines",
        "observed",
        "quantized",
        "deployable",
        "evidence",
        "results",
        "bundles",
    }
    assert not [key for key in keys if key.endswith(".part")]


def test_release_on_two_hosts_at_once_has_one_verdict_and_the_same_bytes(
    inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "twice")
    tracking_uri = databases.mlflow_in(tmp_path)  # in the place of MLflow's server
    homes = [tmp_path / name for name in ("one", "two")]
    with running_store("at-once") as store, ThreadPoolExecutor(len(homes)) as threads:
        shared = {"TMPDIR": str(temporary), "MLFLOW_TRACKING_URI": tracking_uri, **store.environment}
        environments = [variables(home) | shared for home in homes]
        one, two = threads.map(release, [config] * len(homes), environments)
        keys = store.keys()
    assert one["outcome"] == "approved"
    assert verdict(one) == verdict(two)
    assert not [key for key in keys if key.endswith(".part")]
    with connection(tracking_uri) as client:
        versions = client.search_model_versions("name = 'twice'")
        challenger = client.get_model_version_by_alias("twice", "challenger")
    registered = {version.tags["bundle_digest"] for version in versions}
    assert registered == {each["bundle"]["digest"] for each in (one, two)}
    assert {version.tags["model_digest"] for version in versions} == {one["candidates"][0]["digest"]}
    assert challenger.version in {version.version for version in versions}
    assert 1 <= len(versions) <= len(homes)


@pytest.mark.sweep
def test_release_whose_worker_is_killed_is_ended_by_another_hosts_worker(
    deployed: PrefectServer, inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = yaml.safe_load(
        inputs.approvable(tmp_path / "release.yaml", "moving").read_text(encoding="utf-8")
    )
    tracking_uri = databases.mlflow_in(tmp_path)  # in the place of MLflow's server
    one, two = tmp_path / "one", tmp_path / "two"
    with running_store("workers") as store:
        shared = {"MLFLOW_TRACKING_URI": tracking_uri, "TMPDIR": str(temporary), **store.environment}
        with worker(deployed, "--pool", POOL, PADDLE_INT8_HOME=str(one), **shared) as first:
            run = deployed.start(f"release-{POOL}", {"config": config})
            wait_until(lambda: computed(one), _has_quantized, seconds=120, what="a quantized candidate")
            kill_all_of(first)
        deployed.retry(run)
        with worker(deployed, "--pool", POOL, PADDLE_INT8_HOME=str(two), **shared):
            wait_until(
                lambda: deployed.run(run)["state_type"], "COMPLETED".__eq__, seconds=180, what="the release"
            )
    assert "measure baseline" not in {" ".join(step.split()[:2]) for step in computed(two)}
    cached = {step.split()[0] for step in STEPS if step.startswith(CACHED)}
    assert {step.split()[0] for step in computed(one) + computed(two)} == cached
    runs = read_runs(tracking_uri, "moving")
    assert {run.data.tags.get("outcome") for run in runs if run.info.status == "FINISHED"} >= {"approved"}


def _has_quantized(steps: Counter[str]) -> bool:
    return any(step.startswith("quantize") for step in steps)
