import json
import math
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.artifacts import Bundle
from paddle_int8.tasks.contracts.errors import RegistryError, StorageError
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.store.folder import folder_digest
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.registry import register
from paddle_int8.tasks.tracking.runs import RunStatus
from tests import databases
from tests.patience import allowed
from tests.release_factory import (
    build_artifacts,
    build_config,
    build_dataset,
    build_host,
    build_model,
    build_release,
)

CONFIG = build_config()
LOAD = """
import warnings
warnings.simplefilter("ignore")
import mlflow, numpy, sys
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
print(model.predict({"image": numpy.full((2, 3), 1.5, "float32")})["scores"].tolist())
"""

START = """
import sys
from paddle_int8.tasks.tracking.runs import start_release
from tests.release_factory import build_config
print(start_release(sys.argv[1], build_config()))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking") / "new folder"


@pytest.fixture(scope="module")
def uri(home: Path) -> str:
    return databases.mlflow_in(home)


@pytest.fixture
def run_id(uri: str) -> str:
    return runs.start_release(uri, CONFIG)


def approved() -> Verdict:
    return build_release().verdicts[0]


def artifact(uri: str, run_id: str, name: str) -> str:
    with connection(uri) as client:
        return Path(client.download_artifacts(run_id, name)).read_text()


def test_release_run_lies_beside_its_database_in_an_experiment_of_its_name(uri: str, home: Path) -> None:
    run_id = runs.start_release(uri, CONFIG)
    with connection(uri) as client:
        run = client.get_run(run_id)
        experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.name == CONFIG.name
    assert (home / "mlartifacts" / run_id / "artifacts" / "config.yaml").is_file()
    assert run.info.status == "RUNNING"
    assert run.data.params["gate.max_drop_pp"] == "1.0"
    assert run.data.params["quantization.algorithms"] == "hist,KL,avg"
    assert run.data.tags["version.paddlepaddle"] == "2.6.2"


def test_two_programs_that_open_a_new_database_at_once_both_get_their_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    started = [
        subprocess.Popen([sys.executable, "-c", START, uri], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = [program.communicate(timeout=allowed(120))[0].strip() for program in started]
    with connection(uri) as client:
        assert {client.get_run(run_id).info.status for run_id in found} == {"RUNNING"}


def test_release_run_in_a_repository_has_its_commit_and_elsewhere_none(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    commits = []
    for folder in (repository, tmp_path):
        monkeypatch.chdir(folder)
        run_id = runs.start_release(uri, CONFIG)
        with connection(uri) as client:
            commits.append(client.get_run(run_id).data.tags.get("mlflow.source.git.commit"))
    assert commits == [head.stdout.strip(), None]


def test_inputs_are_tags_datasets_and_files(uri: str, run_id: str) -> None:
    runs.log_host(uri, run_id, build_host())
    runs.log_model_input(uri, run_id, build_model())
    comments = replace(build_dataset(64, "c" * 64), left_out={"comment lines": 2})
    runs.log_dataset(uri, run_id, comments, "calibration")
    runs.log_dataset(uri, run_id, build_dataset(2000, "f" * 64), "validation")
    with connection(uri) as client:
        run = client.get_run(run_id)
        found = client.search_runs([run.info.experiment_id], f"tags.model_digest = '{'a' * 64}'")
    assert run_id in [item.info.run_id for item in found]
    assert run.data.tags["isa"] == "avx512_core_vnni"
    assert run.inputs is not None
    inputs = {item.tags[0].value: item.dataset.digest for item in run.inputs.dataset_inputs}
    assert inputs == {"calibration": "c" * 32, "validation": "f" * 32}
    assert json.loads(artifact(uri, run_id, "calibration.json"))["left_out"] == {"comment lines": 2}
    assert json.loads(artifact(uri, run_id, "host.json"))["microarchitecture"] == "Cascade Lake"


def test_candidate_is_a_nested_run_with_its_figures_and_files(uri: str, run_id: str, tmp_path: Path) -> None:
    release = build_release()
    evidence, verdict = release.evidence[0], release.verdicts[0]
    quantized, deployable = build_artifacts(tmp_path, evidence.candidate)
    child_id = runs.log_candidate(
        uri,
        run_id,
        evidence=evidence,
        verdict=verdict,
        quantized=quantized,
        deployable=deployable,
        settings=CONFIG.quantization,
    )
    with connection(uri) as client:
        child = client.get_run(child_id)
        by_parent = client.search_runs(
            [child.info.experiment_id],
            f"tags.mlflow.parentRunId = '{run_id}' and metrics.speedup_ratio > 2.7 "
            "and params.layout = 'offline' and tags.outcome = 'approved'",
        )
    assert [item.info.run_id for item in by_parent] == [child_id]
    assert child.info.status == "FINISHED"
    metrics = child.data.metrics
    assert metrics["top1_drop_pp"] == pytest.approx(0.1)
    assert metrics["top1_int8_pct"] == pytest.approx(98.32)
    assert metrics["avx512_core/speedup_ratio"] == pytest.approx(1.53)
    assert metrics["size_bytes"] == evidence.size_bytes
    assert child.data.tags["digest"] == evidence.digest
    assert json.loads(artifact(uri, child_id, "scales.json")) == {"conv2d_0.tmp_0": 3.5}
    assert len(artifact(uri, child_id, "audit/avx512_core_vnni.csv").splitlines()) == 1 + 4 + 2
    assert json.loads(artifact(uri, child_id, "evidence.json"))["per_isa"][0]["latency"]["samples_ms"]
    assert json.loads(artifact(uri, child_id, "verdict.json"))["outcome"] == "approved"


def test_logs_are_kept_without_credentials_and_only_their_end(
    uri: str, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paddle_int8.tasks.tracking.files.LOG_TAIL_BYTES", 60)
    failed = build_release().failed[0]
    log = tmp_path / "quantize.log"
    log.write_text("early line\n" * 50 + "from http://me:hunter2@host/data\nlast line\n")
    child_id = runs.log_failed_candidate(uri, run_id, failed, settings=CONFIG.quantization, log=log)
    kept = artifact(uri, child_id, "logs/quantize.log")
    assert kept.endswith("from http://***@host/data\nlast line\n")
    assert len(kept) <= 60


def test_failed_candidate_is_a_failed_run_with_its_message(uri: str, run_id: str) -> None:
    child_id = runs.log_failed_candidate(uri, run_id, build_release().failed[0], settings=CONFIG.quantization)
    with connection(uri) as client:
        child = client.get_run(child_id)
    assert child.info.status == "FAILED"
    assert child.data.tags["failed_step"] == "quantize"
    assert "raise `timeout_s`" in artifact(uri, child_id, "error.txt")


def test_candidate_whose_files_cannot_be_kept_ends_failed(
    uri: str, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = build_release()
    quantized, deployable = build_artifacts(tmp_path, release.evidence[0].candidate)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(runs, "write_candidate", full)
    with pytest.raises(StorageError, match="No space left"):
        runs.log_candidate(
            uri,
            run_id,
            evidence=release.evidence[0],
            verdict=release.verdicts[0],
            quantized=quantized,
            deployable=deployable,
            settings=CONFIG.quantization,
        )
    with connection(uri) as client:
        experiment_id = client.get_run(run_id).info.experiment_id
        (child,) = client.search_runs([experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    assert child.info.status == "FAILED"
    assert child.data.metrics["speedup_ratio"] == pytest.approx(2.78)


def test_candidate_with_infinite_sqnr_logs_everything_else(uri: str, run_id: str, tmp_path: Path) -> None:
    release = build_release()
    native = replace(release.evidence[0].per_isa[0], sqnr_db=math.inf)
    evidence = replace(release.evidence[0], per_isa=(native,))
    quantized, deployable = build_artifacts(tmp_path, evidence.candidate)
    child_id = runs.log_candidate(
        uri,
        run_id,
        evidence=evidence,
        verdict=release.verdicts[0],
        quantized=quantized,
        deployable=deployable,
        settings=CONFIG.quantization,
    )
    with connection(uri) as client:
        metrics = client.get_run(child_id).data.metrics
    assert "sqnr_db" not in metrics
    assert metrics["agreement_pct"] == pytest.approx(99.75)


def test_candidates_logged_from_threads_are_each_whole(uri: str, run_id: str, tmp_path: Path) -> None:
    release = build_release()
    quantized, deployable = build_artifacts(tmp_path, release.evidence[0].candidate)

    def log(index: int) -> str:
        return runs.log_candidate(
            uri,
            run_id,
            evidence=release.evidence[index],
            verdict=release.verdicts[index],
            quantized=quantized,
            deployable=deployable,
            settings=CONFIG.quantization,
        )

    with ThreadPoolExecutor(4) as pool:
        child_ids = list(pool.map(log, range(6)))
    with connection(uri) as client:
        logged = [client.get_run(child_id).data for child_id in child_ids]
    names = [data.tags["candidate"] for data in logged]
    assert names == [item.candidate.name for item in release.evidence]
    assert len({frozenset(data.metrics) for data in logged}) == 1


def test_outcome_puts_report_verdicts_and_chosen_figures_on_the_parent(uri: str, run_id: str) -> None:
    release = build_release(run_id=run_id)
    runs.log_outcome(uri, release, "<!doctype html>", {"latency": b"<svg/>"})
    runs.finish(uri, run_id, RunStatus.FINISHED)
    with connection(uri) as client:
        run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["outcome"] == "approved"
    assert run.data.tags["chosen"] == "hist-offline"
    assert run.data.metrics["speedup_ratio"] == pytest.approx(2.78)
    assert run.data.metrics["host_taken_pct"] == pytest.approx(2.0)
    assert "host_lowest_mhz" not in run.data.metrics  # which this kernel does not tell
    assert run.data.tags["mlflow.note.content"].startswith("**Approved.** hist-offline runs 2.78× as fast")
    assert artifact(uri, run_id, "report.html") == "<!doctype html>"
    assert artifact(uri, run_id, "plots/latency.svg") == "<svg/>"
    verdicts = json.loads(artifact(uri, run_id, "verdict.json"))
    assert [item["digest"] for item in verdicts] == [item.digest for item in release.verdicts]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.KILLED])
def test_run_that_ends_badly_keeps_what_was_logged_and_its_error(
    uri: str, run_id: str, status: RunStatus
) -> None:
    runs.log_host(uri, run_id, build_host())
    runs.finish(uri, run_id, status, error="no route to http://me:hunter2@host")
    with connection(uri) as client:
        run = client.get_run(run_id)
    assert run.info.status == status.value
    assert run.data.tags["error"] == "no route to http://***@host"
    assert run.data.tags["isa"] == "avx512_core_vnni"


def test_register_makes_a_version_that_a_fresh_process_loads_by_alias(
    uri: str, run_id: str, bundle: Bundle, doubler: Path
) -> None:
    changed = shutil.copytree(bundle.folder, bundle.folder.with_name("changed"))
    (changed / "README.txt").write_text("another example")
    other = replace(bundle, folder=changed, digest=folder_digest(changed))
    first, again, second = (
        register(
            uri,
            run_id,
            each,
            name="digits",
            alias="challenger",
            verdict=approved(),
            description="native FP32 is faster",
            python_model=doubler,
        )
        for each in (bundle, bundle, other)
    )
    assert (first.version, again.version, second.version) == ("1", "1", "2")
    with connection(uri) as client:
        version = client.get_model_version_by_alias("digits", "challenger")
        model = client.get_registered_model("digits")
    assert 'load_model("models:/digits@challenger")' in model.description
    assert str(version.version) == second.version
    assert version.run_id == run_id
    sentence, link = version.description.split("\n\n")
    assert sentence == "native FP32 is faster"
    assert link.endswith(f"/runs/{run_id}/artifacts/report.html)")
    assert version.tags["bundle_digest"] == other.digest
    assert version.tags["isa_levels"] == "avx512_core_vnni,avx512_core"
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, uri, second.uri], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]"


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.INCONCLUSIVE])
def test_register_refuses_what_is_not_approved(
    uri: str, run_id: str, bundle: Bundle, doubler: Path, outcome: Outcome
) -> None:
    verdict = replace(approved(), outcome=outcome)
    with pytest.raises(RegistryError, match="required: an approved candidate"):
        register(
            uri,
            run_id,
            bundle,
            name="refused",
            alias="challenger",
            verdict=verdict,
            description="",
            python_model=doubler,
        )
    with connection(uri) as client:
        assert client.search_registered_models("name = 'refused'") == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("deployment.json", '{"digest": "other"}', id="bundle of another model"),
        pytest.param("deployment.json", "not JSON", id="unreadable deployment"),
        pytest.param("factor.json", "3", id="file changed after the verdict"),
    ],
)
def test_register_refuses_a_bundle_that_is_not_what_was_judged(
    uri: str, run_id: str, bundle: Bundle, doubler: Path, name: str, content: str
) -> None:
    (bundle.folder / name).write_text(content)
    with pytest.raises(RegistryError):
        register(
            uri,
            run_id,
            bundle,
            name="refused",
            alias="challenger",
            verdict=approved(),
            description="",
            python_model=doubler,
        )
    with connection(uri) as client:
        assert client.search_registered_models("name = 'refused'") == []


def closed_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("http://me:hunter2@127.0.0.1:{port}", id="server"),
        pytest.param("postgresql://me:hunter2@127.0.0.1:{port}/mlflow", id="database"),
        pytest.param("nonsense://me:hunter2@127.0.0.1:{port}", id="unknown scheme"),
        pytest.param("file:{folder}", id="file store"),
        pytest.param("sqlite:///{folder}/not-a-database", id="not a database"),
        pytest.param("sqlite:////proc/nowhere/mlflow.db", id="folder that cannot be made"),
    ],
)
def test_mlflow_that_does_not_answer_is_a_registry_error_within_seconds(uri: str, tmp_path: Path) -> None:
    (tmp_path / "not-a-database").write_text("text " * 1000)
    limit_s, started = allowed(15), time.monotonic()
    with pytest.raises(RegistryError) as raised:
        runs.start_release(uri.format(port=closed_port(), folder=tmp_path), CONFIG)
    assert time.monotonic() - started < limit_s
    assert "hunter2" not in str(raised.value)
    assert "MLFLOW_TRACKING_URI" in raised.value.remedy


def test_server_that_accepts_and_never_answers_is_a_registry_error_within_seconds() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        limit_s, started = allowed(15), time.monotonic()
        with pytest.raises(RegistryError, match="timed out"):
            runs.start_release(f"http://127.0.0.1:{silent.getsockname()[1]}", CONFIG)
        assert time.monotonic() - started < limit_s


def test_release_of_a_deleted_experiment_says_how_to_restore_it(uri: str) -> None:
    config = build_config("deleted")
    run_id = runs.start_release(uri, config)
    with connection(uri) as client:
        client.delete_experiment(client.get_run(run_id).info.experiment_id)
    with pytest.raises(RegistryError, match="mlflow experiments restore"):
        runs.start_release(uri, config)
