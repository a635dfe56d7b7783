"""The Prefect tasks that log a release to MLflow and publish its report.

Tasks that write to MLflow are retried, because network errors can pass. Everything else fails at once.
"""

from __future__ import annotations

import json
from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.model import ModelFiles, RegisteredModel
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.config.release import RegistryConfig, ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import (
    Bundle,
    DatasetArtifact,
    DeployableArtifact,
    FinetunedArtifact,
    HostProfile,
    ModelArtifact,
    QuantizedArtifact,
    RegisteredVersion,
)
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, FailedCandidate
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.verdict import Looks, Release, Verdict
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.gate.diagnosis import explain
from paddle_int8.tasks.gate.looks import looks_at
from paddle_int8.tasks.process.progress import WARNING
from paddle_int8.tasks.steps.step import stage, step
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch
from paddle_int8.tasks.tracking import registry, runs, trainings
from paddle_int8.tasks.tracking.changes import changes_of
from paddle_int8.tasks.tracking.looks import earlier_looks, record_looks
from paddle_int8.tasks.tracking.report import render_html, render_markdown, report_plots
from paddle_int8.tasks.tracking.runs import RunStatus
from paddle_int8.tasks.tracking.sensitivity import CSV, PLOT, as_csv, sensitivity_plot
from paddle_int8.tasks.tracking.source import fetch_source, resolve_source
from paddle_int8.tasks.tracking.summary import focus, looks_sentences, version_description

NETWORK: dict[str, int] = {"retries": 2, "retry_delay_seconds": 2}


@step(name="open MLflow run")
def open_run(config: ReleaseConfig) -> str:
    """Opens the parent run in MLflow and returns its id.

    Raises: RegistryError when MLflow does not answer. The release then ends before anything is computed.
    """
    with stage("open MLflow run") as summary:
        run_id = runs.start_release(Settings().tracking_uri, config, flow_run_id=flow_run.id or "")
        summary.append(run_id)
        return run_id


@step(name="close MLflow run", **NETWORK)
def close_run(run_id: str, status: RunStatus, error: str | None = None) -> None:
    """Ends the parent run. A failed run keeps its error and what was logged so far."""
    runs.finish(Settings().tracking_uri, run_id, status, error=error)


@step(name="log inputs", **NETWORK)
def log_input(run_id: str, item: HostProfile | ModelArtifact | DatasetArtifact, context: str = "") -> None:
    """Logs the host, the model or a dataset on the parent run.

    `context` is `calibration`, `validation`, `search` or `confirmation` for a dataset.
    """
    uri = Settings().tracking_uri
    match item:
        case HostProfile():
            runs.log_host(uri, run_id, item)
        case ModelArtifact():
            runs.log_model_input(uri, run_id, item)
        case DatasetArtifact():
            runs.log_dataset(uri, run_id, item, context or "validation")


@step(name="log training", **NETWORK)
def log_training(run_id: str, finetuned: FinetunedArtifact) -> None:
    """Logs loss and accuracy of the quantization-aware training, by step, on the parent run."""
    runs.log_training(Settings().tracking_uri, run_id, finetuned)


@step(name="log sensitivity", **NETWORK)
def log_sensitivity(run_id: str, measured: Sensitivity) -> None:
    """Logs what each operator costs on the parent run, as CSV and as a plot."""
    files = {CSV: as_csv(measured).encode(), PLOT: sensitivity_plot(measured).svg}
    runs.log_files(Settings().tracking_uri, run_id, files)


@step(name="fetch registered model", **NETWORK)
def fetch_registered(run_id: str, config: RegisteredModel) -> StoredPath:
    """Downloads a registered FP32 model into the store. Tags of the run name the version.

    Raises: RegistryError when there is no such version, or a file is refused.
    """
    uri, store = Settings().tracking_uri, Settings().store
    with stage("fetch registered model") as summary, scratch(store, "registered") as folder:
        source = resolve_source(uri, config)
        fetch_source(uri, source, config, folder)
        runs.log_tags(uri, run_id, source.tags)
        summary.append(source.uri)
        return commit(folder, store, "registered", folder_digest(folder))


@step(name="log candidate", task_run_name="log {evidence.candidate.name}", **NETWORK)
def log_candidate(
    run_id: str,
    evidence: CandidateEvidence,
    verdict: Verdict,
    quantized: QuantizedArtifact,
    deployable: DeployableArtifact,
    settings: QuantizationConfig,
) -> None:
    """Logs everything measured about one candidate as a nested run."""
    runs.log_candidate(
        Settings().tracking_uri,
        run_id,
        evidence=evidence,
        verdict=verdict,
        quantized=quantized,
        deployable=deployable,
        settings=settings,
    )


@step(name="log verdict", task_run_name="log verdict {evidence.candidate.name}", **NETWORK)
def log_verdict(run_id: str, evidence: CandidateEvidence, verdict: Verdict) -> None:
    """Logs the final verdict on a candidate, and its evidence with corrected bounds, on its nested run."""
    runs.log_verdict(Settings().tracking_uri, run_id, evidence, verdict)


@step(name="count looks", **NETWORK)
def count_looks(run_id: str, evidence: tuple[CandidateEvidence, ...], config: GateConfig) -> Looks:
    """Counts how often this release and earlier ones looked at the samples of `evidence`.

    evidence: of all candidates that were judged together.
    """
    with stage("count looks") as summary:
        earlier = earlier_looks(Settings().tracking_uri, run_id, evidence)
        looks = looks_at(evidence, config, earlier)
        record_looks(Settings().tracking_uri, run_id, looks)
        summary.append(
            f"{counted(looks.candidates, 'candidate')}, "
            f"{counted(earlier.releases, 'earlier release')} on these samples"
        )
        if looks.used_up:
            *_, used_up = looks_sentences(looks)
            get_run_logger().warning(used_up)
            summary.append(f"{WARNING}{used_up}")
        return looks


@step(name="log failed candidate", task_run_name="log {failed.candidate.name}", **NETWORK)
def log_failure(run_id: str, failed: FailedCandidate, settings: QuantizationConfig) -> None:
    """Logs a failed candidate as a nested run, with the error message that the user saw."""
    runs.log_failed_candidate(Settings().tracking_uri, run_id, failed, settings=settings)


@step(name="register", **NETWORK)
def register(
    run_id: str,
    bundle: Bundle,
    evidence: CandidateEvidence,
    verdict: Verdict,
    config: RegistryConfig,
    release: str,
) -> RegisteredVersion:
    """Registers the approved bundle as a model version, and points the alias at the version."""
    with stage("register") as summary:
        version = registry.register(
            Settings().tracking_uri,
            run_id,
            bundle,
            name=config.register_as or release,
            alias=config.alias,
            verdict=verdict,
            description=version_description(evidence),
        )
        summary.append(f"{version.name} version {version.version}, alias {version.alias}")
        return version


@step(name="last training", **NETWORK)
def find_last_training(release: str) -> trainings.Training | None:
    """Finds the last completed retraining of `release`; None when there is none."""
    return trainings.last_training(Settings().tracking_uri, release)


@step(name="record training", **NETWORK)
def record_training(run_id: str, fingerprint: str, data: str, model: ModelFiles) -> None:
    """Tags the release's run as that of a completed retraining."""
    folder = model.path.relative_to(Settings().store)
    trainings.record_training(
        Settings().tracking_uri, run_id, fingerprint=fingerprint, data=data, model=folder
    )


@step(name="report", **NETWORK)
def publish_report(release: Release, config: ReleaseConfig, quantized: tuple[QuantizedArtifact, ...]) -> Path:
    """Writes the report to the home folder and to MLflow, and a short one as a Prefect artifact.

    Returns the path of the HTML file.
    """
    with stage("report", here=True), scratch(Settings().store, "report") as folder:
        plain = [each for each in quantized if not each.candidate.overrides]
        scales = {each.candidate.name: read_scales(each) for each in plain or quantized}
        why = explain_chosen(release)
        plots = report_plots(release, config, scales)
        html = render_html(release, config, why, scales, plots, changes_of(release))
        path = Settings().root / "reports" / f"{release.name}-{release.run_id}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        written = folder / path.name
        written.write_text(html, encoding="utf-8")
        written.replace(path)
        runs.log_outcome(
            Settings().tracking_uri, release, html, {stem: plot.svg for stem, plot in plots.items()}
        )
        create_markdown_artifact(
            render_markdown(release, why), key="release-report", description=release.outcome.value
        )
        return path


def read_scales(quantized: QuantizedArtifact) -> dict[str, float | list[float]]:
    scales: dict[str, float | list[float]] = json.loads(
        (quantized.folder / "scales.json").read_text(encoding="utf-8")
    )
    return scales


def explain_chosen(release: Release) -> tuple[str, ...]:
    """The diagnosis of the candidate that the report is about; empty when it has no verdict."""
    if (focused := focus(release)) is None or (verdict := focused[1]) is None:
        return ()
    return explain(focused[0], verdict, release.model.census, release.evidence)
