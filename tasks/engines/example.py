"""The files of a bundle's example: one batch of samples, and what the validated predictor answered."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

EXAMPLE_INPUT, EXAMPLE_OUTPUT = "example_input.npz", "example_output.npz"


def write_example(folder: Path, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
    """Writes both files of the example, with arrays by name. `numpy.savez` does not take every name."""
    for file, arrays in ((EXAMPLE_INPUT, inputs), (EXAMPLE_OUTPUT, outputs)):
        with zipfile.ZipFile(folder / file, "w") as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    np.save(stream, values, allow_pickle=False)
