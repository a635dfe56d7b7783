"""How well two answers agree, according to what an output holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.agreement import SCORES, agreements, alike, least
from paddle_int8.tasks.validation.outputs import (
    decides_once,
    judged_output,
    possible,
    require_known,
    with_labels,
)

SHAPES = {
    OutputKind.CLASSES: (3, 4),
    OutputKind.STEPS: (3, 5, 4),
    OutputKind.PIXELS: (3, 4, 2, 2),
    OutputKind.FLAGS: (3, 4),
    OutputKind.EMBEDDING: (3, 4),
    OutputKind.DECISIONS: (3, 4),
    OutputKind.BOXES: (3, 5, 6),
}


def output(kind: OutputKind, **fields: Any) -> JudgedOutput:
    axis = {OutputKind.STEPS: 2}.get(kind, 1)
    return JudgedOutput(name=kind, kind=kind, why="", **({"axis": axis} | fields))


def spec(values: np.ndarray, **fields: Any) -> TensorSpec:
    return TensorSpec(name="out", shape=(-1, *values.shape[1:]), dtype=values.dtype.name, **fields)


def judged(values: np.ndarray, end: str = "", **fields: Any) -> JudgedOutput:
    return judged_output(spec(values), values, end=end, labels=fields.pop("labels", None), **fields)


finite = st.floats(-1e6, 1e6, width=32)


@pytest.mark.parametrize("kind", SCORES, ids=str)
@given(data=st.data())
def test_agreement_of_identical_answers_is_one(kind: OutputKind, data: st.DataObject) -> None:
    values = data.draw(arrays.arrays(np.float32, SHAPES[kind], elements=finite))
    assert alike(values, values.copy(), output(kind)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", SCORES, ids=str)
@given(data=st.data())
def test_agreement_is_within_zero_and_one_and_symmetric(kind: OutputKind, data: st.DataObject) -> None:
    anything = st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
    ours, theirs = (data.draw(arrays.arrays(np.float32, SHAPES[kind], elements=anything)) for _ in "ab")
    scores = alike(ours, theirs, output(kind))
    assert ((scores >= 0) & (scores <= 1)).all()
    broken = ~(np.isfinite(ours).reshape(3, -1).all(1) & np.isfinite(theirs).reshape(3, -1).all(1))
    assert not scores[broken].any()
    if kind is not OutputKind.BOXES:  # which are matched greedily
        assert alike(theirs, ours, output(kind)) == pytest.approx(scores)


@given(st.permutations(range(4)), st.integers(0, 3))
def test_agreement_of_permuted_classes_is_that_of_the_class_that_stays(order: list[int], best: int) -> None:
    values = np.eye(4)[[best]]
    assert alike(values[:, order], values, output(OutputKind.CLASSES)).tolist() == [
        float(order[best] == best)
    ]


@pytest.mark.parametrize("kind", SCORES, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf], ids=["nan", "inf"])
def test_agreement_of_a_sample_that_is_not_finite_is_zero(kind: OutputKind, bad: float) -> None:
    values = np.ones(SHAPES[kind])
    broken = values.copy()
    broken[(1, *(0 for _ in SHAPES[kind][1:]))] = bad
    assert alike(broken, values, output(kind)).tolist() == [1.0, 0.0, 1.0]
    assert alike(values, broken, output(kind)).tolist() == [1.0, 0.0, 1.0]
    assert alike(broken, broken, output(kind)).tolist() == [1.0, 0.0, 1.0]


def test_agreement_of_equal_scores_takes_the_lower_class() -> None:
    tied, first, second = (
        np.array([[1.0, 1.0, 0.0]]),
        np.array([[2.0, 1.0, 0.0]]),
        np.array([[0.0, 1.0, 0.0]]),
    )
    assert alike(tied, first, output(OutputKind.CLASSES)).tolist() == [1.0]
    assert alike(tied, second, output(OutputKind.CLASSES)).tolist() == [0.0]


def test_agreement_of_steps_is_their_share_within_the_length() -> None:
    theirs = np.eye(3)[[[0, 1, 2, 0], [0, 0, 0, 0]]]
    ours = np.eye(3)[[[0, 2, 2, 0], [0, 0, 0, 0]]]
    steps = output(OutputKind.STEPS, sequence=True)
    assert alike(ours, theirs, steps).tolist() == [0.75, 1.0]
    (found,) = agreements([ours], [theirs], [steps], np.array([2, 1]))
    assert found is not None
    assert found.tolist() == [0.5, 1.0]
    (unpadded,) = agreements([ours], [theirs], [output(OutputKind.STEPS)], np.array([2, 1]))
    assert unpadded is not None
    assert unpadded.tolist() == [0.75, 1.0]


def test_agreement_of_a_map_is_the_share_of_its_pixels() -> None:
    theirs = np.moveaxis(np.eye(19)[np.zeros((2, 4, 5), dtype=int)], 3, 1)
    ours = theirs.copy()
    ours[1, 7, 0, :] = 2.0  # one row of four is another class
    assert alike(ours, theirs, output(OutputKind.PIXELS)).tolist() == [1.0, 0.75]
    last = output(OutputKind.PIXELS, axis=3)
    assert alike(np.moveaxis(ours, 1, 3), np.moveaxis(theirs, 1, 3), last).tolist() == [1.0, 0.75]


def test_agreement_of_a_map_of_one_probability_is_decided_at_its_threshold() -> None:
    theirs, ours = np.array([[[[0.5, 0.6]]]]), np.array([[[[0.51, 0.9]]]])
    assert alike(ours, theirs, output(OutputKind.PIXELS, threshold=0.5)).tolist() == [0.5]


def test_agreement_of_embeddings_is_their_cosine() -> None:
    theirs = np.array([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    ours = np.array([[6.0, 8.0], [0.0, 5.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    scores = alike(ours, theirs, output(OutputKind.EMBEDDING))
    assert scores == pytest.approx([1.0, 0.0, 0.0, 1.0, 0.0])


def test_agreement_of_embeddings_of_steps_is_the_mean_of_their_cosines() -> None:
    theirs, ours = np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([[[1.0, 0.0], [1.0, 0.0]]])
    assert alike(ours, theirs, output(OutputKind.EMBEDDING)).tolist() == [0.5]


BOX = [1, 0.9, 0, 0, 10, 10]
NOTHING = [-1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ([BOX, NOTHING], [BOX, NOTHING], 1.0),
        ([NOTHING, BOX], [BOX, NOTHING], 1.0),
        ([[1, 0.9, 0, 0, 10, 5], NOTHING], [BOX, NOTHING], 1.0),
        ([[1, 0.9, 0, 0, 10, 4.9], NOTHING], [BOX, NOTHING], 0.0),
        ([[2, 0.9, 0, 0, 10, 10], NOTHING], [BOX, NOTHING], 0.0),
        ([[1, 0.5, 0, 0, 10, 10], NOTHING], [BOX, NOTHING], 0.0),
        ([BOX, BOX], [BOX, NOTHING], 2 / 3),
        ([NOTHING, NOTHING], [NOTHING, NOTHING], 1.0),
        ([NOTHING, NOTHING], [BOX, NOTHING], 0.0),
    ],
    ids=["same", "order", "half", "less than half", "class", "unsure", "twice", "nothing", "missed"],
)
def test_agreement_of_boxes_is_their_f1(ours: list[Any], theirs: list[Any], found: float) -> None:
    boxes = output(OutputKind.BOXES, threshold=0.5)
    scores = alike(np.array([ours], dtype=float), np.array([theirs], dtype=float), boxes)
    assert scores == pytest.approx([found])


def test_least_is_that_of_each_sample_over_the_outputs_that_have_one() -> None:
    found = least([np.array([1.0, 0.5]), None, np.array([0.25, 1.0])])
    assert found is not None
    assert found.tolist() == [0.25, 0.5]
    assert least([None]) is None


NORMAL = np.random.default_rng(0).standard_normal
SOFT = np.array([[0.2, 0.8], [0.6, 0.4]], dtype=np.float32)
MAP = np.stack([SOFT, 1 - SOFT], axis=1)[:, :, None, :]


@pytest.mark.parametrize(
    ("values", "end", "labels", "kind"),
    [
        (NORMAL((4, 10)), "matmul_v2", None, OutputKind.CLASSES),
        (SOFT, "", None, OutputKind.CLASSES),
        (NORMAL((4, 10, 1, 1)), "conv2d", None, OutputKind.CLASSES),
        (NORMAL((4, 10)) / 4, "sigmoid", None, OutputKind.FLAGS),
        (NORMAL((4, 10)), "sigmoid", np.array([0, 1, 9, 3]), OutputKind.CLASSES),
        (NORMAL((4, 10)), "layer_norm", None, OutputKind.EMBEDDING),
        (np.eye(4) * [[1], [-1], [1], [-1]], "elementwise_div", None, OutputKind.EMBEDDING),
        (NORMAL((4, 1)), "sigmoid", None, OutputKind.CLASSES),
        (NORMAL((4, 1)), "matmul_v2", None, OutputKind.OTHER),
        (NORMAL((4, 1)), "matmul_v2", np.array([0, 1, 1, 0]), OutputKind.CLASSES),
        (NORMAL((4, 7, 10)), "matmul_v2", None, OutputKind.STEPS),
        (NORMAL((4, 7, 10)), "concat", None, OutputKind.OTHER),
        (NORMAL((4, 7, 10)), "conv2d", None, OutputKind.OTHER),
        (NORMAL((4, 7, 10)), "concat", np.zeros((4, 7), dtype=int), OutputKind.STEPS),
        (NORMAL((4, 7, 10)), "layer_norm", None, OutputKind.EMBEDDING),
        (NORMAL((4, 19, 8, 8)), "bilinear_interp_v2", None, OutputKind.PIXELS),
        (NORMAL((4, 1, 8, 8)), "sigmoid", None, OutputKind.PIXELS),
        (NORMAL((4, 17, 8, 8)), "sigmoid", None, OutputKind.FLAGS),
        (np.arange(4), "arg_max", None, OutputKind.DECISIONS),
        (NORMAL((4, 3)) > 0, "greater_than", None, OutputKind.DECISIONS),
        (NORMAL((4, 2, 3, 4, 5)), "conv3d", None, OutputKind.OTHER),
    ],
    ids=lambda value: list(value.shape).__str__() if isinstance(value, np.ndarray) else str(value),
)
def test_output_kind_is_found_by_shape_values_and_graph(
    values: np.ndarray, end: str, labels: np.ndarray | None, kind: OutputKind
) -> None:
    assert judged(values, end, labels=labels).kind is kind


def test_output_that_is_a_sequence_holds_steps() -> None:
    values = NORMAL((2, 5, 3))
    found = judged_output(spec(values, sequence=True), values, end="concat", labels=None)
    assert (found.kind, found.axis, found.sequence) == (OutputKind.STEPS, 2, True)


def test_output_whose_channels_come_last_is_decided_along_them() -> None:
    assert judged(np.moveaxis(MAP, 1, 3)).axis == 3
    assert judged(MAP).axis == 1


@pytest.mark.parametrize(
    ("values", "end", "threshold"),
    [
        (np.array([[0.2], [0.9]]), "", 0.5),
        (np.array([[-3.0], [2.0]]), "", 0.0),
        (np.zeros((2, 1)), "sigmoid", 0.5),
    ],
    ids=["probabilities", "scores", "sigmoid"],
)
def test_output_of_one_score_is_decided_at_half_a_probability_or_at_zero(
    values: np.ndarray, end: str, threshold: float
) -> None:
    assert judged(values, end, named=OutputKind.CLASSES).threshold == threshold


def test_output_the_configuration_has_the_last_word() -> None:
    assert judged(NORMAL((4, 10)), "matmul_v2", named=OutputKind.EMBEDDING).kind is OutputKind.EMBEDDING
    assert judged(NORMAL((4, 10)), constant=True).kind is OutputKind.CONSTANT
    assert judged(np.float32(1.0), named=OutputKind.IGNORE).kind is OutputKind.IGNORE


def test_output_that_cannot_hold_what_the_configuration_says_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"classes, flags, embedding, ignore for this shape"):
        judged(NORMAL((4, 10)), named=OutputKind.PIXELS)


@pytest.mark.parametrize(
    "shape", [(4,), (4, 9), (4, 7, 9), (4, 7, 6), (4, 3, 8, 8), (4, 1, 2, 3, 4)], ids=str
)
def test_output_every_kind_that_a_message_offers_is_accepted(shape: tuple[int, ...]) -> None:
    values = NORMAL(shape)
    for kind in possible(values):
        found = judged(values, named=kind)
        (scores,) = agreements([values], [values], [found])
        assert scores is None or scores.tolist() == [1.0] * 4


def test_output_name_that_the_model_has_not_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'logits'"):
        require_known(["logit"], [TensorSpec(name="logits", shape=(-1, 10), dtype="float32")])


HEADS = (output(OutputKind.EMBEDDING), output(OutputKind.CLASSES), output(OutputKind.DECISIONS))
ANSWERS = (NORMAL((2, 8)), NORMAL((2, 3)), np.array([1, 2]))


def test_labels_belong_to_the_first_output_with_one_decision_a_sample() -> None:
    assert [each.labelled for each in with_labels(HEADS, ANSWERS, None)] == [False, True, False]
    assert [each.labelled for each in with_labels(HEADS, ANSWERS, "decisions")] == [False, False, True]
    assert not decides_once(HEADS[2], np.zeros((2, 3), dtype=int))


def test_labels_of_an_output_without_one_decision_a_sample_are_refused() -> None:
    with pytest.raises(ConfigError, match="from classes, decisions"):
        with_labels(HEADS, ANSWERS, "embedding")
