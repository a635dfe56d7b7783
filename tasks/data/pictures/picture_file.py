"""One picture on disk: whether a file holds one, and its pixels upright as a viewer shows them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from PIL import Image

from paddle_int8.tasks.contracts.errors import DataError

FORMATS = frozenset(
    (
        "AVIF",
        "BMP",
        "DIB",
        "GIF",
        "ICO",
        "JPEG",
        "JPEG2000",
        "PCX",
        "PNG",
        "PPM",
        "QOI",
        "TGA",
        "TIFF",
        "WEBP",
    )
)
"""Formats of pixels. Pillow's others are left alone: EPS is a program, which Ghostscript would run."""
CAMERA = "MPO"
"""A JPEG with a second one behind it, as cameras write them; the first is the picture."""
UNMARKED = frozenset({"PCX", "TGA"})
"""Their first bytes are those of many other files too, so the suffix must say it."""
ORIENTATION = 0x0112
"""EXIF's tag, of which readers such as OpenCV and every viewer take notice."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""From the stored pixels to the upright picture. Source: CIPA DC-008 (EXIF 2.32), tag Orientation."""
REDUCED = 254
"""TIFF's NewSubfileType; with its lowest bit a page is a smaller copy of another one."""


@cache
def picture_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the formats that are read."""
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in readable_formats() or name == CAMERA)


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in Image.OPEN if name in FORMATS)


def is_picture(path: Path) -> bool:
    """Whether a file is called a picture, or holds one under another name or none."""
    return path.suffix.lower() in picture_suffixes() or _holds_picture(path)


def _holds_picture(path: Path) -> bool:
    marked = [name for name in readable_formats() if name not in UNMARKED]
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=marked):
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture in `path`, decoded and turned as its EXIF orientation says.

    Raises: DataError naming the file, when it is missing, broken, or holds several pictures.
    """
    try:
        yield _decoded(path)
    except DataError as error:
        found = error.found if str(path) in error.found else f"{path}: {error.found}"
        raise DataError(found=found, required=error.required, remedy=error.remedy) from error
    except FileNotFoundError as error:
        raise DataError(
            found=f"{path} is missing",
            required="every file that was there when the source was opened",
            remedy="restore the file, or take it out of the source",
        ) from error
    except PermissionError as error:
        raise DataError(
            found=f"{path} may not be read by this user",
            required="readable pictures only",
            remedy="correct the file's permissions",
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            found=f"{path} cannot be read as an image: {error}",
            required="whole, readable images only, since a skipped one would change what is measured",
            remedy="repair the file, or take it out of the list or folder",
        ) from error


def _decoded(path: Path) -> Image.Image:
    """The upright picture; damaged metadata, of which Pillow warns, do not count."""
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=readable_formats()) as picture:
        _require_one(picture, path)
        picture.load()
        return upright(picture)


def upright(picture: Image.Image) -> Image.Image:
    """A decoded picture turned as its EXIF orientation says; one without the tag stays as it is.

    Only the tag is read: Pillow's own exif_transpose writes all others anew, and fails on damaged ones.
    """
    try:
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError):  # damaged metadata of a picture that is whole
        return picture
    return picture if turn is None else picture.transpose(turn)


def _require_one(picture: Image.Image, path: Path) -> None:
    """A second picture in the file of a camera (MPO) or a smaller copy in a TIFF does not count."""
    frames = getattr(picture, "n_frames", 1)
    if picture.format == "TIFF":
        frames = sum(not _is_reduced(picture, page) for page in range(frames))
        picture.seek(0)
    if frames > 1 and picture.format != CAMERA:
        raise DataError(
            found=f"{path} holds {frames} pictures: an animation, or several pages",
            required="files of one picture, as it is not known which one counts",
            remedy="save the picture that counts in a file of its own, or take the file out",
        )


def _is_reduced(picture: Image.Image, page: int) -> bool:
    picture.seek(page)
    tags: dict[int, int] = getattr(picture, "tag_v2", {})
    return bool(tags.get(REDUCED, 0) & 1)
