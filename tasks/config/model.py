"""Where the FP32 model comes from: files, a training function, or the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import (
    ConfigDict,
    Field,
)

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import (
    CallableName,
    FolderName,
    RegisteredUri,
)


class ModelFiles(Section):
    """A trained FP32 model on disk: a directory, or a `.pdmodel` / `__model__` file."""

    model_config = ConfigDict(title="Model files")

    path: Path = Field(description="Folder of the model, or its `.pdmodel` or `__model__` file.")
    model_filename: str | None = Field(default=None, description="Program file, when not guessable.")
    params_filename: str | None = Field(default=None, description="Parameter file of a combined model.")


class TrainedModel(Section):
    """A model that a training entry point makes: `function(folder, progress, **arguments)`.

    It writes `model.pdmodel` and `model.pdiparams` into `folder`; the result is cached on the
    function's source, its arguments and the versions in use.
    """

    model_config = ConfigDict(title="Training function")

    train: CallableName = Field(description="`package.module:function` that trains and exports the model.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Passed to the function by name.")


class RegisteredModel(Section):
    """A trained FP32 model in MLflow's registry, as Paddle's own files among a version's artifacts.

    `models:/name@alias` or `models:/name/version`. Nothing is unpickled: only files that Paddle reads are
    fetched. The version that an alias points at is looked up when the release starts.
    """

    model_config = ConfigDict(title="Registered model")

    registered: RegisteredUri = Field(
        description="`models:/name@alias` or `models:/name/version` in MLflow's registry."
    )
    folder: FolderName = Field(
        default="",
        description="Of the version's artifacts, where the model lies in one.",
    )
    model_filename: str | None = Field(default=None, description="Program file, when not guessable.")
    params_filename: str | None = Field(default=None, description="Parameter file of a combined model.")


def _model_kind(model: object) -> str:
    if isinstance(model, dict):
        return "trained" if "train" in model else "registered" if "registered" in model else "files"
    if isinstance(model, TrainedModel):
        return "trained"
    return "registered" if isinstance(model, RegisteredModel) else "files"
