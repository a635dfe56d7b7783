"""Scores of single samples, and the comparison that collects them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_int8.tasks.contracts.errors import DataError, MeasurementError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.classification import top_k
from paddle_int8.tasks.data.metrics.scoring import resolve_metrics, score
from paddle_int8.tasks.validation.comparison import Comparison, read_outputs, worst_class, write_outputs
from paddle_int8.tasks.validation.noise import SQNR_LIMIT_DB, Noise

LOGITS = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [0.0, 5.0, 0.0]], dtype=np.float32)
top1, top5 = partial(top_k, k=1), partial(top_k, k=5)
TOP1 = {"top1": top1}
CLASSES = JudgedOutput(name="scores", kind=OutputKind.CLASSES, why="", labelled=True)


def ones(outputs: list[np.ndarray], labels: np.ndarray | None) -> np.ndarray:
    return np.ones(len(outputs[0]))


def wrong_length(outputs: list[np.ndarray], labels: np.ndarray | None) -> np.ndarray:
    return np.ones(len(outputs[0]) + 1)


def not_finite(outputs: list[np.ndarray], labels: np.ndarray | None) -> np.ndarray:
    return np.full(len(outputs[0]), np.nan)


def raises(outputs: list[np.ndarray], labels: np.ndarray | None) -> np.ndarray:
    raise KeyError("no such field")


def test_top1_scores_each_sample() -> None:
    assert top1([LOGITS], np.array([0, 0, 1])).tolist() == [1.0, 0.0, 1.0]


def test_top5_with_three_classes_is_always_right() -> None:
    assert top5([LOGITS], np.array([2, 0, 0])).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("label", "right"), [(5, 1.0), (6, 0.0)], ids=["fifth", "sixth"])
def test_top5_ends_at_the_fifth(label: int, right: float) -> None:
    logits = np.array([[0.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0]])
    assert top5([logits], np.array([label])) == right


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=20),
    st.integers(0, 5),
)
def test_top_scores_agree_with_a_stable_sort(rows: list[list[int]], label: int) -> None:
    logits, labels = np.array(rows, dtype=np.float32), np.full(len(rows), label)
    ranked = np.argsort(-logits, axis=1, kind="stable")
    assert (top1([logits], labels) == (ranked[:, 0] == label)).all()
    assert (top5([logits], labels) == (ranked[:, :5] == label).any(axis=1)).all()


def test_sample_with_nan_is_wrong_and_decides_nothing() -> None:
    logits = LOGITS.copy()
    logits[0, 2] = np.nan
    assert top1([logits], np.array([0, 2, 1])).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("label", [-1, 3], ids=["negative", "one_too_high"])
def test_label_out_of_range_is_a_data_error(label: int) -> None:
    with pytest.raises(DataError, match="from 0 to 2"):
        score("top1", top1, [LOGITS], np.array([0, 1, label]), [LOGITS])


def test_label_at_the_last_class_is_accepted() -> None:
    assert score("top1", top1, [LOGITS], np.array([0, 2, 2]), [LOGITS]).tolist() == [
        1.0,
        1.0,
        0.0,
    ]


def test_unlabelled_data_with_top1_is_a_data_error_that_names_the_way_out() -> None:
    with pytest.raises(DataError, match=r"package\.module:function"):
        resolve_metrics(("top1", f"{__name__}:ones"), labelled=False)


def test_unlabelled_data_with_a_callable_is_scored() -> None:
    name = f"{__name__}:ones"
    metrics = resolve_metrics((name,), labelled=False)
    assert score(name, metrics[name], [LOGITS], None, [LOGITS]).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["top2", "no.such.module:function", "math:no_such_function"])
def test_unknown_metric_is_named(name: str) -> None:
    with pytest.raises(MeasurementError, match=name):
        resolve_metrics((name,), labelled=True)


@pytest.mark.parametrize(
    ("metric", "words"),
    [(wrong_length, r"shape \(4,\) for 3"), (not_finite, "NaN"), (raises, "KeyError")],
    ids=["shape", "nan", "exception"],
)
def test_bad_metric_result_is_a_measurement_error(metric: object, words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        score("mine", metric, [LOGITS], None, [LOGITS])  # type: ignore[arg-type]


def compared(baseline: np.ndarray, candidate: np.ndarray, labels: np.ndarray | None) -> Comparison:
    comparison = Comparison(metrics=TOP1 if labels is not None else {}, outputs=(CLASSES,))
    half = len(baseline) // 2
    for part in (slice(0, half), slice(half, None)):
        comparison.add([baseline[part]], [candidate[part]], None if labels is None else labels[part])
    return comparison


def test_comparison_streams_to_the_same_as_at_once() -> None:
    random = np.random.default_rng(0)
    baseline = random.standard_normal((20, 5)).astype(np.float32)
    candidate = baseline + 0.1 * random.standard_normal((20, 5)).astype(np.float32)
    found = compared(baseline, candidate, np.arange(20) % 5)
    noise = (candidate.astype(np.float64) - baseline) ** 2
    expected = 10 * np.log10((baseline.astype(np.float64) ** 2).sum() / noise.sum())
    assert found.noise.sqnr_db == pytest.approx(expected)
    assert found.agreement == (baseline.argmax(1) == candidate.argmax(1)).mean()
    assert found.columns["label"].tolist() == (np.arange(20) % 5).tolist()


def test_equal_outputs_agree_fully_and_have_the_highest_sqnr() -> None:
    found = compared(LOGITS, LOGITS, None)
    assert (found.noise.sqnr_db, found.agreement) == (SQNR_LIMIT_DB, 1.0)


def test_non_finite_outputs_are_counted_and_never_agree() -> None:
    candidate = LOGITS.copy()
    candidate[1] = np.nan
    candidate[2, 0] = np.inf
    found = compared(LOGITS, candidate, None)
    assert (found.noise.non_finite, found.noise.baseline_non_finite) == (4, 0)
    assert found.agreement == pytest.approx(1 / 3)
    assert -SQNR_LIMIT_DB <= found.noise.sqnr_db <= SQNR_LIMIT_DB


def test_sqnr_is_that_of_the_output_that_keeps_least() -> None:
    large, small, nothing = 1000 * np.ones((4, 3)), np.ones((4, 2)), np.zeros((4, 1))
    noise = Noise()
    noise.add([large, small, nothing], [large + 1, small + 0.1, nothing + 1e-9])
    assert noise.sqnr_db == pytest.approx(20.0)


def test_worst_class_is_the_one_that_loses_most() -> None:
    labels = np.array([0, 0, 1, 1])
    baseline = np.eye(2)[labels]
    candidate = np.eye(2)[[0, 0, 0, 1]]
    worst = worst_class(compared(baseline, candidate, labels).columns, "top1")
    assert worst is not None
    assert (worst.label, worst.samples, worst.drop_pp) == (1, 2, 50.0)


def test_worst_class_without_labels_is_none() -> None:
    assert worst_class(compared(LOGITS, LOGITS, None).columns, "top1") is None


def test_outputs_of_other_shape_are_refused() -> None:
    with pytest.raises(MeasurementError, match="shapes"):
        Comparison(metrics={}, outputs=(CLASSES,)).add([LOGITS], [LOGITS[:, :2]], None)


def test_stored_outputs_come_back_batch_by_batch(tmp_path: Path) -> None:
    batches = [[LOGITS, LOGITS[:, 0]], [LOGITS[:1], LOGITS[:1, 0]]]
    write_outputs(tmp_path / "outputs", iter(batches))
    for expected, found in zip(batches, read_outputs(tmp_path / "outputs", 2), strict=True):
        assert all((old == new).all() for old, new in zip(expected, found, strict=True))


def test_stored_outputs_cut_off_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "outputs"
    write_outputs(path, iter([[LOGITS], [LOGITS]]))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(MeasurementError, match="cut off"):
        list(read_outputs(path, 1))


def half_of_fp32(outputs: list[np.ndarray], labels: np.ndarray | None, fp32: list[np.ndarray]) -> np.ndarray:
    return np.full(len(outputs[0]), 0.5 if outputs[0] is not fp32[0] else 1.0)


def test_agreement_needs_no_labels_and_scores_the_fp32_models_own_decision() -> None:
    metrics = resolve_metrics(("agreement",), labelled=False, outputs=(CLASSES,))
    comparison = Comparison(metrics=metrics, outputs=(CLASSES,))
    changed = LOGITS[[0, 0, 2]].copy()
    changed[2, 0] = np.nan
    comparison.add([LOGITS], [changed], None)
    assert comparison.columns["baseline/agreement"].tolist() == [1.0, 1.0, 1.0]
    assert comparison.columns["candidate/agreement"].tolist() == [1.0, 0.0, 0.0]


def test_callable_with_a_third_parameter_gets_the_fp32_outputs() -> None:
    name = f"{__name__}:half_of_fp32"
    comparison = Comparison(metrics=resolve_metrics((name,), labelled=False), outputs=(CLASSES,))
    comparison.add([LOGITS], [LOGITS.copy()], None)
    assert comparison.columns[f"baseline/{name}"].tolist() == [1.0, 1.0, 1.0]
    assert comparison.columns[f"candidate/{name}"].tolist() == [0.5, 0.5, 0.5]


VECTOR = JudgedOutput(name="vector", kind=OutputKind.EMBEDDING, why="")
HEADS = (VECTOR, CLASSES)
WITHOUT = np.ones((3, 4), dtype=np.float32)


def test_top1_is_of_the_output_that_the_labels_belong_to() -> None:
    metric = resolve_metrics(("top1",), labelled=True, outputs=HEADS)["top1"]
    scores = score("top1", metric, [WITHOUT, LOGITS], np.array([0, 2, 0]), [WITHOUT, LOGITS])
    assert scores.tolist() == [1.0, 1.0, 0.0]


def test_top1_without_an_output_of_classes_is_refused() -> None:
    metric = resolve_metrics(("top1",), labelled=True, outputs=(VECTOR,))["top1"]
    with pytest.raises(MeasurementError, match=r"vector \[3, 4\] \(embedding\)"):
        score("top1", metric, [WITHOUT], np.array([0, 1, 2]), [WITHOUT])


def test_top1_of_one_probability_is_decided_at_a_half() -> None:
    output = JudgedOutput(name="p", kind=OutputKind.CLASSES, why="", threshold=0.5, labelled=True)
    metrics = resolve_metrics(("top1", "top5"), labelled=True, outputs=(output,))
    values, labels = [np.array([[0.2], [0.9], [0.5]])], np.array([0, 0, 0])
    assert score("top1", metrics["top1"], values, labels, values).tolist() == [1.0, 0.0, 1.0]
    assert score("top5", metrics["top5"], values, labels, values).tolist() == [1.0, 1.0, 1.0]


def test_top1_of_a_model_that_answers_the_class_itself_is_its_equality() -> None:
    output = JudgedOutput(name="answer", kind=OutputKind.DECISIONS, why="", labelled=True)
    metrics = resolve_metrics(("top1", "top5"), labelled=True, outputs=(output,))
    values, labels = [np.array([3, 7, 2])], np.array([3, 0, 2])
    assert score("top1", metrics["top1"], values, labels, values).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(MeasurementError, match=r"set `validation.metrics` to \[top1\]"):
        score("top5", metrics["top5"], values, labels, values)


def test_comparison_agreement_of_a_sample_is_the_least_of_its_outputs() -> None:
    comparison = Comparison(
        metrics=resolve_metrics(("top1", "agreement"), labelled=True, outputs=HEADS), outputs=HEADS
    )
    turned = WITHOUT * np.array([[1], [-1], [1]], dtype=np.float32)
    changed = LOGITS[[0, 1, 0]]
    comparison.add([WITHOUT, LOGITS], [turned, changed], np.array([0, 2, 1]))
    assert comparison.columns["candidate/agreement"].tolist() == [1.0, 0.0, 0.0]
    assert comparison.agreement == pytest.approx(1 / 3)
    vector, classes = comparison.found
    assert (vector.agreement, vector.judged_by) == (pytest.approx(2 / 3), ("agreement",))
    assert (classes.agreement, classes.judged_by) == (pytest.approx(2 / 3), ("top1", "agreement"))


def test_comparison_leaves_out_an_ignored_output_of_whatever_shape() -> None:
    unread = JudgedOutput(name="boxes", kind=OutputKind.IGNORE, why="")
    comparison = Comparison(metrics={}, outputs=(CLASSES, unread))
    comparison.add([LOGITS, np.ones((7, 6))], [LOGITS, np.full((5, 6), np.nan)], None)
    assert (comparison.noise.non_finite, comparison.sqnr_db) == (0, SQNR_LIMIT_DB)
    assert comparison.found[1].sqnr_db is None


def test_comparison_whole_numbers_have_no_signal_and_do_not_hide_that_of_scores() -> None:
    tags = JudgedOutput(name="tags", kind=OutputKind.DECISIONS, why="")
    comparison = Comparison(metrics={}, outputs=(CLASSES, tags))
    comparison.add([LOGITS, np.array([1, 1, 1])], [LOGITS * 1.1, np.array([9, 1, 1])], None)
    assert [each.sqnr_db for each in comparison.found] == [pytest.approx(20.0), None]
    assert comparison.sqnr_db == pytest.approx(20.0)


def test_sqnr_of_each_output_knows_silence_from_loss() -> None:
    noise = Noise(ignored=frozenset({3}))
    zeros, ones = np.zeros((2, 2)), np.ones((2, 2))
    noise.add([ones, zeros, zeros, ones], [zeros, zeros, ones, zeros])
    assert noise.by_output_db(4) == (pytest.approx(0.0), SQNR_LIMIT_DB, None, None)
