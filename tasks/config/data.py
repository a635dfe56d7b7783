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
    """From what was read to what the model takes, the same for every input.

    A sample [H, W, 1 or 3], whatever its dtype, is a picture with its channels last.
    """

    resize_shorter: Pixels | None = Field(default=None, description="Shorter side, in pixels.")
    resize: Annotated[tuple[Pixels, Pixels] | None, Spoken("[height, width] in pixels")] = Field(
        default=None, description="Exact [height, width]."
    )
    center_crop: Pixels | None = Field(default=None, description="Side of the square, in pixels.")
    grayscale: bool = Field(default=False, description="One channel instead of RGB, images only.")
    scale: float = Field(default=1.0, gt=0, description="Multiplies the raw values, e.g. 0.00392157.")
    mean: tuple[float, ...] = Field(default=(), description="Per channel, subtracted after `scale`.")
    std: tuple[float, ...] = Field(default=(), description="Per channel, divides after `mean`.")
    layout: Literal["NCHW", "NHWC", "as_is"] = Field(
        default="NCHW", description="Of the model's input; pictures are transposed for NCHW only."
    )
    dtype: Literal["float32", "int64", "int32", "uint8", "as_is"] = Field(
        default="float32", description="Of the model's input."
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
    calibration: Source = Field(description="Samples that set the INT8 scales; none of validation's.")
    validation: Source = Field(description="Labelled samples that accuracy is measured on.")
    preprocessing: Preprocessing = Field(
        default=Preprocessing(), description="From what was read to what the model takes."
    )
    calibration_samples: int = Field(default=64, ge=1, description="Drawn, stratified by label.")
    validation_samples: int | None = Field(default=None, ge=1, description="None takes all.")
    calibration_batch_size: int = Field(default=8, ge=1, description="Samples in one pass of calibration.")
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED, description="Of the draw.")
