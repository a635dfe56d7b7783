"""The parameters of the flows that follow registered FP32 models."""

from __future__ import annotations

from pydantic import Field

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import ModelName


class FollowRequest(Section):
    """A version of an FP32 model that was promoted, and is to be released."""

    model: ModelName = Field(description="Registered FP32 model.")
    version: int = Field(ge=1, description="Its version.")
    alias: str = Field(
        default="champion",
        pattern=r"^[\w-]+$",
        description="The alias that moved; the releases that follow it start.",
    )


class ReconcileRequest(Section):
    """How hard to try for promoted versions that have no release."""

    attempts: int = Field(
        default=3, ge=1, le=10, description="Runs for a version, the first included, until it is given up."
    )
