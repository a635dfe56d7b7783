"""Tells whether a file holds an image, and reads its pixels upright, as a viewer shows them."""

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
"""Formats that only hold pixels. Pillow's other formats are not read: EPS is a program for Ghostscript."""
CAMERA = "MPO"
"""A JPEG followed by a second one, as cameras write it; the first one is taken."""
UNMARKED = frozenset({"PCX", "TGA"})
"""Formats that many other files begin like, so only the suffix identifies them."""
ORIENTATION = 0x0112
"""The EXIF tag of the orientation, which viewers and readers such as OpenCV apply."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How the stored pixels become upright. Source: CIPA DC-008 (EXIF 2.32), tag Orientation."""
REDUCED = 254
"""TIFF's tag NewSubfileType: its lowest bit marks a page that is a smaller copy of another one."""


@cache
def picture_suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of the formats that are read."""
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in readable_formats() or name == CAMERA)


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats in `FORMATS` that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in Image.OPEN if name in FORMATS)


def is_picture(path: Path) -> bool:
    """Whether a file has the suffix of an image, or holds one under another suffix or none."""
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
    """The image in `path`, decoded and turned as its EXIF orientation says.

    Raises: DataError, with the file's name, when it is missing, broken, or holds several images.
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
    """The upright image. Pillow's warnings about damaged metadata are ignored."""
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=readable_formats()) as picture:
        _require_one(picture, path)
        picture.load()
        return upright(picture)


def upright(picture: Image.Image) -> Image.Image:
    """A decoded image turned as its EXIF orientation says; without that tag it stays as it is.

    Pillow's own exif_transpose would also rewrite all other tags, and fails on damaged ones.
    """
    try:
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError):  # the image is whole, but its metadata are damaged
        return picture
    return picture if turn is None else picture.transpose(turn)


def _require_one(picture: Image.Image, path: Path) -> None:
    """Refuses a file with several images.

    The second image in a camera's file (MPO) and smaller copies in a TIFF do not count.
    """
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
