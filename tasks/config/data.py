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
    """Images under `root`; `list_file` has one `relative/path label` a line (label optional).

    Without a list file, every image of `root/<class>/` is taken, classes numbered in sorted order; a
    root without folders gives its own images, without labels. A photograph is turned as its EXIF
    orientation says. Of 16-bit pixels the upper byte counts, and an alpha channel does not.
    """

    model_config = ConfigDict(title="Image folder")

    kind: Literal["image_folder"] = Field(description="Images in folders.")
    root: Path = Field(description="Folder of the images.")
    list_file: Path | None = Field(
        default=None, description="One `relative/path label` a line; without it, folders are the classes."
    )


class NpzSource(Section):
    """A NumPy `.npz`: one array per model input by name (or one array for a single input) and labels."""

    model_config = ConfigDict(title="NumPy archive")

    kind: Literal["npz"] = Field(description="A NumPy archive.")
    path: Path = Field(description="The `.npz` file.")
    labels: str = Field(
        default="labels", description="Name of the array of labels; `labels` itself may be missing."
    )


class IdxSource(Section):
    """IDX files as MNIST and Fashion-MNIST ship them, gzipped or not."""

    model_config = ConfigDict(title="IDX files")

    kind: Literal["idx"] = Field(description="IDX files, as MNIST's.")
    images: Path = Field(description="IDX file of the pictures.")
    labels: Path | None = Field(default=None, description="IDX file of the labels.")


class TaggedTextSource(Section):
    """Lines of `word/tag word/tag`, each a sequence of character ids with a label a character.

    With `words` a step is a word of that dictionary where the vocabulary has it, as LAC's `lac_model` takes
    it; its label is that of its first character.

    With `-B -I -E -S` in `tags` a label is the character's place in its word (S alone, else begin, inside,
    end); otherwise it is the word's tag with `-B` or `-I` behind it, `O` where `tags` has none.
    """

    model_config = ConfigDict(title="Tagged text")

    kind: Literal["tagged_text"] = Field(description="Text with a tag a word.")
    corpus: Path = Field(
        description="The text, UTF-8, `word/tag` separated by blanks; empty lines are skipped."
    )
    vocabulary: Path = Field(description="`id<TAB>character` lines.")
    tags: Path = Field(description="`id<TAB>tag` lines.")
    replacements: Path | None = Field(
        default=None,
        description="`from<TAB>to` lines, applied to each character, such as full to half width.",
    )
    words: Path | None = Field(
        default=None,
        description="`word count` lines, a dictionary to cut the text by; without it a step is a character.",
    )
    unknown: str = Field(default="OOV", description="Entry of the vocabulary for every other character.")
    first_line: int = Field(default=1, ge=1, description="Of the corpus, from 1.")
    last_line: int | None = Field(default=None, ge=1, description="None takes all to the end.")


class CallableSource(Section):
    """`function(**arguments)` returns `(inputs, labels)`.

    inputs: an array [N, ...] or a dict of them by input name, of a sequence input a list of N arrays
    [length, ...]; labels: int [N], a list of N arrays of labels, or None. Paths among the arguments reach
    the function as they stand.
    """

    model_config = ConfigDict(title="Python function")

    kind: Literal["callable"] = Field(description="A Python function.")
    function: CallableName = Field(description="`package.module:function` that returns `(inputs, labels)`.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Passed to the function by name.")


Source = Annotated[
    ImageFolderSource | NpzSource | IdxSource | TaggedTextSource | CallableSource,
    Field(discriminator="kind"),
]


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
