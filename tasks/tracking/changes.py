"""The samples on which INT8 answers otherwise than FP32, as they were measured, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.data.dataset import sample_digests
from paddle_int8.tasks.showing.pictures import picture
from paddle_int8.tasks.showing.words import class_in_words
from paddle_int8.tasks.tracking.summary import focus
from paddle_int8.tasks.validation.comparison import DECIDED, SURENESS, UNDECIDED

SHOWN = 12
"""How many samples the report has at most."""
FP32, INT8 = "baseline", "candidate"


class Change(StrEnum):
    """What became of a sample, the worst first."""

    LOST = "lost"
    GAINED = "gained"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A class in words, and the share of it in percent; "" where the output has no scores."""

    said: str
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedSample:
    """A sample with both answers. `picture`: a data URI; None where the sample is no picture.

    label: None where the data have no label.
    """

    row: int
    name: str
    change: Change
    label: str | None
    fp32: Answered
    int8: Answered
    picture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How many of `samples` changed in which way, and those of them that are shown."""

    samples: int
    labelled: bool
    counts: Mapping[Change, int]
    shown: tuple[ChangedSample, ...]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def counted(self) -> str:
        """`17 lost (only FP32 is right), 4 gained (only INT8 is right), 6 other (both are wrong)`."""
        meaning = {
            Change.LOST: "only FP32 is right",
            Change.GAINED: "only INT8 is right",
            Change.OTHER: "both are wrong",
        }
        return ", ".join(f"{self.counts.get(each, 0)} {each} ({why})" for each, why in meaning.items())


def changes_of(release: Release) -> Changes | None:
    """The changed samples of the report's candidate, on the instruction set that serves.

    None where no output states one class for each sample, or where the scores of the samples are gone.
    """
    if (focused := focus(release)) is None:
        return None
    evidence = focused[0]
    outcomes = evidence.per_isa[0].outcomes
    if not outcomes.is_file():
        return None
    with np.load(outcomes) as stored:
        columns = {name: stored[name] for name in stored.files}
    if f"{DECIDED}/{INT8}" not in columns:
        return None
    found = changed(columns)
    return Changes(
        samples=len(columns[f"{DECIDED}/{INT8}"]),
        labelled=_labels(columns) is not None,
        counts=Counter(found.values()),
        shown=_shown(release, evidence, columns, dict(list(found.items())[:SHOWN])),
    )


def changed(columns: Mapping[str, Array]) -> dict[int, Change]:
    """How each changed sample changed, by its row: lost ones first, then gained ones, then all others.

    Among equals those come first in which FP32 and INT8 together were most sure.
    columns: as in `tasks.validation.comparison.Comparison.columns`.
    """
    fp32, int8 = columns[f"{DECIDED}/{FP32}"], columns[f"{DECIDED}/{INT8}"]
    labels = _labels(columns)
    right = [np.zeros(len(fp32), dtype=bool) if labels is None else each == labels for each in (fp32, int8)]
    kinds = np.select([right[0], right[1]], [0, 1], 2)
    nothing = np.zeros(len(fp32))
    sure = columns.get(f"{SURENESS}/{FP32}", nothing) + columns.get(f"{SURENESS}/{INT8}", nothing)
    ordered = np.lexsort((-sure, kinds))  # stable: of equal samples the first in the data comes first
    return {row: list(Change)[kinds[row]] for row in ordered[(fp32 != int8)[ordered]].tolist()}


def _labels(columns: Mapping[str, Array]) -> Array | None:
    labels = columns.get("label")
    return labels if labels is not None and labels.ndim == 1 else None


def _shown(
    release: Release, evidence: CandidateEvidence, columns: Mapping[str, Array], rows: Mapping[int, Change]
) -> tuple[ChangedSample, ...]:
    data = _data_of(release, evidence)
    labels, classes = _labels(columns), release.validation.class_names
    names = [each.name for each in sample_digests(data)] if data else []
    return tuple(
        ChangedSample(
            row=row,
            name=names[row] if names else "",
            change=change,
            label=None if labels is None else class_in_words(int(labels[row]), classes),
            fp32=_answered(columns, FP32, row, classes),
            int8=_answered(columns, INT8, row, classes),
            picture=picture(data, release.model, row) if data else None,
        )
        for row, change in rows.items()
    )


def _data_of(release: Release, evidence: CandidateEvidence) -> DatasetArtifact | None:
    """The samples that the candidate was measured on; None where they are not those of the release.

    A search measures on a part of the samples, of which the release keeps only the part for the confirmation.
    """
    data = release.validation
    return data if data.digest == evidence.validation_digest and data.folder.is_dir() else None


def _answered(columns: Mapping[str, Array], subject: str, row: int, classes: tuple[str, ...]) -> Answered:
    decided, shares = int(columns[f"{DECIDED}/{subject}"][row]), columns.get(f"{SURENESS}/{subject}")
    if decided == UNDECIDED:
        return Answered(said="NaN or infinity", share="")
    share = "" if shares is None else f"{100 * shares[row]:.1f} %"
    return Answered(said=class_in_words(decided, classes), share=share)
