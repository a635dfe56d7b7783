"""The parameters of the flows that follow registered FP32 models."""

from __future__ import annotations

from pydantic import Field

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import ModelName


class FollowRequest(Section):
    """A promoted version of an FP32 model, whose releases are to start."""

    model: ModelName = Field(description="Name of the registered FP32 model.")
    version: int = Field(ge=1, description="Version of the model to release.")
    alias: str = Field(
        default="champion",
        pattern=r"^[\w-]+$",
        description="Alias that moved to the version. The releases that follow this alias start.",
    )


class ReconcileRequest(Section):
    """How often the releases of a promoted version are tried."""

    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Number of runs for one version, including the first, before it is given up.",
    )
