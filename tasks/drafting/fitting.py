"""Which preprocessing fits the samples to the model's inputs: what both tell, and what must be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ConfigError, DataError
from paddle_int8.tasks.drafting.questions import Interview, Question
from paddle_int8.tasks.drafting.sources import Found
from paddle_int8.tasks.preview.alternatives import COLOURS, USUAL

FREE, USUAL_SIDE = -1, 224
CROPPED_FROM = 128
"""Models of pictures this large and square are mostly trained on a crop out of the middle."""
CROP_SHARE = 0.875
"""ImageNet's crop: 224 pixels of a picture whose shorter side is 256."""
ARITHMETIC = dict(zip(("imagenet", "half", "unit", "raw"), USUAL, strict=True))
MEANINGS = {
    "imagenet": "0 to 1, then ImageNet's mean and standard deviation",
    "half": "-1 to 1",
    "unit": "0 to 1",
    "raw": "0 to 255, as stored",
}
PLACEMENTS = {
    "crop": "resize the shorter side, then cut the middle out",
    "whole": "resize the whole picture to the model's size",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """How the model takes pictures. `height` and `width` are -1 where they are free."""

    channels: int
    height: int
    width: int
    layout: str
    dtype: str

    @property
    def real(self) -> bool:
        """Whether the model takes numbers that arithmetic can scale."""
        return self.dtype.startswith("float")


def pictures_of(inputs: tuple[TensorSpec, ...]) -> Pictures | None:
    """The picture input of a model that has one input, of shape [N, C, H, W] or [N, H, W, C]; else None."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return None
    spec = inputs[0]
    _, *rest = spec.shape
    first, last = (rest[0] in (1, COLOURS), rest[2] in (1, COLOURS))
    if not (first or last or rest[0] == FREE):
        return None
    channels_last = last and not first
    height, width = rest[:2] if channels_last else rest[1:]
    channels = rest[2] if channels_last else rest[0]
    return Pictures(
        channels=COLOURS if channels == FREE else channels,
        height=height,
        width=width,
        layout="NHWC" if channels_last else "NCHW",
        dtype=spec.dtype,
    )


def bytes_of(found: Found, inputs: tuple[TensorSpec, ...]) -> bool:
    """Whether the samples are pictures of bytes; arrays of other numbers are taken to be prepared already."""
    if found.kind in ("image_folder", "idx"):
        return True
    if found.kind != "npz":
        return False
    with np.load(found.path("path"), allow_pickle=False) as archive:
        names = [name for name in archive.files if name != found.source.get("labels", "labels")]
        array = archive[names[0]] if len(names) == 1 else None
    return array is not None and array.dtype == np.uint8 and array.ndim in (3, 4)


def prepared(inputs: tuple[TensorSpec, ...]) -> Preprocessing:
    """The preprocessing of arrays that only lack the model's type of number."""
    types = {spec.dtype for spec in inputs}
    dtype = types.pop() if len(types) == 1 else "as_is"
    known = ("float32", "int64", "int32", "uint8")
    return Preprocessing.model_validate({"layout": "as_is", "dtype": dtype if dtype in known else "as_is"})


def require_pictures(inputs: tuple[TensorSpec, ...]) -> Pictures:
    """What the model's only input says of pictures. Raises: DataError when it reads something else."""
    pictures = pictures_of(inputs)
    if pictures is None:
        said = ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in inputs)
        raise DataError(
            found=f"pictures, and a model with the inputs {said}",
            required="a model with one input [N, channels, height, width] for pictures",
            remedy="give arrays by the names of the inputs (.npz), or a function of yours (`kind: callable`)",
        )
    return pictures


def size_of(pictures: Pictures, interview: Interview) -> tuple[int, int]:
    """Height and width of the pictures that the model is given; asked where the model leaves them free."""
    if pictures.height > 0 and pictures.width > 0:
        return pictures.height, pictures.width
    side = max(pictures.height, pictures.width, 0) or USUAL_SIDE
    answer = interview.ask(
        Question(
            option="size",
            text="The model takes pictures of any size. Which was it trained on (height x width)?",
            default=f"{side}x{side}",
            why="the usual size",
            read=_size,
        )
    )
    return _size(answer)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*([1-9]\d{0,4})(?:\s*[x,×]\s*([1-9]\d{0,4}))?\s*", text)
    if found is None:
        raise ConfigError(
            found=f"--size {text}",
            required="height and width in pixels, such as 224x224",
            remedy="correct --size",
        )
    return int(found[1]), int(found[2] or found[1])


def placed(pictures: Pictures, size: tuple[int, int], placement: str) -> dict[str, object]:
    """The keys that bring pictures to `size`."""
    height, width = size
    given: dict[str, object] = {"grayscale": True} if pictures.channels == 1 else {}
    if placement == "crop" and height == width:
        return given | {"resize_shorter": round(height / CROP_SHARE), "center_crop": height}
    return given | {"resize": size}


def usual_placement(size: tuple[int, int]) -> str:
    return "crop" if size[0] == size[1] >= CROPPED_FROM else "whole"


def arithmetic(pictures: Pictures, name: str) -> dict[str, object]:
    """The keys that turn bytes into what the model reads."""
    layout: dict[str, object] = {} if pictures.layout == "NCHW" else {"layout": pictures.layout}
    if not pictures.real:
        return layout | {"dtype": pictures.dtype}
    return layout | {key: value for key, value in ARITHMETIC[name].items() if value not in ((), 1.0)}


def usual_arithmetic(channels: int) -> str:
    return "imagenet" if channels == COLOURS else "unit"


def choices(channels: int) -> Mapping[str, str]:
    return MEANINGS if channels == COLOURS else {name: MEANINGS[name] for name in ("half", "unit", "raw")}
