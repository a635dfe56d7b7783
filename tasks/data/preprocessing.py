"""Turns what was read into what the model takes.

Resizing and cropping happen once, when samples are drawn, and keep images uint8. The arithmetic (`scale`,
`mean`, `std`) happens on each batch that is read. So the drawn data stay small and can be viewed as images.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError

CONVERTIBLE = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
"""Modes that Pillow can convert both to grey and to RGB."""


def frame_picture(picture: Image.Image, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """Resizes (bilinearly), crops and greys an image of any mode: uint8 [H, W, C], where C is 1 or 3.

    Raises: DataError when the range of its pixels is unknown, or when it is smaller than the crop.
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


def frame_array(sample: Array, preprocessing: Preprocessing) -> Array:
    """Does the same with an array, uint8 [H, W] or [H, W, C].

    If none of these steps (`resize`, `resize_shorter`, `center_crop`, `grayscale`) is configured, the array
    stays unchanged. Raises: DataError when one of them is, and the array is not an image.
    """
    steps = ("resize", "resize_shorter", "center_crop", "grayscale")
    configured = [step for step in steps if getattr(preprocessing, step)]
    if not configured:
        return sample
    if sample.dtype != np.uint8 or not (sample.ndim == 2 or _channels_last(sample.shape)):
        raise DataError(
            found=f"a sample of {sample.dtype} {list(sample.shape)}, and `preprocessing` with "
            f"{', '.join(configured)}",
            required="uint8 pictures [H, W] or [H, W, 1 or 3] for these steps",
            remedy="store pictures as uint8 with channels last, or remove the steps",
        )
    return frame_picture(
        Image.fromarray(sample.squeeze(2) if sample.shape[2:] == (1,) else sample), preprocessing
    )


def normalise(batch: Array, preprocessing: Preprocessing) -> Array:
    """Applies `scale`, `mean`, `std`, `layout` and `dtype` to a stored batch [N, ...].

    The channels are the last axis of images [N, H, W, 1 or 3] of any number type, axis 1 of other arrays with
    four or more dimensions, and the last axis of all others, such as features [N, D].
    Raises: DataError when `mean` or `std` does not fit the number of channels.
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
    """Whether a sample has the shape of an image [H, W, 1 or 3]."""
    return len(shape) == 3 and shape[2] in (1, 3)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """The image with 8 bits a pixel. Pillow's own conversion would clip every value above 255."""
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
    if picture.mode == "P":  # converting a palette with transparency directly makes Pillow warn
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
