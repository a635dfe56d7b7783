"""Tries preprocessings on labelled pictures: with the right one, FP32 is right most often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.artifacts import HostProfile, ModelArtifact
from paddle_int8.tasks.drafting.fitting import ARITHMETIC
from paddle_int8.tasks.preview.alternatives import Alternative
from paddle_int8.tasks.preview.check import answers_of, made, open_samples
from paddle_int8.tasks.preview.doubts import Labelled, agreeing, order_of_classes

CLEAR_LEAD = 2.0
"""A preprocessing is believed when FP32 is right this many times as often as by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What FP32 decided on labelled pictures with one preprocessing.

    order: the class that it answers for each label, where its answers fit another order of the classes.
    """

    placement: str
    arithmetic: str
    known: Labelled
    order: Mapping[int, int] | None

    @property
    def right(self) -> int:
        """On how many samples it is right, in the order of the classes that fits."""
        if self.order is None:
            return self.known.right
        return agreeing(self.known.decisions, [self.order[label] for label in self.known.labels])

    @property
    def samples(self) -> int:
        return len(self.known.labels)

    @property
    def clear(self) -> bool:
        return self.right * self.known.classes > CLEAR_LEAD * self.samples


def tried(
    config: ReleaseConfig,
    host: HostProfile,
    model: ModelArtifact,
    folder: Path,
    placement: str,
    names: Sequence[str],
) -> list[Trial]:
    """FP32 on the samples of the validation, as `config` places them, with each arithmetic in `names`."""
    opened = open_samples(config, host, model, made(folder))
    plain = {"scale": 1.0, "mean": (), "std": ()}
    given = config.data.preprocessing
    others = {
        name: Alternative(preprocessing=given.model_copy(update=plain | ARITHMETIC[name])) for name in names
    }
    answers = answers_of(opened, tuple(others.values()))
    trials = []
    for name, other in others.items():
        if (decisions := answers.decisions_with.get(other.words)) is not None:
            known = Labelled(decisions=decisions, labels=answers.labels, classes=answers.number_of_classes)
            order = order_of_classes(known)
            trials.append(Trial(placement=placement, arithmetic=name, known=known, order=order))
    return trials
