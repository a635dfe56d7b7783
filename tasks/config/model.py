"""Where the FP32 model comes from: files, a training function, or the registry."""

from __future__ import annotations

from pathlib import Path

from pydantic import (
    ConfigDict,
    Field,
)

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import (
    CallableName,
    FolderName,
    RegisteredUri,
    ReleaseName,
    as_name,
)
from paddle_int8.tasks.contracts.artifacts import GIVEN


class ModelFiles(Section):
    """A trained FP32 model on disk: its folder, or its `.pdmodel`, `.json` (Paddle 3) or `__model__` file."""

    model_config = ConfigDict(title="Model files")

    path: Path = Field(
        description="Folder of the model, or its `.pdmodel`, `.json` (Paddle 3) or `__model__` file."
    )
    model_filename: str | None = Field(
        default=None, description="Name of the program file, where it cannot be guessed."
    )
    params_filename: str | None = Field(
        default=None, description="Name of the file that holds all parameters, where it cannot be guessed."
    )


class GivenFiles(ModelFiles):
    """A model on disk that was quantized elsewhere, such as by PaddleSlim or `paddle.quantization`."""

    model_config = ConfigDict(title="Quantized model")

    name: ReleaseName | None = Field(
        default=None,
        description="Name of the candidate, in front of its layout's; without it, the folder's name.",
    )

    @property
    def called(self) -> str:
        """The given name, or the name of the folder that the model is in."""
        if self.name:
            return self.name
        is_file = self.path.suffix in (".pdmodel", ".json") or self.path.name == "__model__"
        return as_name((self.path.parent if is_file else self.path).name) or GIVEN


class TrainedModel(Section):
    """A model that a Python function trains: `function(folder, progress, **arguments)`.

    The function writes `model.pdmodel` and `model.pdiparams` into `folder`. Its result is taken from the
    cache as long as the function's source, its arguments and the versions of Paddle, PaddleSlim and NumPy
    are equal.
    """

    model_config = ConfigDict(title="Training function")

    train: CallableName = Field(description="`package.module:function` that trains and exports the model.")
    arguments: dict[str, object] = Field(
        default_factory=dict, description="Keyword arguments of the training function."
    )


class RegisteredModel(Section):
    """A trained FP32 model in MLflow's registry: Paddle's model files among the artifacts of a version.

    It is named `models:/name@alias` or `models:/name/version`. When the release starts, the version that an
    alias points to is looked up. Only files that Paddle reads are fetched, and nothing is unpickled.
    """

    model_config = ConfigDict(title="Registered model")

    registered: RegisteredUri = Field(
        description="`models:/name@alias` or `models:/name/version` in MLflow's registry."
    )
    folder: FolderName = Field(
        default="",
        description="Folder of the model among the version's artifacts; empty means their root.",
    )
    model_filename: str | None = Field(
        default=None, description="Name of the program file, where it cannot be guessed."
    )
    params_filename: str | None = Field(
        default=None, description="Name of the file that holds all parameters, where it cannot be guessed."
    )


def _model_kind(model: object) -> str:
    if isinstance(model, dict):
        return "trained" if "train" in model else "registered" if "registered" in model else "files"
    if isinstance(model, TrainedModel):
        return "trained"
    return "registered" if isinstance(model, RegisteredModel) else "files"
