"""What `init` finds in the data that it is given: samples, of one kind, and which part of them does what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.errors import DataError

MOST_CALIBRATION, CALIBRATION_SHARE = 64, 5
"""Calibration takes a fifth of the samples, and no more than 64."""


Source = dict[str, str | int | Path]
"""The keys of a section that names samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Samples that a configuration can name.

    source: the keys of the section that names them; paths are absolute.
    words: what they are, for a person.
    class_names: names of the class folders, by number.
    """

    source: Source
    words: str
    samples: int
    labelled: bool
    class_names: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.source["kind"])

    def path(self, key: str) -> Path:
        """The path under a key of `source`."""
        return Path(str(self.source[key]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The data of a release: a part to calibrate on and a part to validate on, or one whole to be split."""

    calibration: Found | None
    validation: Found

    @property
    def whole(self) -> bool:
        return self.calibration is None


def calibration_samples(total: int) -> int:
    """How many of all samples calibrate when they must be split."""
    return max(1, min(MOST_CALIBRATION, total // CALIBRATION_SHARE))


def unknown(path: Path, found: str) -> DataError:
    return DataError(
        found=f"{path}: {found}",
        required="class folders of pictures, a list of pictures, a folder of pictures, an .npz, IDX files, "
        "tagged text, or an archive of one of them",
        remedy="see docs/reference/configuration.md; for anything else write a function that returns the "
        "samples, and name it with `kind: callable`",
    )
