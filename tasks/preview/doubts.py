"""What speaks against a release, found in FP32's answers to a few samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.wording import points
from paddle_int8.tasks.gate.criteria import required_of_baseline_pp
from paddle_int8.tasks.gate.plan import Plan
from paddle_int8.tasks.gate.sufficiency import too_few
from paddle_int8.tasks.preview.findings import Doubt
from paddle_int8.tasks.showing.words import class_in_words

CLEAR_SHARE = 0.5
"""Another order of the classes is believed when FP32 is right on this share of the samples with it."""
ONE_CLASS_SHARE = 0.9
STANDARD_ERRORS = 3.0
SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What FP32 decided on samples whose class is known; each list has an entry a sample."""

    decisions: Sequence[int]
    labels: Sequence[int]
    classes: int
    names: Sequence[str] = ()

    @property
    def right(self) -> int:
        return agreeing(self.decisions, self.labels)


def agreeing(decisions: Sequence[int], labels: Sequence[int]) -> int:
    """On how many samples the decision is the label."""
    return sum(one == other for one, other in zip(decisions, labels, strict=True))


def doubts(
    labelled: Labelled | None,
    decisions_with: Mapping[str, Sequence[int]],
    plan: Plan,
    *,
    calibration_samples: int,
) -> Iterator[Doubt]:
    """Every doubt, the decisive ones first where both are known.

    labelled: None where the labels belong to no output of classes.
    decisions_with: what FP32 decides with another preprocessing, by its words.
    plan: the test that the release plans. calibration_samples: how many it calibrates on.
    """
    if warning := too_few(plan.samples, plan.gate, calibration_samples):
        said, _, remedy = warning.partition(". ")
        yield Doubt(said=said, remedy=remedy, decisive=True)
    if labelled is None or not labelled.labels:
        return
    yield from _rarely_right(labelled, plan.gate)
    another_order = list(_another_order(labelled))
    yield from another_order
    yield from _one_class(labelled)
    if not another_order:  # with labels in a wrong order no preprocessing can be compared
        yield from _another_preprocessing(labelled, decisions_with)


def order_of_classes(labelled: Labelled) -> dict[int, int] | None:
    """The class that FP32 answers for each label, where another order of the classes explains its answers.

    That is the assignment of labels to classes that makes FP32 right most often (Kuhn 1955, "The Hungarian
    method"). It is None where the order of the data is as good, or where no order makes FP32 right on
    `CLEAR_SHARE` of the samples and twice as often.
    """
    counts = np.zeros((labelled.classes, labelled.classes), dtype=np.int64)
    np.add.at(counts, (list(labelled.labels), list(labelled.decisions)), 1)
    given, answered = linear_sum_assignment(counts, maximize=True)
    right = int(counts[given, answered].sum())
    if right < CLEAR_SHARE * len(labelled.labels) or right < 2 * labelled.right:
        return None
    seen = sorted(set(labelled.labels))
    order = dict(zip(given.tolist(), answered.tolist(), strict=True))
    return {label: order[label] for label in seen}


def _rarely_right(labelled: Labelled, gate: GateConfig) -> Iterator[Doubt]:
    share_pp, required_pp = 100 * labelled.right / len(labelled.labels), required_of_baseline_pp(gate)
    if share_pp < required_pp:
        yield Doubt(
            said=f"FP32 is right on {labelled.right} of {len(labelled.labels)} samples ({share_pp:.1f} %); a "
            f"margin of {points(f'{gate.max_drop_pp:g}')} needs {required_pp:g} %",
            remedy="make labels, their order and the preprocessing those of the training",
            decisive=True,
        )


def _another_order(labelled: Labelled) -> Iterator[Doubt]:
    order = order_of_classes(labelled)
    if order is None:
        return
    moved = {label: found for label, found in order.items() if label != found}
    steps = {found - label for label, found in order.items()}
    if len(steps) == 1:
        said = f"FP32's answers are the labels {'plus' if min(steps) > 0 else 'minus'} {abs(min(steps))}"
    else:
        pairs = [
            f"{class_in_words(label, labelled.names)} is {found} in the model"
            for label, found in list(moved.items())[:SHOWN]
        ]
        more = ", …" if len(moved) > SHOWN else ""
        said = f"FP32's answers fit another order of the classes: label {', '.join(pairs)}{more}"
    yield Doubt(
        said=said,
        remedy="run `paddle-int8 init` again with `--classes`, which takes the names of the classes in the "
        "order of the training; or number the labels so in the `list_file`",
        decisive=False,
    )


def _one_class(labelled: Labelled) -> Iterator[Doubt]:
    (answer, times), *_ = Counter(labelled.decisions).most_common(1)
    if len(set(labelled.labels)) > 1 and times >= ONE_CLASS_SHARE * len(labelled.decisions):
        yield Doubt(
            said=f"FP32 answers class {answer} to {times} of {len(labelled.decisions)} samples",
            remedy="check `data.preprocessing`: `scale`, `mean` and `std` must be those of the training",
            decisive=False,
        )


def _another_preprocessing(
    labelled: Labelled, decisions_with: Mapping[str, Sequence[int]]
) -> Iterator[Doubt]:
    """The best alternative, when it is right more often than chance explains.

    Its lead is compared with `STANDARD_ERRORS` standard errors, which are of the samples on which only one of
    the two is right (McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions").
    """
    right_with = {words: agreeing(found, labelled.labels) for words, found in decisions_with.items()}
    words, right = max(right_with.items(), key=lambda each: each[1], default=("", 0))
    if not words:
        return
    triples = zip(labelled.labels, labelled.decisions, decisions_with[words], strict=True)
    differing = sum((label == one) != (label == other) for label, one, other in triples)
    if right - labelled.right > STANDARD_ERRORS * np.sqrt(differing):
        yield Doubt(
            said=f"FP32 is right on {right} of {len(labelled.labels)} samples, instead of {labelled.right}, "
            f"with the preprocessing {words}",
            remedy="use that of the training in `data.preprocessing`"
            if "order" not in words
            else "use that of the training; a function of yours (`kind: callable`) can turn the channels",
            decisive=False,
        )
