"""From what was read to what the model takes.

Spatial steps happen once, when samples are drawn, and keep images uint8; arithmetic happens on each
batch that is read. So the drawn data stay small and are readable as pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.errors import DataError

Array = npt.NDArray[Any]
CONVERTIBLE = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
"""Pillow's modes that it converts to grey and RGB alike."""


def place(picture: Image.Image, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """A picture of any mode resized and cropped: uint8 [H, W, C], C 1 or 3, bilinear.

    Raises: DataError when its pixels have no known range, or it is smaller than the crop.
    """
    picture = _eight_bits(picture).convert("L" if preprocessing.grayscale else "RGB")
    if preprocessing.resize:
        height, width = preprocessing.resize
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    elif preprocessing.resize_shorter:
        factor = preprocessing.resize_shorter / min(picture.size)
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    if preprocessing.center_crop:
        picture = _center_crop(picture, preprocessing.center_crop)
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def place_array(sample: Array, preprocessing: Preprocessing) -> Array:
    """The same for an array sample, uint8 [H, W] or [H, W, C]; without such a step it passes unchanged.

    Raises: DataError when a step is asked of what is not a picture.
    """
    steps = ("resize", "resize_shorter", "center_crop", "grayscale")
    asked = [step for step in steps if getattr(preprocessing, step)]
    if not asked:
        return sample
    if sample.dtype != np.uint8 or not (sample.ndim == 2 or _channels_last(sample.shape)):
        raise DataError(
            found=f"a sample of {sample.dtype} {list(sample.shape)}, and `preprocessing` with "
            f"{', '.join(asked)}",
            required="uint8 pictures [H, W] or [H, W, 1 or 3] for these steps",
            remedy="store pictures as uint8 with channels last, or remove the steps",
        )
    return place(Image.fromarray(sample.squeeze(2) if sample.shape[2:] == (1,) else sample), preprocessing)


def normalise(batch: Array, preprocessing: Preprocessing) -> Array:
    """[N, ...] as stored to [N, ...] as the model takes it: scale, mean, std, layout, dtype.

    Channels are the last axis of pictures [N, H, W, 1 or 3] of any dtype, axis 1 of other arrays of
    four and more dimensions, and the last axis of the rest, such as features [N, D].
    Raises: DataError when `mean` or `std` do not fit the channels.
    """
    values = batch
    pictures = _channels_last(batch.shape[1:])
    if preprocessing.scale != 1.0 or preprocessing.mean or preprocessing.std:
        axis = 1 if batch.ndim >= 4 and not pictures else batch.ndim - 1
        values = values.astype(np.float32) * np.float32(preprocessing.scale)
        if preprocessing.mean:
            values = values - _per_channel(preprocessing.mean, values, axis, "mean")
        if preprocessing.std:
            values = values / _per_channel(preprocessing.std, values, axis, "std")
    if preprocessing.layout == "NCHW" and pictures:
        values = values.transpose(0, 3, 1, 2)
    if preprocessing.dtype != "as_is":
        values = values.astype(preprocessing.dtype)
    return np.ascontiguousarray(values)


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Whether one sample's shape is that of a picture [H, W, 1 or 3]."""
    return len(shape) == 3 and shape[2] in (1, 3)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture that Pillow converts without loss of range: it would clip every value above 255."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise DataError(
            found=f"a picture of 32-bit pixels (mode {picture.mode}), whose range the file does not tell",
            required="8 or 16 bits a channel",
            remedy="convert it to 8 bits, or give arrays as .npz",
        )
    if picture.mode not in CONVERTIBLE:
        raise DataError(
            found=f"a picture of mode {picture.mode}, whose colours are not known",
            required="grey, RGB, CMYK or palette pictures",
            remedy="convert it to RGB",
        )
    if picture.mode == "P":  # transparency in a palette makes Pillow warn on the direct way
        return picture.convert("RGBA")
    return picture


def _center_crop(picture: Image.Image, side: int) -> Image.Image:
    if min(picture.size) < side:
        raise DataError(
            found=f"a picture of {picture.width}x{picture.height} pixels and `center_crop: {side}`",
            required="pictures at least as large as the crop",
            remedy="resize before the crop: set `resize_shorter`",
        )
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def _per_channel(numbers: tuple[float, ...], values: Array, axis: int, name: str) -> Array:
    channels = values.shape[axis] if axis > 0 else 1
    if len(numbers) not in (1, channels):
        raise DataError(
            found=f"`{name}` with {len(numbers)} numbers for data with {channels} channels",
            required=f"1 or {channels} numbers",
            remedy=f"correct `data.preprocessing.{name}`, or set `grayscale`",
        )
    shape = [1] * values.ndim
    shape[axis] = len(numbers)
    return np.asarray(numbers, dtype=np.float32).reshape(shape)
