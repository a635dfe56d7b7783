"""Every kind of source, good and bad, up to the batches that a model takes."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.dataset import (
    check_class_names,
    check_labels,
    class_notes,
    materialise,
    sample_digests,
)
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.data.sources import open_source
from paddle_int8.tasks.data.sources.callable import CallableSource
from paddle_int8.tasks.data.sources.idx import IdxSource, read_idx
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource
from paddle_int8.tasks.data.sources.npz import NpzSource
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Samples
from tests.patience import allowed
from tests.release_factory import build_dataset

IMAGE = (TensorSpec(name="image", shape=(-1, 3, 8, 8), dtype="float32"),)
TO_IMAGE = Preprocessing(resize=(8, 8), scale=1 / 255)
AS_READ = Preprocessing()


def save_picture(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10)) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def open_folder(root: Path, lines: str | None = None) -> Samples:
    list_file = None
    if lines is not None:
        list_file = root / "list.txt"
        list_file.write_text(lines, encoding="utf-8")
    return open_source(ImageFolderSource(kind="image_folder", root=root, list_file=list_file), TO_IMAGE)


def open_npz(path: Path, preprocessing: Preprocessing = AS_READ, **arrays: object) -> Samples:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return open_source(NpzSource(kind="npz", path=path), preprocessing)


def dataset_of(
    samples: Samples, folder: Path, inputs: tuple[TensorSpec, ...], preprocessing: Preprocessing
) -> DatasetArtifact:
    folder.mkdir(exist_ok=True)
    drawn = materialise(samples, np.arange(samples.count), preprocessing, inputs, folder, step="draw")
    return DatasetArtifact(
        folder=folder,
        digest=drawn.digest,
        source="test",
        samples=drawn.samples,
        classes=drawn.classes,
        seed=0,
        labelled=drawn.labelled,
    )


def idx_bytes(array: np.ndarray) -> bytes:
    """IDX as the format's page defines it: big-endian, type code, dimensions."""
    codes = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
    header = bytes([0, 0, codes[array.dtype.str[1:]], array.ndim])
    return (
        header
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def test_image_folder_without_list_numbers_the_classes_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/a.jpg", "cat/c.PNG"):
        save_picture(tmp_path / name)
    (tmp_path / "cat/notes.txt").write_text("no picture")
    samples = open_folder(tmp_path)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 0, 1]
    assert samples.read(2)[ONLY_INPUT].shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("lines", "labels"),
    [
        pytest.param("a.png 3\n\nsub/with space.png 0\n", [3, 0], id="labels, blank line, space in a name"),
        pytest.param("a.png\t3\nsub/with space.png \t 0\n", [3, 0], id="tabs"),
        pytest.param("\ufeffa.png 3\r\nsub/with space.png 0\r\n", [3, 0], id="written on Windows"),
        pytest.param("a.png\nsub/with space.png\n", None, id="no labels"),
    ],
)
def test_image_folder_list_is_followed_in_its_order(
    tmp_path: Path, lines: str, labels: list[int] | None
) -> None:
    save_picture(tmp_path / "a.png")
    save_picture(tmp_path / "sub/with space.png", seed=1)
    samples = open_folder(tmp_path, lines)
    assert (None if samples.labels is None else samples.labels.tolist()) == labels
    assert not np.array_equal(samples.read(0)[ONLY_INPUT], samples.read(1)[ONLY_INPUT])


@pytest.mark.parametrize("line", ["a.png 1.5", "a.png one", "a.png --5", "a.png ²", "a.png " + "9" * 30])
def test_image_folder_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="line 2 of"):
        open_folder(tmp_path, f"a.png 0\n{line}\n")


def test_image_folder_hidden_folders_and_files_do_not_count(tmp_path: Path) -> None:
    for name in ("b/1.png", "b/._1.png", "a/2.png", ".checkpoints/3.png"):
        save_picture(tmp_path / name)
    samples = open_folder(tmp_path)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1]


def test_image_folder_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    save_picture(tmp_path / "a/1.png")
    save_picture(tmp_path / "forgotten.png")
    with pytest.raises(DataError, match=r"forgotten\.png"):
        open_folder(tmp_path)


def test_image_folder_picture_that_cannot_be_placed_is_named(tmp_path: Path) -> None:
    save_picture(tmp_path / "small.png", size=(6, 6))
    source = ImageFolderSource(kind="image_folder", root=tmp_path)
    with pytest.raises(DataError, match=r"small\.png: .*6x6"):
        open_source(source, Preprocessing(center_crop=8)).read(0)


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
def test_image_folder_jpeg_of_any_mode_is_read(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (9, 9)).save(tmp_path / "a.jpg")
    assert open_folder(tmp_path).read(0)[ONLY_INPUT].shape == (8, 8, 3)


def test_image_folder_label_on_some_lines_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 2 lines"):
        open_folder(tmp_path, "a.png 0\nb.png\n")


def break_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_header(path: Path) -> None:
    path.write_bytes(b"\0" * 16 + path.read_bytes()[16:])


def break_empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("damage", [break_truncate, break_header, break_empty])
def test_image_folder_corrupt_picture_among_good_ones_is_named(
    tmp_path: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    for index in range(3):
        save_picture(tmp_path / f"{index}.{suffix}", seed=index, size=(64, 64))
    damage(tmp_path / f"1.{suffix}")
    samples = open_folder(tmp_path, "".join(f"{index}.{suffix} {index}\n" for index in range(3)))
    with pytest.raises(DataError) as caught:
        dataset_of(samples, tmp_path / "drawn", IMAGE, TO_IMAGE)
    assert f"1.{suffix}" in caught.value.found


def test_image_folder_list_entry_outside_the_root_reveals_nothing_of_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the password")
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path / "images", "../secret.txt 0\n")
    assert "password" not in str(caught.value)


def test_image_folder_file_that_goes_away_later_is_told_as_missing(tmp_path: Path) -> None:
    samples = open_folder(save_picture(tmp_path / "a.png").parent, "a.png 0\n")
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png is missing"):
        samples.read(0)


def test_materialise_keeps_what_was_left_out_and_counts_empty_classes(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/1.png"):
        save_picture(tmp_path / "root" / name)
    (tmp_path / "root/empty").mkdir()
    (tmp_path / "root/dog/notes.txt").write_text("no picture")
    (tmp_path / "drawn").mkdir()
    samples = open_folder(tmp_path / "root")
    drawn = materialise(samples, np.arange(2), TO_IMAGE, IMAGE, tmp_path / "drawn", step="draw")
    assert drawn.classes == 3
    assert drawn.class_names == ("cat", "dog", "empty")
    assert drawn.left_out == {".txt files without a readable picture": 1}
    assert "dog/notes.txt" in drawn.notes[-1]


@pytest.mark.parametrize("lines", [pytest.param("\n\n", id="blank list"), pytest.param(None, id="no files")])
def test_image_folder_empty_is_refused(tmp_path: Path, lines: str | None) -> None:
    with pytest.raises(DataError, match="no samples"):
        open_folder(tmp_path, lines)


def test_image_folder_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        open_folder(tmp_path / "absent")


def test_npz_of_two_inputs_reaches_the_model_by_name(tmp_path: Path) -> None:
    inputs = (
        TensorSpec(name="ids", shape=(-1, 4), dtype="int64"),
        TensorSpec(name="mask", shape=(-1, -1), dtype="int64"),
    )
    steps = Preprocessing(dtype="int64")
    ids = np.arange(20).reshape(5, 4)
    samples = open_npz(tmp_path / "a.npz", steps, mask=ids % 2, ids=ids, labels=np.arange(5))
    reader = BatchReader(dataset_of(samples, tmp_path / "drawn", inputs, steps), inputs)
    batches = list(reader.batches(2))
    assert [len(batch["ids"]) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([batch["ids"] for batch in batches]), ids)
    np.testing.assert_array_equal(batches[1]["mask"], ids[2:4] % 2)
    assert reader.labels is not None
    assert reader.labels.tolist() == [0, 1, 2, 3, 4]


def test_npz_inputs_of_other_names_are_refused_with_both_lists(tmp_path: Path) -> None:
    inputs = (
        TensorSpec(name="ids", shape=(-1, 2), dtype="float32"),
        TensorSpec(name="mask", shape=(-1, 2), dtype="float32"),
    )
    samples = open_npz(tmp_path / "a.npz", ids=np.zeros((3, 2)), masks=np.zeros((3, 2)))
    with pytest.raises(DataError) as caught:
        dataset_of(samples, tmp_path / "drawn", inputs, AS_READ)
    assert "masks" in caught.value.found
    assert "'mask'" in caught.value.required


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_npz_value_that_is_not_finite_in_float32_names_the_sample(tmp_path: Path, value: float) -> None:
    array = np.zeros((5, 2))
    array[3, 1] = value
    samples = open_npz(tmp_path / "a.npz", x=array)
    samples.read(2)
    with pytest.raises(DataError, match="sample 3"):
        samples.read(3)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        pytest.param(np.array([0, -1, 2]), "-1", id="negative"),
        pytest.param(np.array([0.0, 1.0, 2.0]), "float64", id="float"),
        pytest.param(np.array(["a", "b", "c"]), "<U1", id="text"),
        pytest.param(np.array([0, 1]), "[2]", id="too few"),
        pytest.param(np.zeros((3, 2), int), "[3, 2]", id="one-hot"),
    ],
)
def test_npz_unusable_labels_are_refused(tmp_path: Path, labels: np.ndarray, named: str) -> None:
    with pytest.raises(DataError) as caught:
        open_npz(tmp_path / "a.npz", x=np.zeros((3, 2)), labels=labels)
    assert named in caught.value.found


def test_npz_named_labels_that_are_absent_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((3, 2)), label=np.arange(3))
    with pytest.raises(DataError, match=r"no array 'y'.*x, label"):
        open_source(NpzSource(kind="npz", path=path, labels="y"), AS_READ)
    samples = open_source(NpzSource(kind="npz", path=path, labels="label"), AS_READ)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2]


def test_npz_without_labels_is_read_from_a_configuration_that_was_sent_as_json(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((3, 2)))
    sent = NpzSource.model_validate_json(NpzSource(kind="npz", path=path).model_dump_json())
    assert open_source(sent, AS_READ).labels is None


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param({}, id="no array"),
        pytest.param({"labels": np.zeros(3, int)}, id="labels only"),
        pytest.param({"x": np.zeros((0, 3))}, id="no sample"),
        pytest.param({"x": np.float32(1)}, id="scalar"),
        pytest.param({"x": np.zeros((3, 2)), "y": np.zeros((4, 2))}, id="different lengths"),
        pytest.param({"x": np.array(["a", "b"])}, id="text"),
        pytest.param({"x": np.array([1, None])}, id="pickled objects"),
    ],
)
def test_npz_without_usable_samples_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError):
        open_npz(tmp_path / "a.npz", **arrays)


def damaged_npz() -> dict[str, bytes]:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.random.default_rng(0).normal(size=(500, 20)))
    whole = buffer.getvalue()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    array = io.BytesIO()
    np.save(array, np.zeros((3, 2)))
    return {
        "truncated": whole[: len(whole) // 2],
        "one byte changed": bytes(flipped),
        "text": b"hello",
        "empty": b"",
        "npy": array.getvalue(),
    }


@pytest.mark.parametrize("damage", list(damaged_npz()))
def test_npz_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.npz"
    path.write_bytes(damaged_npz()[damage])
    with pytest.raises(DataError, match=r"damaged\.npz"):
        open_source(NpzSource(kind="npz", path=path), AS_READ)


@settings(max_examples=60)
@given(
    array=hnp.arrays(
        dtype=st.sampled_from(["u1", "i1", "<i2", "<i4", "<f4", "<f8"]),
        shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
        elements={"allow_nan": False},
    ),
    zipped=st.booleans(),
)
def test_idx_any_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    raw = idx_bytes(array)
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@settings(max_examples=150)
@given(raw=st.binary(max_size=40) | st.binary(max_size=30).map(lambda tail: b"\0\0\x08\x02" + tail))
def test_idx_any_bytes_are_an_array_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(raw)
    try:
        found = read_idx(path)
    except DataError:
        return
    assert raw[4 : 4 + 4 * found.ndim] == struct.pack(f">{found.ndim}I", *found.shape)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: raw[:-1], id="one byte short"),
        pytest.param(lambda raw: raw + b"\0", id="one byte long"),
        pytest.param(lambda raw: b"\0\0\x07\x01" + raw[4:], id="unknown type"),
        pytest.param(lambda raw: raw[:6], id="header cut"),
        pytest.param(
            lambda raw: b"\0\0\x08\x04" + struct.pack(">4I", *[2**16] * 4), id="2^64 bytes declared"
        ),
        pytest.param(lambda raw: gzip.compress(raw)[:-9], id="gzip cut"),
        pytest.param(lambda raw: gzip.compress(raw)[:12] + b"\xff" * 12, id="gzip corrupt"),
    ],
)
def test_idx_damaged_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "t10k-labels"
    path.write_bytes(damage(idx_bytes(np.arange(50, dtype=np.uint8))))
    with pytest.raises(DataError, match="t10k-labels"):
        read_idx(path)


def test_idx_gray_digits_reach_a_one_channel_model(tmp_path: Path) -> None:
    digits = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx_bytes(digits)))
    (tmp_path / "labels").write_bytes(idx_bytes(np.arange(6, dtype=np.uint8)))
    source = IdxSource(kind="idx", images=tmp_path / "images.gz", labels=tmp_path / "labels")
    steps = Preprocessing(grayscale=True, scale=1 / 255)
    inputs = (TensorSpec(name="image", shape=(-1, 1, 28, 28), dtype="float32"),)
    reader = BatchReader(dataset_of(open_source(source, steps), tmp_path / "drawn", inputs, steps), inputs)
    (batch,) = reader.batches(6)
    np.testing.assert_allclose(batch["image"][:, 0], digits / 255, rtol=1e-6)


def make_images(count: int, labelled: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    images = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return images, np.arange(count) % 3 if labelled else None


def make_nothing() -> None:
    """A source that forgot to return."""


def make_failure() -> None:
    raise FileNotFoundError("my.csv")


def make_ragged() -> tuple[list[list[int]], None]:
    return [[1, 2], [3]], None


NOT_A_FUNCTION = 3


@pytest.mark.parametrize("labelled", [True, False])
def test_callable_gets_its_arguments(labelled: bool) -> None:
    source = CallableSource(
        kind="callable", function=f"{__name__}:make_images", arguments={"count": 5, "labelled": labelled}
    )
    samples = open_source(source, AS_READ)
    assert samples.count == 5
    assert (samples.labels is not None) == labelled


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        pytest.param("absent.module:load", {}, "absent", id="no module"),
        pytest.param(f"{__name__}:absent", {}, "absent", id="no function"),
        pytest.param(f"{__name__}:make_images", {"number": 5}, "number", id="wrong arguments"),
        pytest.param(f"{__name__}:make_nothing", {}, "NoneType", id="returns nothing"),
        pytest.param(f"{__name__}:make_failure", {}, r"FileNotFoundError: my\.csv", id="raises"),
        pytest.param(f"{__name__}:make_ragged", {}, "inhomogeneous", id="ragged"),
        pytest.param(f"{__name__}:NOT_A_FUNCTION", {}, "of type int", id="not a function"),
    ],
)
def test_callable_that_cannot_be_used_is_refused(
    function: str, arguments: dict[str, object], named: str
) -> None:
    with pytest.raises(DataError, match=named):
        open_source(CallableSource(kind="callable", function=function, arguments=arguments), AS_READ)


def make_clicks(
    words: int = 3, equal: bool = False, spoilt: bool = False, labels_each: bool = False
) -> tuple[dict[str, object], object]:
    """Two sequence inputs and a vector for 3 samples."""
    lengths = [2] * words if equal else range(1, words + 1)
    inputs: dict[str, object] = {
        "words": [np.full((length, 1), length) for length in lengths],
        "scores": [np.full((5 - length, 2), np.nan if spoilt else 0.5, np.float32) for length in (1, 2, 3)],
        "profile": np.arange(12, dtype=np.float32).reshape(3, 4),
    }
    return inputs, [np.zeros(length, np.int64) for length in (1, 2, 3)] if labels_each else np.array(
        [0, 1, 0]
    )


def clicks(**arguments: object) -> Samples:
    return open_source(
        CallableSource(kind="callable", function=f"{__name__}:make_clicks", arguments=arguments), AS_READ
    )


@pytest.mark.parametrize("equal", [False, True], ids=["different lengths", "one length"])
def test_callable_with_several_sequence_inputs_gives_each_sample_its_own(equal: bool) -> None:
    samples = clicks(equal=equal)
    assert samples.count == 3
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 0]
    last = samples.read(2)
    assert {name: value.shape for name, value in last.items()} == {
        "words": (2 if equal else 3, 1),
        "scores": (2, 2),
        "profile": (4,),
    }


def test_callable_with_several_sequence_inputs_may_label_every_step() -> None:
    samples = clicks(labels_each=True)
    assert samples.labels is None
    assert samples.sequence_labels is not None
    assert [len(each) for each in samples.sequence_labels] == [1, 2, 3]


def test_sequences_of_another_number_than_the_other_inputs_are_refused() -> None:
    with pytest.raises(DataError, match="'words': '4 arrays of different shapes'"):
        clicks(words=4)


def test_sequence_that_is_not_finite_is_named_by_its_sample() -> None:
    with pytest.raises(DataError, match=r"sample 1 of .*make_clicks"):
        clicks(spoilt=True).read(1)


def image_samples(count: int, side: int = 8) -> Samples:
    images = np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)

    def read(index: int) -> dict[str, np.ndarray]:
        return {ONLY_INPUT: images[index]}

    return Samples(count=count, labels=np.arange(count) % 4, read=read)


def test_materialise_keeps_pixels_uint8_and_normalises_on_reading(tmp_path: Path) -> None:
    steps = Preprocessing(scale=1 / 255)
    dataset = dataset_of(image_samples(5), tmp_path / "drawn", IMAGE, steps)
    stored = np.load(dataset.folder / "image.npy")
    assert stored.dtype == np.uint8
    assert stored.shape == (5, 8, 8, 3)
    (batch,) = BatchReader(dataset, IMAGE).batches(5)
    np.testing.assert_allclose(batch["image"], stored.transpose(0, 3, 1, 2) / 255, rtol=1e-6)


def test_materialise_only_the_chosen_in_their_order(tmp_path: Path) -> None:
    samples = image_samples(9)
    materialise(samples, np.array([1, 4, 7]), AS_READ, IMAGE, tmp_path, step="draw")
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy")[1], samples.read(4)[ONLY_INPUT])
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), [1, 0, 3])


def test_materialise_same_content_has_the_same_digest_and_one_bit_another(tmp_path: Path) -> None:
    def changed(index: int) -> dict[str, np.ndarray]:
        pixels = image_samples(4).read(index)[ONLY_INPUT].copy()
        pixels[0, 0, 0] ^= index == 2
        return {ONLY_INPUT: pixels}

    first = dataset_of(image_samples(4), tmp_path / "a", IMAGE, AS_READ)
    again = dataset_of(image_samples(4), tmp_path / "b", IMAGE, AS_READ)
    other = dataset_of(Samples(count=4, labels=np.arange(4), read=changed), tmp_path / "c", IMAGE, AS_READ)
    rescaled = dataset_of(image_samples(4), tmp_path / "d", IMAGE, Preprocessing(scale=0.5))
    assert first.digest == again.digest
    assert len({first.digest, other.digest, rescaled.digest}) == 3
    differs = [a != b for a, b in zip(sample_digests(first), sample_digests(other), strict=True)]
    assert differs == [False, False, True, False]


@pytest.mark.parametrize(
    ("side", "steps", "found"),
    [
        pytest.param(9, AS_READ, "[1, 3, 9, 9]", id="forgot resize"),
        pytest.param(8, Preprocessing(layout="NHWC"), "[1, 8, 8, 3]", id="wrong layout"),
        pytest.param(8, Preprocessing(dtype="as_is"), "uint8", id="forgot dtype"),
        pytest.param(8, Preprocessing(grayscale=True), "[1, 1, 8, 8]", id="one channel"),
    ],
)
def test_materialise_misfit_names_both_shapes_and_the_section(
    tmp_path: Path, side: int, steps: Preprocessing, found: str
) -> None:
    samples = open_npz(tmp_path / "a.npz", steps, x=make_images(2)[0].repeat(2, axis=1)[:, :side, :side])
    if side == 9:
        samples = image_samples(2, side=9)
    with pytest.raises(DataError) as caught:
        dataset_of(samples, tmp_path / "drawn", IMAGE, steps)
    assert found in caught.value.found
    assert "[-1, 3, 8, 8]" in caught.value.required
    assert "data.preprocessing" in caught.value.remedy


def test_materialise_pictures_of_several_sizes_say_which_sample(tmp_path: Path) -> None:
    inputs = (TensorSpec(name="image", shape=(-1, 3, -1, -1), dtype="float32"),)
    save_picture(tmp_path / "a.png", size=(8, 8))
    save_picture(tmp_path / "b.png", size=(9, 8))
    source = ImageFolderSource(kind="image_folder", root=tmp_path)
    with pytest.raises(DataError, match=r"b\.png"):
        dataset_of(open_source(source, AS_READ), tmp_path / "drawn", inputs, AS_READ)


def test_reader_limit_ends_within_a_batch(tmp_path: Path) -> None:
    reader = BatchReader(dataset_of(image_samples(10), tmp_path / "drawn", IMAGE, AS_READ), IMAGE)
    assert [len(batch["image"]) for batch in reader.batches(4, limit=6)] == [4, 2]
    assert [len(batch["image"]) for batch in reader.batches(4, limit=99)] == [4, 4, 2]


@pytest.mark.parametrize(("classes", "refused"), [(4, False), (3, True), (-1, False)])
def test_check_labels_beyond_the_models_classes(tmp_path: Path, classes: int, refused: bool) -> None:
    dataset = dataset_of(image_samples(8), tmp_path / "drawn", IMAGE, AS_READ)
    outputs = (TensorSpec(name="logits", shape=(-1, classes), dtype="float32"),)
    if not refused:
        check_labels(dataset, outputs)
        return
    with pytest.raises(DataError, match="label 3 in test, of sample 3"):
        check_labels(dataset, outputs)


def test_check_class_names_of_other_folders_are_refused_with_the_first_label_that_differs() -> None:
    trained = build_dataset(8, "a" * 64)
    named = [replace(trained, class_names=names) for names in (("cat", "dog", "owl"), ("cat", "owl"), ())]
    check_class_names(named[0], named[0])
    check_class_names(named[0], named[2])
    with pytest.raises(DataError, match=r"label 1 is the folder dog in .*, and owl in"):
        check_class_names(named[0], named[1])
    with pytest.raises(DataError, match=r"label 2 is the folder none in .*, and owl in"):
        check_class_names(replace(trained, class_names=("cat", "dog")), named[0])


@pytest.mark.parametrize(("classes", "said"), [(2, False), (3, True), (-1, False)])
def test_class_notes_say_that_the_model_has_other_classes_than_there_are_folders(
    classes: int, said: bool
) -> None:
    outputs = (TensorSpec(name="logits", shape=(-1, classes), dtype="float32"),)
    assert bool(class_notes(("cat", "dog"), outputs)) == said
    assert class_notes((), outputs) == ()


MEMORY_PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.data.dataset import materialise
from paddle_int8.tasks.data.sources.source import Samples
from paddle_int8.tasks.config.data import Preprocessing

def read(index):
    return {"": np.full((512, 512, 3), index % 256, np.uint8)}

inputs = (TensorSpec(name="image", shape=(-1, 3, 512, 512), dtype="float32"),)
folder, peaks = Path(sys.argv[1]), []
for count in (10, 300):
    samples = Samples(count=count, labels=None, read=read)
    materialise(samples, np.arange(count), Preprocessing(), inputs, folder, step="draw")
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""


def test_materialise_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path) -> None:
    """300 samples are 225 MiB; a tenth of that is the bound, in KiB."""
    program = [sys.executable, "-c", MEMORY_PROGRAM, str(tmp_path)]
    run = subprocess.run(
        program, capture_output=True, text=True, timeout=allowed(120), cwd=Path.cwd(), check=True
    )
    assert int(run.stdout) < 225 * 1024 // 10


FULL_DISK_PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from tests.unit.test_sources import AS_READ, IMAGE, image_samples
from paddle_int8.tasks.data.dataset import materialise

try:
    materialise(image_samples(20_000), np.arange(20_000), AS_READ, IMAGE, Path(sys.argv[1]), step="draw")
except OSError as error:
    print("OSError", error.errno)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_materialise_on_a_full_disk_is_an_error_and_not_a_dead_process(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a file system")
    try:
        program = [sys.executable, "-c", FULL_DISK_PROGRAM, str(tmp_path)]
        run = subprocess.run(program, capture_output=True, text=True, timeout=allowed(120), check=False)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["OSError", "28"]
