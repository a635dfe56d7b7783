"""What to do when data changed: a release's configuration, and what comes before and after it."""

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
    """One retraining: from new data to a verdict, and further as `promotion` says."""

    release: ReleaseConfig = Field(description="The release of what was trained; its model is a function.")
    training_data: Source = Field(description="What the function trains on: without a change, no run.")
    promotion: PromotionPolicy = Field(
        default=PromotionPolicy.NEVER,
        description="Of an approved release to champion; `on_approval` asks a person, in a run of `promote`.",
    )
    approval_timeout_h: float = Field(
        default=24.0, gt=0, le=24 * 30, description="Hours that `on_approval` waits for the person's word."
    )
    fine_tune: bool = Field(
        default=False, description="Give the function the last trained model, as argument `start_from`."
    )
    force: bool = Field(default=False, description="Train although nothing changed.")

    @model_validator(mode="after")
    def _model_is_trained(self) -> RetrainConfig:
        if isinstance(self.release.model, TrainedModel):
            return self
        raise ValueError("`release.model` must name a training function in `train`")

    @property
    def recipe(self) -> TrainedModel:
        return cast("TrainedModel", self.release.model)
