"""The two parts of the validation samples: what a search sees, and what confirms."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.dataset import lengths_file
from paddle_int8.tasks.data.parts import in_search, part_of, write_part
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.data.sampling import DrawnSample
from tests.release_factory import build_dataset

INPUTS = (TensorSpec(name="x", shape=(-1, 3), dtype="float32"),)
SEQUENCE = (TensorSpec(name="words", shape=(-1, 1), dtype="int64", sequence=True),)


def drawn(count: int) -> list[DrawnSample]:
    return [
        DrawnSample(digest=hashlib.sha256(str(index).encode()).hexdigest(), name=f"sample {index}")
        for index in range(count)
    ]


def stored(folder: Path, arrays: dict[str, np.ndarray], labels: np.ndarray) -> DatasetArtifact:
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "labels.npy", labels)
    (folder / "preprocessing.json").write_text(Preprocessing(layout="as_is", dtype="as_is").model_dump_json())
    samples = drawn(len(labels))
    names = {
        "sample_digests": [each.digest for each in samples],
        "sample_names": [each.name for each in samples],
    }
    (folder / "samples.json").write_text(json.dumps(names))
    return replace(build_dataset(len(labels), "v"), folder=folder)


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_parts_have_about_their_shares_and_each_sample_one_part(share: float) -> None:
    searched = in_search(drawn(10_000), share)
    assert np.mean(searched) == pytest.approx(share, abs=0.02)
    assert in_search(drawn(20_000), share)[:10_000] == searched  # more data move no sample


def test_parts_hold_the_samples_with_their_labels(tmp_path: Path) -> None:
    values = np.arange(30, dtype=np.float32).reshape(10, 3)
    whole = stored(tmp_path / "whole", {"x": values}, np.arange(10))
    for rows in (np.array([1, 4, 9]), np.array([0, 2])):
        folder = tmp_path / str(len(rows))
        folder.mkdir()
        part = part_of(whole, write_part(whole, INPUTS, rows, folder, "part"), folder)
        reader = BatchReader(part, INPUTS)
        np.testing.assert_array_equal(np.concatenate([each["x"] for each in reader.batches(2)]), values[rows])
        assert reader.labels is not None
        np.testing.assert_array_equal(reader.labels, rows)
        assert part.samples == len(rows)
        assert part.digest not in ("", whole.digest)


def test_parts_of_sequences_keep_lengths_and_the_labels_of_each_step(tmp_path: Path) -> None:
    lengths = np.array([2, 1, 3])
    steps = np.arange(6, dtype=np.int64).reshape(6, 1)
    labels = np.array([[1, 2, -1], [3, -1, -1], [4, 5, 6]])
    whole = stored(tmp_path / "whole", {"words": steps}, labels)
    np.save(lengths_file(tmp_path / "whole" / "words.npy"), lengths)
    folder = tmp_path / "part"
    folder.mkdir()
    part = part_of(whole, write_part(whole, SEQUENCE, np.array([0, 2]), folder, "part"), folder)
    reader = BatchReader(part, SEQUENCE)
    (batch,) = reader.batches(2)
    np.testing.assert_array_equal(batch["words"][..., 0], [[0, 1, 0], [3, 4, 5]])
    assert reader.labels is not None
    np.testing.assert_array_equal(reader.labels, [[1, 2, -1], [4, 5, 6]])


def test_part_without_a_sample_is_refused(tmp_path: Path) -> None:
    whole = stored(tmp_path / "whole", {"x": np.zeros((2, 3), np.float32)}, np.arange(2))
    with pytest.raises(DataError, match="search_share"):
        write_part(whole, INPUTS, np.array([], dtype=np.int64), tmp_path, "part")
