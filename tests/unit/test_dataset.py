"""Drawn data on disk: names, digests and the overlap of two draws. test_sources.py has the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.dataset import check_labels, materialise, sample_digests
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.data.sampling import check_disjoint
from paddle_int8.tasks.data.sources import open_source
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource
from paddle_int8.tasks.data.sources.npz import NpzSource

IMAGE = (TensorSpec(name="image", shape=(-1, 3, 8, 8), dtype="float32"),)
AS_READ = Preprocessing()


def drawn_from(
    source: Source,
    folder: Path,
    inputs: tuple[TensorSpec, ...] = IMAGE,
    preprocessing: Preprocessing = AS_READ,
) -> DatasetArtifact:
    folder.mkdir()
    samples = open_source(source, preprocessing)
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


def npz(path: Path, **arrays: np.ndarray) -> NpzSource:
    np.savez(path, **arrays)  # type: ignore[arg-type] # NumPy's stubs take `allow_pickle` for an array
    return NpzSource(kind="npz", path=path)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def test_overlap_is_found_by_content_across_kinds_of_source(tmp_path: Path) -> None:
    pixels = pictures(4)
    root = tmp_path / "pictures"
    root.mkdir()
    Image.fromarray(pixels[2]).save(root / "copy.png")
    calibration = drawn_from(npz(tmp_path / "calibration.npz", x=pixels), tmp_path / "a")
    validation = drawn_from(ImageFolderSource(kind="image_folder", root=root), tmp_path / "b")
    with pytest.raises(DataError, match=r"calibration\.npz\[2\] = .*copy\.png"):
        check_disjoint(sample_digests(calibration), sample_digests(validation))


def test_overlap_of_equal_bytes_in_another_shape_is_none(tmp_path: Path) -> None:
    inputs = (TensorSpec(name="x", shape=(-1, -1, -1), dtype="float32"),)
    calibration = drawn_from(npz(tmp_path / "a.npz", x=np.zeros((1, 2, 3))), tmp_path / "a", inputs)
    validation = drawn_from(npz(tmp_path / "b.npz", x=np.zeros((1, 3, 2))), tmp_path / "b", inputs)
    check_disjoint(sample_digests(calibration), sample_digests(validation))


def test_samples_json_holds_digests_and_names_by_row(tmp_path: Path) -> None:
    drawn = drawn_from(npz(tmp_path / "a.npz", x=pictures(3)), tmp_path / "drawn")
    written = json.loads((drawn.folder / "samples.json").read_text())
    assert [len(digest) for digest in written["sample_digests"]] == [64, 64, 64]
    assert written["sample_names"] == [f"{tmp_path / 'a.npz'}[{row}]" for row in range(3)]


def test_input_name_that_is_no_file_name_is_written_and_read(tmp_path: Path) -> None:
    inputs = (
        TensorSpec(name="encoder/ids:0", shape=(-1, 2), dtype="float32"),
        TensorSpec(name="../mask", shape=(-1, 2), dtype="float32"),
    )
    arrays = {"encoder/ids:0": np.full((3, 2), 1.0), "../mask": np.full((3, 2), 2.0)}
    drawn = drawn_from(npz(tmp_path / "a.npz", **arrays), tmp_path / "drawn", inputs)
    (batch,) = BatchReader(drawn, inputs).batches(3)
    assert {name: values.max() for name, values in batch.items()} == {"encoder/ids:0": 1, "../mask": 2}
    assert not (tmp_path / "mask.npy").exists()


def test_input_called_labels_is_refused_as_the_labels_would_overwrite_it(tmp_path: Path) -> None:
    inputs = (TensorSpec(name="labels", shape=(-1, 2), dtype="float32"),)
    with pytest.raises(DataError, match="model input called 'labels'"):
        drawn_from(npz(tmp_path / "a.npz", x=np.zeros((3, 2))), tmp_path / "drawn", inputs)


def test_one_input_for_a_model_with_two_names_both(tmp_path: Path) -> None:
    inputs = tuple(TensorSpec(name=name, shape=(-1, 2), dtype="float32") for name in ("ids", "mask"))
    with pytest.raises(DataError, match="one unnamed input") as caught:
        drawn_from(npz(tmp_path / "a.npz", x=np.zeros((3, 2))), tmp_path / "drawn", inputs)
    assert "['ids', 'mask']" in caught.value.required


def test_array_under_another_name_than_the_input_names_both_and_suggests(tmp_path: Path) -> None:
    inputs = tuple(TensorSpec(name=name, shape=(-1, 2), dtype="float32") for name in ("input_ids", "mask"))
    arrays = {"inputs_id": np.zeros((3, 2)), "mask": np.zeros((3, 2))}
    with pytest.raises(DataError) as caught:
        drawn_from(npz(tmp_path / "a.npz", **arrays), tmp_path / "drawn", inputs)
    assert caught.value.found == "inputs ['inputs_id', 'mask'] in the data"
    assert caught.value.required == "the model's inputs ['input_ids', 'mask']"
    assert caught.value.remedy.endswith("; inputs_id: did you mean `input_ids`?")


def test_float64_arrays_reach_a_float32_model(tmp_path: Path) -> None:
    inputs = (TensorSpec(name="x", shape=(-1, 5), dtype="float32"),)
    values = np.random.default_rng(0).normal(size=(7, 5))
    drawn = drawn_from(npz(tmp_path / "a.npz", x=values), tmp_path / "drawn", inputs)
    batches = [batch["x"] for batch in BatchReader(drawn, inputs).batches(3)]
    assert [batch.dtype for batch in batches] == [np.float32] * 3
    np.testing.assert_array_equal(np.concatenate(batches), values.astype(np.float32))


def test_channels_first_array_whose_last_side_looks_like_channels_needs_as_is(tmp_path: Path) -> None:
    inputs = (TensorSpec(name="x", shape=(-1, 16, 20, 1), dtype="float32"),)
    source = npz(tmp_path / "a.npz", x=np.zeros((2, 16, 20, 1), np.float32))
    with pytest.raises(DataError, match="layout: as_is"):
        drawn_from(source, tmp_path / "transposed", inputs)
    drawn = drawn_from(source, tmp_path / "drawn", inputs, Preprocessing(layout="as_is"))
    (batch,) = BatchReader(drawn, inputs).batches(2)
    assert batch["x"].shape == (2, 16, 20, 1)


def test_reader_maps_files_instead_of_loading_them(tmp_path: Path) -> None:
    steps = Preprocessing(layout="as_is", dtype="as_is")
    inputs = (TensorSpec(name="x", shape=(-1, 8, 8, 3), dtype="uint8"),)
    drawn = drawn_from(npz(tmp_path / "a.npz", x=pictures(6)), tmp_path / "drawn", inputs, steps)
    (batch,) = BatchReader(drawn, inputs).batches(6)
    assert isinstance(batch["x"].base, np.memmap)


@pytest.mark.parametrize(("limit", "sizes"), [(0, []), (4, [4]), (5, [4, 1]), (None, [4, 4, 2])])
def test_reader_last_batch_is_partial_and_limit_is_exact(
    tmp_path: Path, limit: int | None, sizes: list[int]
) -> None:
    drawn = drawn_from(npz(tmp_path / "a.npz", x=pictures(10)), tmp_path / "drawn")
    reader = BatchReader(drawn, IMAGE)
    assert len(reader) == 10
    assert reader.labels is None
    assert [len(batch["image"]) for batch in reader.batches(4, limit)] == sizes


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((-1, 2, 8, 8), id="maps"),
        pytest.param((-1, 100, 6), id="boxes"),
        pytest.param((-1, 1), id="regression"),
        pytest.param((), id="scalar"),
    ],
)
def test_check_labels_output_that_is_not_classes_says_nothing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    source = npz(tmp_path / "a.npz", x=pictures(3), labels=np.array([0, 500, 3]))
    drawn = drawn_from(source, tmp_path / "drawn")
    check_labels(drawn, (TensorSpec(name="out", shape=shape, dtype="float32"),))
