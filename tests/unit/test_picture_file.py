"""An image file is turned as its tag says, or refused since it is missing, broken or has several images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageSequence

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.picture_file import ORIENTATION, opened
from paddle_int8.tasks.data.preprocessing import frame_picture

Pixels = npt.NDArray[np.uint8]
UPRIGHT = np.kron(
    np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255] * 3, [128] * 3]]), np.ones((8, 8, 1))
)
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels[:, ::-1].transpose(1, 0, 2),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: pixels[::-1].transpose(1, 0, 2),
}
"""What a camera stores of the upright picture: with 6 its top is at the right side, with 8 at the left."""


def read(path: Path) -> Pixels:
    with opened(path) as picture:
        return frame_picture(picture, Preprocessing())


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value.found


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", sorted(STORED))
def test_picture_of_each_orientation_is_read_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"a.{suffix}"
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT.astype(np.uint8))))
    how: dict[str, dict[str, Any]] = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    stored.save(path, exif=exif, **how.get(suffix, {}))
    np.testing.assert_allclose(read(path), UPRIGHT, atol=2 if suffix == "jpg" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_picture_of_an_unknown_orientation_stays_as_stored(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(UPRIGHT.astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), UPRIGHT)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*"])
def test_picture_with_damaged_metadata_is_read_as_stored(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(UPRIGHT.astype(np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").shape == UPRIGHT.shape


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("CMYK", "jpg"),
        ("L", "jpg"),
        ("1", "png"),
        ("P", "png"),
        ("LA", "png"),
        ("RGBA", "webp"),
        ("CMYK", "tif"),
    ],
)
def test_picture_of_any_mode_has_three_channels(tmp_path: Path, mode: str, suffix: str) -> None:
    Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read(tmp_path / f"a.{suffix}"), 255, atol=2)


def test_picture_of_16_bits_keeps_its_upper_byte_when_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.array([[0x1234, 0xABCD]], dtype=np.uint16)).save(tmp_path / "a.png", exif=exif)
    assert read(tmp_path / "a.png")[:, :, 0].tolist() == [[0x12], [0xAB]]


def test_picture_of_lab_colours_is_refused_by_name(tmp_path: Path) -> None:
    Image.new("LAB", (4, 4)).save(tmp_path / "a.tif")
    assert (
        refusal(tmp_path / "a.tif")
        == f"{tmp_path / 'a.tif'}: a picture of mode LAB, whose colours are not known"
    )


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_picture_file_of_several_pictures_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    assert f"a.{suffix} holds 3 pictures" in refusal(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif"])
def test_picture_alone_in_a_format_of_several_is_read(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / f"a.{suffix}")
    assert read(tmp_path / f"a.{suffix}").shape == (4, 4, 3)


def test_picture_of_a_camera_with_a_second_one_behind_it_is_the_first(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "black")
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert read(tmp_path / "a.jpg").min() > 250


def test_picture_tiff_with_a_smaller_copy_is_read(tmp_path: Path) -> None:
    whole, copy = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (4, 4), "white")
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[copy])
    with Image.open(tmp_path / "a.tif") as written:
        assert len(list(ImageSequence.Iterator(written))) == 2
    assert read(tmp_path / "a.tif").shape == (8, 8, 3)


def test_picture_that_is_missing_is_not_told_as_a_broken_one(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.jpg") == f"{tmp_path / 'a.jpg'} is missing"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp"])
def test_picture_that_is_truncated_is_told_as_a_broken_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.effect_noise((64, 64), 99).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"{path} cannot be read as an image" in refusal(path)


def test_picture_that_is_a_program_is_never_run(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    assert "cannot be read as an image" in refusal(tmp_path / "a.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_picture_without_permission_is_told_so(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert "may not be read by this user" in refusal(tmp_path / "a.png")
