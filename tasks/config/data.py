"""Where samples come from, and what is done to them before the model reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    model_validator,
)

from paddle_int8.tasks.config.section import HIGHEST_SEED, Pixels, Section
from paddle_int8.tasks.config.spoken import (
    CallableName,
    MismatchError,
    Spoken,
)


class ImageFolderSource(Section):
    """Images below `root`, labelled by a list file or by their folders.

    `list_file` has one `relative/path label` a line; the label is optional. Without a list file, every image
    in `root/<class>/` is taken, and the classes are numbered in sorted order. If `root` has no folders, the
    images in it are taken without labels. A photograph is turned as its EXIF orientation says. Pixels of 16
    bits are reduced to their upper byte, and an alpha channel is dropped.
    """

    model_config = ConfigDict(title="Image folder")

    kind: Literal["image_folder"] = Field(description="Images in folders.")
    root: Path = Field(description="Folder of the images.")
    list_file: Path | None = Field(
        default=None,
        description="Text file with one `relative/path label` a line; without it, each folder is a class.",
    )


class NpzSource(Section):
    """A NumPy `.npz` archive with one array for each model input, under the input's name, and the labels.

    If the model has a single input, its array may have any name.
    """

    model_config = ConfigDict(title="NumPy archive")

    kind: Literal["npz"] = Field(description="A NumPy archive.")
    path: Path = Field(description="The `.npz` file.")
    labels: str = Field(
        default="labels",
        description="Name of the array that holds the labels. An archive without the default `labels` "
        "has no labels.",
    )


class IdxSource(Section):
    """IDX files as MNIST and Fashion-MNIST ship them, gzipped or not."""

    model_config = ConfigDict(title="IDX files")

    kind: Literal["idx"] = Field(description="IDX files, as MNIST's.")
    images: Path = Field(description="IDX file of the images.")
    labels: Path | None = Field(default=None, description="IDX file of the labels.")


class TaggedTextSource(Section):
    """Tagged text: each line `word/tag word/tag` becomes one sequence of character ids, with a label each.

    With `words`, the line is cut into the words of that dictionary instead, and each step is a word, if the
    vocabulary has it: this is what LAC's `lac_model` reads. A word has the label of its first character.

    If `tags` has `-B`, `-I`, `-E` and `-S`, a label says where the character stands in its word: at the
    beginning, inside, at the end, or alone. Otherwise it is the word's tag followed by `-B` (first character)
    or `-I` (any other), and `O` where `tags` does not have that.
    """

    model_config = ConfigDict(title="Tagged text")

    kind: Literal["tagged_text"] = Field(description="Text with a tag a word.")
    corpus: Path = Field(
        description="UTF-8 text of `word/tag` pairs separated by blanks; empty lines are skipped."
    )
    vocabulary: Path = Field(description="File of `id<TAB>character` lines: the ids that the model reads.")
    tags: Path = Field(description="File of `id<TAB>tag` lines: the labels that the model answers with.")
    replacements: Path | None = Field(
        default=None,
        description="File of `from<TAB>to` lines that replace single characters, for example full width "
        "by half width.",
    )
    words: Path | None = Field(
        default=None,
        description="Dictionary of `word count` lines that the text is cut by; without it, each step is "
        "one character.",
    )
    unknown: str = Field(
        default="OOV", description="Entry of the vocabulary that stands for every character it does not have."
    )
    first_line: int = Field(
        default=1, ge=1, description="First line of the corpus to read; lines are counted from 1."
    )
    last_line: int | None = Field(
        default=None,
        ge=1,
        description="Last line of the corpus to read; without it, the corpus is read to its end.",
    )


class CallableSource(Section):
    """A Python function: `function(**arguments)` returns `(inputs, labels)`.

    inputs: an array [N, ...] for a single input, or a dict of arrays by input name. The value of a sequence
    input is a list of N arrays [length, ...]. labels: int [N], a list of N arrays of labels, or None. Paths
    among the arguments are passed on unchanged: they are not resolved against the configuration's folder.
    """

    model_config = ConfigDict(title="Python function")

    kind: Literal["callable"] = Field(description="A Python function.")
    function: CallableName = Field(description="`package.module:function` that returns `(inputs, labels)`.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the function.")


Source = Annotated[
    ImageFolderSource | NpzSource | IdxSource | TaggedTextSource | CallableSource,
    Field(discriminator="kind"),
]


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
        "front; the others leave it.",
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
