"""The files of the model that a configuration names, for a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from paddle_int8.tasks.config.model import ModelFiles, RegisteredModel, TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.store.folder import scratch
from paddle_int8.tasks.tracking import connection
from paddle_int8.tasks.tracking.source import fetch_source, resolve_source


@contextmanager
def files_of(config: ReleaseConfig) -> Iterator[ModelFiles]:
    """The model's files; those of a registered version are fetched for as long as the context is open.

    Raises: ConfigError for a model that a function trains, since training takes long; RegistryError when
    there is no such version.
    """
    match config.model:
        case ModelFiles() as files:
            yield files
        case RegisteredModel(model_filename=program, params_filename=params) as registered:
            settings = Settings()
            connection.prepare(settings.tracking_uri)
            with scratch(settings.store, "registered") as folder:
                source = resolve_source(settings.tracking_uri, registered)
                fetch_source(settings.tracking_uri, source, registered, folder)
                yield ModelFiles(path=folder, model_filename=program, params_filename=params)
        case TrainedModel() as trained:
            raise ConfigError(
                found=f"a model that {trained.train} trains, which takes long",
                required="an exported model, which a check can look at in seconds",
                remedy="give `check` a trained one with --model FOLDER, such as a folder of "
                "var/artifacts/trained after a release; or let `release` train it",
            )
