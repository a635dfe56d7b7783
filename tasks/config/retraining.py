"""The configuration of a retraining: a release, what triggers it, and what follows its approval."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

from pydantic import Field, model_validator

from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.section import Section


class PromotionPolicy(StrEnum):
    """What follows an approved release."""

    NEVER = "never"
    ON_APPROVAL = "on_approval"
    AUTOMATIC = "automatic"


class RetrainConfig(Section):
    """One retraining: from new data to a verdict, and on to a champion if `promotion` says so."""

    release: ReleaseConfig = Field(
        description="The release of the trained model; its `model` must name a training function."
    )
    training_data: Source = Field(
        description="Samples that the function trains on. A run is skipped when neither they nor the "
        "function nor the configuration has changed."
    )
    promotion: PromotionPolicy = Field(
        default=PromotionPolicy.NEVER,
        description="Whether an approved release becomes champion: `never`, `on_approval` of a person, "
        "who answers in a run of `promote`, or `automatic`.",
    )
    approval_timeout_h: float = Field(
        default=24.0, gt=0, le=24 * 30, description="Hours that `on_approval` waits for the person's answer."
    )
    fine_tune: bool = Field(
        default=False,
        description="Whether the function is given the last trained model as argument `start_from`.",
    )
    force: bool = Field(
        default=False, description="Whether the model is trained although nothing has changed."
    )

    @model_validator(mode="after")
    def _model_is_trained(self) -> RetrainConfig:
        if isinstance(self.release.model, TrainedModel):
            return self
        raise ValueError("`release.model` must name a training function in `train`")

    @property
    def recipe(self) -> TrainedModel:
        return cast("TrainedModel", self.release.model)
