"""Logs a release to MLflow: one parent run for the release, and one nested run for each candidate.

Each function takes a run id and logs one thing, so a release that fails half-way has logged what it had
measured. Long data (raw latencies, kernel tables, logs) become artifacts.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    FinetunedArtifact,
    HostProfile,
    ModelArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, FailedCandidate
from paddle_int8.tasks.contracts.json import to_json
from paddle_int8.tasks.contracts.verdict import Release, Verdict
from paddle_int8.tasks.process import temporary
from paddle_int8.tasks.tracking.connection import connection, database_folder, redact
from paddle_int8.tasks.tracking.files import log_text, write_candidate
from paddle_int8.tasks.tracking.live_curve import log_points, points
from paddle_int8.tasks.tracking.metrics import candidate_metrics
from paddle_int8.tasks.tracking.open_releases import OpenRelease
from paddle_int8.tasks.tracking.schema import summary_json
from paddle_int8.tasks.tracking.summary import REPORT, headline

if TYPE_CHECKING:
    from mlflow import MlflowClient

FLOW_RUN = "prefect_flow_run_id"
DESCRIPTION = "mlflow.note.content"
"""The tag whose text MLflow's page of a run shows as its description."""
PACKAGES = ("paddlepaddle", "paddleslim", "mlflow", "numpy", "prefect")


class RunStatus(StrEnum):
    """How a run ended, in MLflow's words."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


def start_release(tracking_uri: str, config: ReleaseConfig, *, flow_run_id: str = "") -> str:
    """Starts the parent run in the experiment named after the release, and returns its id.

    `flow_run_id` is Prefect's. If the process is killed, a later release finds the run by it.
    """
    params = {
        f"{section}.{name}": value
        for section in ("hardware", "quantization", "conversion", "validation", "gate", "serving", "registry")
        for name, value in getattr(config, section).model_dump(mode="json").items()
    }
    params |= {
        f"data.{name}": getattr(config.data, name)
        for name in ("calibration_samples", "validation_samples", "calibration_batch_size", "seed")
    }
    with connection(tracking_uri) as client:
        run_id = _create_run(
            client,
            _experiment(client, tracking_uri, config.name),
            f"release {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
            {"release": config.name, FLOW_RUN: flow_run_id, **_version_tags(), **_git_commit()},
        )
        with _failed_unless_logged(client, run_id):
            _log_params(client, run_id, params)
            client.log_text(run_id, config_yaml(config), "config.yaml")
    return run_id


def finish(tracking_uri: str, run_id: str, status: RunStatus, *, error: str | None = None) -> None:
    """Ends a run. An `error` is kept as the tag `error` and as the artifact `error.txt`."""
    with connection(tracking_uri) as client:
        if error:
            client.set_tag(run_id, "error", redact(error)[:5000])
            client.log_text(run_id, redact(error), "error.txt")
        client.set_terminated(run_id, status.value)


def log_tags(tracking_uri: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags of the run."""
    with connection(tracking_uri) as client:
        _tag(client, run_id, tags)


def end_lost(tracking_uri: str, lost: OpenRelease, message: str) -> None:
    """Sets the RUNNING runs of a release whose process was killed to KILLED, its candidates' runs too."""
    with connection(tracking_uri) as client:
        if (experiment := client.get_experiment_by_name(lost.name)) is None:
            return
        for parent in _running(client, experiment.experiment_id, FLOW_RUN, lost.flow_run_id):
            nested = _running(client, experiment.experiment_id, "mlflow.parentRunId", parent)
            for run_id in (*nested, parent):
                client.set_tag(run_id, "error", message)
                client.set_terminated(run_id, RunStatus.KILLED.value)


def _running(client: MlflowClient, experiment_id: str, tag: str, value: str) -> list[str]:
    wanted = f"attributes.status = 'RUNNING' and tags.`{tag}` = '{value}'"
    return [str(run.info.run_id) for run in client.search_runs([experiment_id], wanted)]


def log_host(tracking_uri: str, run_id: str, host: HostProfile) -> None:
    """Logs the CPU: its main properties as tags, and everything as `host.json`."""
    with connection(tracking_uri) as client:
        _tag(
            client,
            run_id,
            {
                "isa": host.isa,
                "onednn_isa": host.onednn_isa,
                "cpu_model": host.cpu_model,
                "hostname": host.hostname,
            },
        )
        client.log_text(run_id, to_json(host), "host.json")


def log_model_input(tracking_uri: str, run_id: str, model: ModelArtifact) -> None:
    """Logs the FP32 model: its digest and source as tags, and everything as `model.json`."""
    with connection(tracking_uri) as client:
        tags = {
            "model_digest": model.digest,
            "model_source": model.source,
            "model_format": model.source_format,
        }
        _tag(client, run_id, tags)
        client.log_metric(run_id, "baseline_size_bytes", model.size_bytes)
        client.log_text(run_id, redact(to_json(model)), "model.json")


def log_dataset(
    tracking_uri: str,
    run_id: str,
    dataset: DatasetArtifact,
    context: str,
) -> None:
    """Logs a dataset as an input of the run, identified by the digest of its content.

    context: what it is for: `calibration`, `validation`, `search` of a strategy that learns, `confirmation`
    of what it found after a strategy that does not, or `drawn` where two of these are its parts.
    """
    profile: dict[str, object] = {"samples": dataset.samples, "classes": dataset.classes}
    profile |= {"seed": dataset.seed, "left_out": dataset.left_out}
    with connection(tracking_uri) as client:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        logged = Dataset(
            name=context,
            digest=dataset.digest[:32],  # MLflow's column holds 36 characters
            source_type="local",
            source=json.dumps({"uri": redact(dataset.source)}),
            profile=json.dumps(profile),
        )
        client.log_inputs(run_id, [DatasetInput(logged, [InputTag("mlflow.data.context", context)])])
        _tag(client, run_id, {f"{context}_digest": dataset.digest})
        client.log_text(run_id, redact(to_json(dataset)), f"{context}.json")


def log_training(tracking_uri: str, run_id: str, finetuned: FinetunedArtifact) -> None:
    """Logs the points of the training's curve that are not logged yet, and its log file as an artifact."""
    history = json.loads((finetuned.folder / "history.json").read_text(encoding="utf-8"))
    with connection(tracking_uri) as client:
        there = {
            (name, metric.step)
            for name in history
            for metric in client.get_metric_history(run_id, f"qat/{name}")
        }
        whole = points(history, finetuned.steps)
        log_points(tracking_uri, run_id, [each for each in whole if (each.name, each.step) not in there])
        _tag(
            client,
            run_id,
            {"qat_steps": str(finetuned.steps), "qat_resumed_from": str(finetuned.resumed_from)},
        )
        if finetuned.log.is_file():
            client.log_text(run_id, log_text(finetuned.log), "logs/finetune.log")


def log_candidate(
    tracking_uri: str,
    parent_run_id: str,
    *,
    evidence: CandidateEvidence,
    verdict: Verdict,
    quantized: QuantizedArtifact,
    deployable: DeployableArtifact,
    settings: QuantizationConfig,
) -> str:
    """Logs everything measured about one candidate as a nested run, and returns the run's id."""
    tags = {
        "outcome": verdict.outcome,
        "digest": evidence.digest,
        "baseline_digest": evidence.baseline_digest,
        "validation_digest": evidence.validation_digest,
        "isa": evidence.host.isa,
        "measured_isas": ",".join(item.isa for item in evidence.per_isa),
    }
    metrics = candidate_metrics(evidence) | {
        "quantize_seconds": quantized.seconds,
        "quantize_peak_memory_bytes": float(quantized.peak_memory_bytes),
        "tensors_calibrated": float(quantized.tensors_calibrated),
        "convert_seconds": deployable.seconds,
    }
    with _candidate_run(tracking_uri, parent_run_id, evidence.candidate, settings, tags) as (client, run_id):
        _log_metrics(client, run_id, metrics)
        with tempfile.TemporaryDirectory(prefix=temporary.prefix()) as folder:
            write_candidate(Path(folder), evidence, verdict, quantized, deployable)
            client.log_artifacts(run_id, folder)
    return run_id


def log_verdict(tracking_uri: str, parent_run_id: str, evidence: CandidateEvidence, verdict: Verdict) -> None:
    """Replaces verdict and evidence on the nested run of a candidate by the final ones."""
    with connection(tracking_uri) as client:
        experiment_id = client.get_run(parent_run_id).info.experiment_id
        wanted = (
            f"tags.mlflow.parentRunId = '{parent_run_id}' and tags.candidate = '{evidence.candidate.name}' "
            f"and tags.validation_digest = '{evidence.validation_digest}'"
        )
        for run in client.search_runs([experiment_id], wanted):
            run_id = str(run.info.run_id)
            _tag(client, run_id, {"outcome": verdict.outcome})
            _log_metrics(client, run_id, candidate_metrics(evidence))
            client.log_text(run_id, redact(to_json(evidence)), "evidence.json")
            client.log_text(run_id, redact(to_json(verdict)), "verdict.json")


def log_failed_candidate(
    tracking_uri: str,
    parent_run_id: str,
    failed: FailedCandidate,
    *,
    settings: QuantizationConfig,
    log: Path | None = None,
) -> str:
    """Logs a failed candidate as a nested run with the status FAILED, and returns the run's id.

    The run has the error message that the user saw.
    """
    tags = {"outcome": "failed", "failed_step": failed.step, "error": redact(failed.error)[:5000]}
    with _candidate_run(tracking_uri, parent_run_id, failed.candidate, settings, tags) as (client, run_id):
        client.log_text(run_id, redact(failed.error), "error.txt")
        if log and log.is_file():
            client.log_text(run_id, log_text(log), f"logs/{failed.step}.log")
        client.set_terminated(run_id, RunStatus.FAILED.value)
    return run_id


def log_outcome(tracking_uri: str, release: Release, report_html: str, plots: Mapping[str, bytes]) -> None:
    """Logs the outcome of the release on the parent run, with its report, verdicts and plots.

    plots: SVG by file name without suffix. The metrics of the chosen candidate are repeated on the parent
    run, so that MLflow's table of releases can be sorted by them.
    """
    if release.run_id is None:
        return
    with connection(tracking_uri) as client:
        said = headline(release)
        tags = {"outcome": release.outcome, "chosen": release.chosen.name if release.chosen else "none"}
        tags[DESCRIPTION] = " ".join(filter(None, (f"**{said.word}.**", said.sentence, said.beside)))
        if release.bundle:
            tags["bundle_digest"] = release.bundle.digest
        _tag(client, release.run_id, tags)
        metrics = {"release_seconds": release.seconds}
        for evidence in release.evidence:
            if evidence.candidate == release.chosen:
                metrics |= candidate_metrics(evidence)
        _log_metrics(client, release.run_id, metrics)
        texts = {
            REPORT: report_html,
            "release.json": json.dumps(summary_json(release), indent=2),
            "verdict.json": redact(to_json(release.verdicts)),
        }
        files = {name: text.encode() for name, text in texts.items()}
        _log_files(client, release.run_id, files | {f"plots/{stem}.svg": svg for stem, svg in plots.items()})


def log_files(tracking_uri: str, run_id: str, files: Mapping[str, bytes]) -> None:
    """Logs files on a run, as artifacts by their path."""
    with connection(tracking_uri) as client:
        _log_files(client, run_id, files)


def log_documents(
    tracking_uri: str, experiment: str, documents: Mapping[str, str], metrics: Mapping[str, float]
) -> str:
    """Logs texts, as artifacts by file name, and metrics as a run of their own; returns the run's id."""
    with connection(tracking_uri) as client:
        name = f"{experiment} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        tags = {**_version_tags(), **_git_commit()}
        run_id = _create_run(client, _experiment(client, tracking_uri, experiment), name, tags)
        with _failed_unless_logged(client, run_id):
            for file, text in documents.items():
                client.log_text(run_id, redact(text), file)
            _log_metrics(client, run_id, metrics)
        client.set_terminated(run_id, RunStatus.FINISHED.value)
    return run_id


def config_yaml(config: ReleaseConfig) -> str:
    """The whole configuration with its defaults, as YAML, without credentials."""
    return redact(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


@contextmanager
def _candidate_run(
    tracking_uri: str,
    parent_run_id: str,
    candidate: Candidate,
    settings: QuantizationConfig,
    tags: Mapping[str, str],
) -> Iterator[tuple[MlflowClient, str]]:
    """Opens a nested run. It ends as FAILED when logging to it fails, and as FINISHED otherwise."""
    params = {"algorithm": candidate.algorithm, "layout": candidate.layout}
    if not candidate.given:  # the section says nothing of a model that was quantized elsewhere
        params |= {
            name: value
            for name, value in settings.model_dump(mode="json").items()
            if name not in ("algorithms", "layouts", "timeout_s")
        }
    if candidate.overrides:
        params["overrides"] = ", ".join(f"{tensor}: {precision}" for tensor, precision in candidate.overrides)
    with connection(tracking_uri) as client:
        experiment_id = client.get_run(parent_run_id).info.experiment_id
        tags = {"mlflow.parentRunId": parent_run_id, "candidate": candidate.name, **tags}
        run_id = _create_run(client, experiment_id, candidate.name, tags)
        with _failed_unless_logged(client, run_id):
            _log_params(client, run_id, params)
            yield client, run_id
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, RunStatus.FINISHED.value)


@contextmanager
def _failed_unless_logged(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Sets the run to FAILED when logging to it fails, so that it does not stay RUNNING."""
    try:
        yield
    except BaseException:
        client.set_terminated(run_id, RunStatus.FAILED.value)
        raise


def _experiment(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """The id of the experiment, which is created if needed.

    The artifacts of an embedded database are stored in the folder of the database.
    """
    from mlflow.exceptions import MlflowException

    folder = database_folder(tracking_uri)
    location = (folder / "mlartifacts").as_uri() if folder else None
    if found := client.get_experiment_by_name(name):
        return _active(found.experiment_id, found.lifecycle_stage, name)
    try:
        return client.create_experiment(name, artifact_location=location)
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # another release was faster
            return found.experiment_id
        raise


def _active(experiment_id: str, stage: str, name: str) -> str:
    if stage == "active":
        return experiment_id
    raise RegistryError(
        found=f"the MLflow experiment {name} was deleted",
        required="an active experiment for the release's runs",
        remedy=f"`mlflow experiments restore --experiment-id {experiment_id}`, or rename the release",
    )


def _create_run(client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
    source = {"mlflow.source.name": "paddle-int8", "mlflow.source.type": "LOCAL"}
    start_ms = int(time.time() * 1000)
    run = client.create_run(experiment_id, start_time=start_ms, tags={**source, **tags}, run_name=name)
    return str(run.info.run_id)


def _log_files(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix=temporary.prefix()) as name:
        for path, content in files.items():
            target = Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        client.log_artifacts(run_id, name)


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(key, _text(value)) for key, value in params.items()])


def _log_metrics(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    """Logs all finite metrics at once. NaN and infinite ones are only in `evidence.json`."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    logged = [Metric(key, float(value), now_ms, 0) for key, value in metrics.items() if math.isfinite(value)]
    client.log_batch(run_id, metrics=logged)


def _tag(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, redact(str(value))) for key, value in tags.items()])


def _text(value: object) -> str:
    """The text of a parameter's value. MLflow accepts at most 6,000 characters."""
    return redact(",".join(map(str, value)) if isinstance(value, list) else str(value))[:6000]


def versions() -> dict[str, str]:
    """The installed versions of the packages that decide the result."""
    return {name: metadata.version(name) for name in PACKAGES}


def _version_tags() -> dict[str, str]:
    return {f"version.{name}": value for name, value in versions().items()}


def _git_commit() -> dict[str, str]:
    """MLflow's tag for the git commit of the working folder; empty outside of a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": answer.stdout.strip()}
