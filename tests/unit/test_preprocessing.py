"""Images and arrays become what a model takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.preprocessing import frame_array, frame_picture, normalise


def picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@settings(max_examples=50)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    shorter=st.integers(1, 64),
    crop=st.integers(1, 64),
)
def test_place_any_picture_is_as_large_as_declared(width: int, height: int, shorter: int, crop: int) -> None:
    crop = min(crop, shorter)
    resized = frame_picture(picture(width, height), Preprocessing(resize_shorter=shorter))
    assert min(resized.shape[:2]) == shorter
    short, long = sorted((width, height))
    assert 2 * abs(max(resized.shape[:2]) * short - shorter * long) <= short, "off by more than half a pixel"
    cropped = frame_picture(picture(width, height), Preprocessing(resize_shorter=shorter, center_crop=crop))
    assert cropped.shape == (crop, crop, 3)
    assert cropped.dtype == np.uint8


def test_place_exact_resize_takes_height_before_width() -> None:
    assert frame_picture(picture(30, 20), Preprocessing(resize=(7, 11))).shape == (7, 11, 3)


@pytest.mark.parametrize(
    ("side", "crop", "first"),
    [
        pytest.param(10, 4, 3, id="even margin"),
        pytest.param(9, 4, 2, id="odd margin rounds to the left"),
        pytest.param(4, 4, 0, id="crop of the whole"),
    ],
)
def test_place_center_crop_takes_the_middle(side: int, crop: int, first: int) -> None:
    pixels = np.asarray(picture(side, side))
    cropped = frame_picture(Image.fromarray(pixels), Preprocessing(center_crop=crop))
    np.testing.assert_array_equal(cropped, pixels[first : first + crop, first : first + crop])


def test_place_crop_one_pixel_too_large_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError) as caught:
        frame_picture(picture(10, 9), Preprocessing(center_crop=10))
    assert "10x9" in caught.value.found
    assert "resize_shorter" in caught.value.remedy


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1"])
def test_place_any_colour_mode_becomes_rgb_or_gray(mode: str) -> None:
    converted = picture(5, 6).convert(mode)
    assert frame_picture(converted, Preprocessing()).shape == (6, 5, 3)
    assert frame_picture(converted, Preprocessing(grayscale=True)).shape == (6, 5, 1)


def test_place_sixteen_bit_pixels_keep_their_upper_byte() -> None:
    values = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    found = frame_picture(Image.fromarray(values), Preprocessing(grayscale=True))
    np.testing.assert_array_equal(found[:, :, 0], [[0, 0, 1], [128, 255, 255]])


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_place_pixels_of_unknown_range_are_refused(dtype: type) -> None:
    with pytest.raises(DataError, match="32-bit"):
        frame_picture(Image.fromarray(np.zeros((4, 4), dtype)), Preprocessing())


def test_place_palette_with_transparency_gives_the_palette_colours(tmp_path: Path) -> None:
    paletted = Image.new("P", (2, 1))
    paletted.putpalette([10, 20, 30, 40, 50, 60])
    paletted.putpixel((1, 0), 1)
    paletted.save(tmp_path / "a.png", transparency=b"\x00\x80")
    with Image.open(tmp_path / "a.png") as opened:
        found = frame_picture(opened, Preprocessing())
    np.testing.assert_array_equal(found, [[[10, 20, 30], [40, 50, 60]]])


def test_place_alpha_does_not_count() -> None:
    pixels = np.dstack([np.asarray(picture(5, 4)), np.zeros((4, 5), np.uint8)])
    np.testing.assert_array_equal(frame_picture(Image.fromarray(pixels), Preprocessing()), pixels[:, :, :3])


def test_place_array_gives_the_same_as_the_decoded_picture() -> None:
    steps = Preprocessing(resize_shorter=12, center_crop=8, grayscale=True)
    np.testing.assert_array_equal(
        frame_array(np.asarray(picture(30, 20)), steps), frame_picture(picture(30, 20), steps)
    )


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(np.zeros((8, 8, 3), np.float32), id="float picture"),
        pytest.param(np.zeros((3, 8, 8), np.uint8), id="channels first"),
        pytest.param(np.zeros(8, np.uint8), id="vector"),
    ],
)
@pytest.mark.parametrize("step", [Preprocessing(resize=(4, 4)), Preprocessing(grayscale=True)], ids=str)
def test_place_array_picture_step_on_no_picture_is_refused(sample: np.ndarray, step: Preprocessing) -> None:
    with pytest.raises(DataError, match="uint8 pictures"):
        frame_array(sample, step)
    np.testing.assert_array_equal(frame_array(sample, Preprocessing()), sample)


def test_normalise_images_follows_the_published_formula_per_channel() -> None:
    """(x * scale - mean) / std, then HWC to CHW: ImageNet's constants, by hand for one pixel."""
    steps = Preprocessing(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    batch = np.zeros((1, 2, 4, 3), np.uint8)
    batch[0, 1, 2] = (255, 0, 51)
    found = normalise(batch, steps)
    assert found.shape == (1, 3, 2, 4)
    assert found.dtype == np.float32
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(found[0, :, 1, 2], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "shape"), [("NCHW", (2, 3, 4, 5)), ("NHWC", (2, 4, 5, 3)), ("as_is", (2, 4, 5, 3))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_normalise_pictures_of_any_dtype_take_the_declared_layout(
    layout: str, shape: tuple[int, ...], dtype: type
) -> None:
    steps = Preprocessing.model_validate({"layout": layout, "mean": [0, 1, 2]})
    found = normalise(np.zeros((2, 4, 5, 3), dtype), steps)
    assert found.shape == shape
    assert found.flags.c_contiguous
    channels = found[0, :, 0, 0] if layout == "NCHW" else found[0, 0, 0]
    np.testing.assert_array_equal(channels, [0, -1, -2])


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        pytest.param((5, 2), 1, id="features"),
        pytest.param((5, 7, 2), 2, id="sequences of features"),
        pytest.param((5, 2, 8, 8), 1, id="channels first"),
        pytest.param((5, 2, 8, 8, 8), 1, id="volumes"),
    ],
)
def test_normalise_arrays_have_their_channels_where_documented(shape: tuple[int, ...], axis: int) -> None:
    found = normalise(np.ones(shape), Preprocessing(mean=(1.0, 0.0), std=(1.0, 4.0)))
    assert found.shape == shape
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.take(0, axis), 0)
    np.testing.assert_array_equal(found.take(1, axis), 0.25)


def test_normalise_one_value_a_sample_has_one_channel() -> None:
    np.testing.assert_array_equal(normalise(np.array([1.0, 3.0]), Preprocessing(mean=(1.0,))), [0, 2])
    with pytest.raises(DataError, match="1 channels"):
        normalise(np.array([1.0, 3.0]), Preprocessing(mean=(1.0, 2.0)))


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "uint8"])
def test_normalise_declared_dtype_is_what_comes_out(dtype: str) -> None:
    found = normalise(np.arange(6).reshape(2, 3), Preprocessing.model_validate({"dtype": dtype}))
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])


def test_normalise_dtype_as_is_keeps_float64() -> None:
    assert normalise(np.zeros((2, 3)), Preprocessing(dtype="as_is")).dtype == np.float64


def test_normalise_one_number_serves_every_channel() -> None:
    found = normalise(np.full((1, 2, 2, 3), 3, np.uint8), Preprocessing(mean=(1.0,), std=(4.0,)))
    np.testing.assert_array_equal(found, np.full((1, 3, 2, 2), 0.5))


@pytest.mark.parametrize(
    ("steps", "key"),
    [
        pytest.param(Preprocessing(mean=(1.0, 2.0)), "mean", id="two means"),
        pytest.param(Preprocessing(std=(1.0, 2.0, 3.0, 4.0)), "std", id="four stds"),
    ],
)
def test_normalise_wrong_number_of_channels_names_the_key(steps: Preprocessing, key: str) -> None:
    with pytest.raises(DataError) as caught:
        normalise(np.zeros((1, 2, 2, 3), np.uint8), steps)
    assert f"data.preprocessing.{key}" in caught.value.remedy
    assert "3 channels" in caught.value.found


@settings(max_examples=7)
@given(rows=st.integers(1, 7))
def test_normalise_batch_equals_its_samples_one_by_one(rows: int) -> None:
    steps = Preprocessing(scale=0.1, mean=(0.3, 0.2, 0.1), std=(0.5, 0.6, 0.7))
    batch = np.random.default_rng(rows).integers(0, 256, (rows, 3, 4, 3), dtype=np.uint8)
    single = np.concatenate([normalise(batch[row : row + 1], steps) for row in range(rows)])
    np.testing.assert_array_equal(normalise(batch, steps), single)
