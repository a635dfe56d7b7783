"""What a check doubts: the order of the classes, the preprocessing, the number of samples."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.data.preprocessing import normalise
from paddle_int8.tasks.gate.plan import Plan
from paddle_int8.tasks.preview.alternatives import USUAL, Alternative, alternatives
from paddle_int8.tasks.preview.doubts import Labelled, doubts, order_of_classes
from paddle_int8.tasks.preview.findings import Doubt

CLASSES = 5
LABELS = [number % CLASSES for number in range(100)]


def known(decisions: list[int], names: tuple[str, ...] = ()) -> Labelled:
    return Labelled(decisions=decisions, labels=LABELS, classes=CLASSES, names=names)


def right_on(count: int) -> list[int]:
    """Decisions of which the first `count` are right, and the others are spread over the other classes."""
    return [
        label if place < count else (label + 1 + place % 4) % CLASSES for place, label in enumerate(LABELS)
    ]


def found(labelled: Labelled | None, samples: int = 1000, **others: list[int]) -> list[Doubt]:
    plan = Plan(samples=samples, candidates=1, gate=GateConfig())
    return list(doubts(labelled, others, plan, calibration_samples=64))


def test_model_that_is_right_leaves_no_doubt() -> None:
    assert found(known(LABELS), other=LABELS) == []


def test_labels_that_count_from_one_are_told_as_a_shift() -> None:
    shifted = known([(label + 1) % CLASSES if label < CLASSES - 1 else label for label in LABELS])
    order = order_of_classes(known([(label + 1) % CLASSES for label in LABELS]))
    assert order == {0: 1, 1: 2, 2: 3, 3: 4, 4: 0}
    assert any("another order of the classes" in each.said for each in found(shifted))


def test_labels_shifted_by_one_throughout_are_told_in_one_sentence() -> None:
    labelled = Labelled(
        decisions=[each % 4 + 1 for each in range(100)], labels=[each % 4 for each in range(100)], classes=5
    )
    assert "FP32's answers are the labels plus 1" in [each.said for each in found(labelled)]


def test_classes_in_another_order_are_named_with_their_folders() -> None:
    swapped = {0: 3, 3: 0}
    labelled = known([swapped.get(label, label) for label in LABELS], ("ant", "bee", "cat", "dog", "eel"))
    assert (
        order_of_classes(labelled) is None
    )  # three of five are right: as likely two classes that are confused
    turned = known([(label + 2) % CLASSES for label in LABELS], ("ant", "bee", "cat", "dog", "eel"))
    said = [each.said for each in found(turned)]
    assert any("label 0 ant is 2 in the model, 1 bee is 3 in the model" in each for each in said)


def test_preprocessings_are_not_compared_while_the_order_is_wrong() -> None:
    turned = known([(label + 2) % CLASSES for label in LABELS])
    assert not any("preprocessing" in each.said for each in found(turned, other=right_on(60)))


def test_answers_at_random_fit_no_order() -> None:
    decisions = np.random.default_rng(0).integers(0, CLASSES, len(LABELS)).tolist()
    assert order_of_classes(known(decisions)) is None


def test_one_class_for_everything_is_doubted_and_release_cannot_decide() -> None:
    told = found(known([0] * len(LABELS)))
    assert any("answers class 0 to 100 of 100 samples" in each.said for each in told)
    assert not any(each.decisive for each in told)  # right on 20 %, and the margin of one point needs 10 %


def test_model_right_too_rarely_for_the_margin_is_decisive() -> None:
    told = [each for each in found(known(right_on(9))) if each.decisive]
    assert [each.said for each in told] == [
        "FP32 is right on 9 of 100 samples (9.0 %); a margin of 1 point needs 10 %"
    ]


@pytest.mark.parametrize(("samples", "decisive"), [(298, True), (299, False)])
def test_too_few_samples_are_decisive_up_to_the_last_one_missing(samples: int, decisive: bool) -> None:
    assert any(each.decisive for each in found(known(LABELS), samples=samples)) == decisive
    assert any(each.decisive for each in found(None, samples=samples)) == decisive


@pytest.mark.parametrize(("right", "doubted"), [(39, False), (40, True)], ids=["by chance", "clearly"])
def test_another_preprocessing_is_told_where_its_lead_is_no_chance(right: int, doubted: bool) -> None:
    said = [each.said for each in found(known(right_on(30)), mean=right_on(right))]
    assert any(f"right on {right} of 100 samples, instead of 30" in each for each in said) == doubted


def test_alternatives_leave_out_the_configured_one_and_try_its_colours_reversed() -> None:
    configured = Preprocessing(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    words = [each.words for each in alternatives(configured, 3)]
    assert len(words) == len(set(words)) == 2 * (len(USUAL) - 1) + 1
    assert sum("mean: [0.485" in each for each in words) == 1


def test_alternatives_of_grey_pictures_have_one_number_for_each() -> None:
    assert all(len(each.preprocessing.mean) < 2 for each in alternatives(Preprocessing(), 1))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_reversed_colours_are_those_of_a_picture_read_as_blue_green_red(layout: str) -> None:
    given = Preprocessing.model_validate(
        {"scale": 1 / 255, "mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 3.0), "layout": layout}
    )
    pictures = np.random.default_rng(1).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    turned = Alternative(preprocessing=given, reversed_colours=True)
    assert np.array_equal(
        turned.turned(normalise(pictures, turned.arithmetic())), normalise(pictures[..., ::-1], given)
    )
