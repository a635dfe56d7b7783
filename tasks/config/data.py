"""Where samples come from, and what is done to them before the model reads them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    Field,
    model_validator,
)

from paddle_int8.tasks.config.kinds import OneOfKinds
from paddle_int8.tasks.config.section import HIGHEST_SEED, Pixels, Section
from paddle_int8.tasks.config.spoken import (
    MismatchError,
    Spoken,
)


class Source(OneOfKinds):
    """Samples, of the kind that `kind` names."""

    registry: ClassVar[str] = "paddle_int8.tasks.data.sources:SOURCES"


class Preprocessing(Section):
    """What is done to a sample before the model reads it; every input is treated alike.

    A sample of shape [H, W, 1 or 3], of any number type, counts as an image with its channels last.
    """

    resize_shorter: Pixels | None = Field(
        default=None, description="Resizes the image until its shorter side has this many pixels."
    )
    resize: Annotated[tuple[Pixels, Pixels] | None, Spoken("[height, width] in pixels")] = Field(
        default=None, description="Resizes the image to exactly [height, width] pixels."
    )
    center_crop: Pixels | None = Field(
        default=None, description="Cuts a square of this many pixels a side out of the middle."
    )
    grayscale: bool = Field(default=False, description="Turns an image into one channel instead of RGB.")
    scale: float = Field(
        default=1.0,
        gt=0,
        description="Factor that multiplies the raw values, for example 0.00392157 (1/255).",
    )
    mean: tuple[float, ...] = Field(default=(), description="Mean of each channel, subtracted after `scale`.")
    std: tuple[float, ...] = Field(
        default=(),
        description="Standard deviation of each channel, which divides after `mean` is subtracted.",
    )
    layout: Literal["NCHW", "NHWC", "as_is"] = Field(
        default="NCHW",
        description="Order of the axes that the model reads. `NCHW` moves an image's channels to the "
        "front; the other values leave the order as it is.",
    )
    dtype: Literal["float32", "int64", "int32", "uint8", "as_is"] = Field(
        default="float32",
        description="Number type that the model reads; `as_is` leaves the type that was read.",
    )

    @model_validator(mode="after")
    def _possible(self) -> Preprocessing:
        if self.resize and self.resize_shorter:
            raise ValueError("`resize` and `resize_shorter` exclude each other")
        side = min(self.resize) if self.resize else self.resize_shorter
        if self.center_crop and side and self.center_crop > side:
            raise ValueError(f"`center_crop: {self.center_crop}` is more than the {side} pixels there are")
        if self.std and any(value <= 0 for value in self.std):
            raise ValueError("`std` must be positive in every channel")
        counts = {name: len(getattr(self, name)) for name in ("mean", "std") if len(getattr(self, name)) > 1}
        if len(set(counts.values())) > 1:
            raise MismatchError(
                f"`mean` has {len(self.mean)} numbers and `std` {len(self.std)}",
                "one number for each channel in both, or one for all channels",
            )
        if self.grayscale and counts:
            raise MismatchError(
                f"`{next(iter(counts))}` has several numbers, and `grayscale` leaves one channel",
                "one number in `mean` and in `std`, or no `grayscale`",
            )
        return self


class DataConfig(Section):
    """Samples to calibrate and to validate with, and how they are drawn and prepared."""

    calibration: Source = Field(
        description="Samples that set the INT8 scales; none of them may be among the validation samples."
    )
    validation: Source = Field(description="Labelled samples on which accuracy is measured.")
    preprocessing: Preprocessing = Field(
        default=Preprocessing(), description="What is done to each sample before the model reads it."
    )
    calibration_samples: int = Field(
        default=64,
        ge=1,
        description="How many calibration samples are drawn, each class in proportion to its size.",
    )
    validation_samples: int | None = Field(
        default=None,
        ge=1,
        description="How many validation samples are drawn, each class in proportion; without a number, "
        "all are taken.",
    )
    calibration_batch_size: int = Field(
        default=8, ge=1, description="How many samples run together while calibrating."
    )
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED, description="Seed of the random draw of samples.")
