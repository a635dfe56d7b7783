"""Registers a trained FP32 model and promotes it, as its owner would."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.tracking.connection import connection


def register(uri: str, model: str, files: Path) -> str:
    """A new version of Paddle's own files."""
    with connection(uri) as client:
        experiment = client.get_experiment_by_name("Default")
        assert experiment is not None
        run = client.create_run(experiment.experiment_id)
        client.log_artifacts(run.info.run_id, str(files), "fp32")
        if not client.search_registered_models(f"name = '{model}'"):
            client.create_registered_model(model)
        source = f"{run.info.artifact_uri}/fp32"
        return str(client.create_model_version(model, source=source, run_id=run.info.run_id).version)


def promote(uri: str, model: str, version: str) -> None:
    with connection(uri) as client:
        client.set_registered_model_alias(model, "champion", version)
