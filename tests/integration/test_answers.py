"""Models with unusual answers are judged as what they are, or refused when the baseline runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import ConfigError, DataError, MeasurementError, ModelFormatError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.vocabulary import Outcome, OutputKind
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.process.isolated import run_isolated
from tests.cpu import EXACT
from tests.integration.small_release import SmallRelease, measured

pytestmark = pytest.mark.paddle

AGREEMENT = ValidationConfig(metrics=("agreement",), repeats=20, warmup=2, processes=2, references=())
TOP1 = ValidationConfig(metrics=("top1",))
CALLABLE = ValidationConfig(metrics=(f"{__name__}:ones",))


def ones(outputs: list[np.ndarray], labels: np.ndarray | None) -> np.ndarray:
    return np.ones(len(outputs[0]))


def run(function: str, folder: Path, *arguments: Any, **options: Any) -> Any:
    return run_isolated(
        _called, function, folder, arguments, options, step=function, log=folder / "log", timeout_s=300
    )


def _called(function: str, folder: Path, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    from tests.integration import answers

    return getattr(answers, function)(folder, *arguments, **options)


@pytest.fixture(scope="module")
def two_answers(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    found: SmallRelease = run("two_answers", tmp_path_factory.mktemp("two_answers"))
    return found


def outcomes(release: SmallRelease, layout: str, folder: Path, host: HostProfile, config: Any) -> Any:
    """What the gate says of each criterion, of all that a lenient one asks."""
    item = measured(release, layout, folder, isa=host.isa, config=config)
    evidence = CandidateEvidence(
        candidate=release.deployables[layout].candidate,
        digest="candidate",
        size_bytes=1,
        baseline_digest="baseline",
        baseline_size_bytes=1,
        validation_digest="data",
        host=host,
        per_isa=(item,),
    )
    gate = GateConfig(max_drop_pp=2, min_speedup=0.01, min_int8_share=0.01)
    verdict = judge(evidence, gate)
    return item, {result.criterion: result for result in verdict.results}, verdict.outcome


@pytest.mark.parametrize("layout", EXACT)
def test_second_output_that_is_noise_is_rejected(
    two_answers: SmallRelease, layout: str, host: HostProfile, tmp_path: Path
) -> None:
    item, results, outcome = outcomes(two_answers, layout, tmp_path, host, AGREEMENT)
    scores, lost = item.outputs
    assert (scores.kind, lost.kind) == (OutputKind.CLASSES, OutputKind.PIXELS)
    assert scores.sqnr_db > 15
    assert lost.sqnr_db == item.sqnr_db < 1
    assert scores.agreement > 0.9 > lost.agreement
    assert item.agreement <= lost.agreement
    assert outcome is Outcome.REJECTED
    assert results["accuracy agreement"].outcome is Outcome.REJECTED
    assert results["signal"].outcome is Outcome.REJECTED
    assert lost.name in results["signal"].found
    assert scores.name not in results["signal"].found


def test_second_output_that_is_noise_does_not_pass_beside_a_callable_that_is_content(
    two_answers: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    config = AGREEMENT.model_copy(update={"metrics": CALLABLE.metrics})
    _, results, outcome = outcomes(two_answers, EXACT[-1], tmp_path, host, config)
    assert results["signal"].outcome is outcome is Outcome.REJECTED


def test_second_output_that_nobody_reads_is_left_out(
    two_answers: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    unread = two_answers.model.outputs[1].name
    config = AGREEMENT.model_copy(update={"outputs": {unread: OutputKind.IGNORE}})
    item, results, outcome = outcomes(two_answers, EXACT[-1], tmp_path, host, config)
    assert (item.outputs[1].sqnr_db, item.outputs[1].agreement) == (None, None)
    assert results["signal"].outcome is Outcome.APPROVED
    assert outcome is not Outcome.REJECTED
    assert item.simulation is None or item.simulation.int8_sqnr_db > 15


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("scores", OutputKind.CLASSES),
        ("softmax", OutputKind.CLASSES),
        ("class", OutputKind.DECISIONS),
        ("flags", OutputKind.DECISIONS),
        ("length_one", OutputKind.EMBEDDING),
    ],
)
def test_baseline_finds_what_an_output_holds(kind: str, holds: OutputKind, tmp_path: Path) -> None:
    (found,) = run("judged", tmp_path, kind, AGREEMENT)
    assert found.kind is holds


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("branches", [OutputKind.CLASSES, OutputKind.CLASSES]),
        ("language_model", [OutputKind.STEPS]),
        ("loop_and_branch", [OutputKind.CLASSES]),
        ("shared_head", [OutputKind.FLAGS, OutputKind.OTHER]),
        ("unet", [OutputKind.PIXELS]),
    ],
)
def test_baseline_finds_what_a_network_answers(name: str, holds: list[OutputKind], tmp_path: Path) -> None:
    assert [each.kind for each in run("judged_network", tmp_path, name, CALLABLE)] == holds


def test_baseline_labels_go_with_the_class_that_the_model_answers(tmp_path: Path) -> None:
    (found,) = run("judged", tmp_path, "class", TOP1, np.arange(40) % 10)
    assert found.labelled


def test_baseline_vector_taken_for_an_embedding_is_refused_for_labels_until_told(tmp_path: Path) -> None:
    labels = np.arange(40) % 10
    with pytest.raises(MeasurementError, match="say `classes` of an output"):
        run("judged", tmp_path / "refused", "length_one", TOP1, labels)
    told = TOP1.model_copy(update={"outputs": {"save_infer_model/scale_0.tmp_0": OutputKind.CLASSES}})
    (found,) = run("judged", tmp_path / "told", "length_one", told, labels)
    assert found.labelled
    mistyped = TOP1.model_copy(update={"outputs": {"save_infer_model/scale_9.tmp_0": OutputKind.CLASSES}})
    with pytest.raises(ConfigError, match=r"did you mean 'save_infer_model/scale_0\.tmp_0'"):
        run("judged", tmp_path / "mistyped", "length_one", mistyped, labels)


def test_baseline_top5_of_a_model_that_answers_one_class_is_refused_with_what_works(tmp_path: Path) -> None:
    config = ValidationConfig(metrics=("top1", "top5"))
    with pytest.raises(MeasurementError, match=r"set `validation.metrics` to \[top1\]"):
        run("judged", tmp_path, "class", config, np.arange(40) % 10)


def test_baseline_labels_beyond_the_classes_are_refused_though_the_first_batch_has_none(
    tmp_path: Path,
) -> None:
    labels = np.zeros(40, dtype=np.int64)
    labels[-1] = 10
    with pytest.raises(DataError, match="labels from 0 to 10, and 10 classes"):
        run("judged", tmp_path, "scores", TOP1, labels)


def test_baseline_output_that_is_the_same_for_every_input_is_no_answer_to_judge(tmp_path: Path) -> None:
    scores, anchors = run("judged", tmp_path, "anchors", AGREEMENT)
    assert (scores.kind, anchors.kind) == (OutputKind.CLASSES, OutputKind.CONSTANT)


def test_baseline_constant_output_without_rows_is_seen_and_may_be_told_to_be_ignored(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="one value for the whole batch"):
        run("judged", tmp_path / "refused", "constant", AGREEMENT)
    names = {"save_infer_model/scale_1.tmp_0": OutputKind.IGNORE}
    config = AGREEMENT.model_copy(update={"outputs": names})
    found = run("judged", tmp_path / "ignored", "constant", config)
    assert [each.kind for each in found] == [OutputKind.CLASSES, OutputKind.IGNORE]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("scalar", "one value for the whole batch"),
        ("two_columns", r"reshape the output to \[-1, 5, \.\.\.\]"),
    ],
)
def test_baseline_output_without_a_row_for_each_sample_is_refused(
    kind: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(MeasurementError, match=words):
        run("judged", tmp_path, kind, CALLABLE)


def test_baseline_output_of_unknown_kind_is_refused_for_agreement_and_each_remedy_works(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        MeasurementError, match="steps, flags, embedding, ignore, or name a callable"
    ) as raised:
        run("judged", tmp_path / "refused", "unknown", AGREEMENT)
    name = next(word for word in raised.value.found.split() if word.startswith("save_infer")).rstrip(",")
    told = AGREEMENT.model_copy(update={"outputs": {name: OutputKind.EMBEDDING}})
    assert run("judged", tmp_path / "told", "unknown", told)[0].kind is OutputKind.EMBEDDING
    assert run("judged", tmp_path / "callable", "unknown", CALLABLE)[0].kind is OutputKind.OTHER


def test_baseline_metric_that_fails_is_refused_before_anything_is_quantized(tmp_path: Path) -> None:
    config = ValidationConfig(metrics=(f"{__name__}:run",))
    with pytest.raises(MeasurementError, match="raised TypeError"):
        run("judged", tmp_path, "scores", config)


def test_baseline_boxes_out_of_nms_are_refused_with_how_to_cut_it(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"export\.nms=False") as raised:
        run("judged_detector", tmp_path, CALLABLE, nms=True)
    assert "the boxes of all samples, counted by another output" in raised.value.found


def test_baseline_boxes_and_scores_before_nms_are_accepted_with_a_callable(tmp_path: Path) -> None:
    boxes, scores = run("judged_detector", tmp_path, CALLABLE, nms=False)
    assert (boxes.kind, scores.kind) == (OutputKind.OTHER, OutputKind.FLAGS)


def test_baseline_model_of_a_fixed_batch_is_refused_and_runs_as_the_remedy_says(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="cannot run 1 sample at a time"):
        run("judged", tmp_path / "refused", "four_at_once", AGREEMENT, batch=4)
    fours = AGREEMENT.model_copy(update={"batch_size": 4, "accuracy_batch_size": 4})
    (found,) = run("judged", tmp_path / "accepted", "four_at_once", fours, batch=4)
    assert found.kind is OutputKind.CLASSES


def test_baseline_input_that_nothing_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="no operator reads: im_shape"):
        run("judged_unread", tmp_path, AGREEMENT)


def test_baseline_one_class_for_every_sample_is_told_where_agreement_is_asked_for(tmp_path: Path) -> None:
    (found,) = run("judged", tmp_path / "agreement", "one_class", AGREEMENT)
    assert "FP32 answers one class to all of the first 16 samples" in found.why
    (found,) = run("judged", tmp_path / "scores", "scores", AGREEMENT)
    assert "one class" not in found.why


def test_baseline_same_answer_to_every_sample_is_refused(tmp_path: Path) -> None:
    config = AGREEMENT.model_copy(update={"outputs": {}})
    with pytest.raises(MeasurementError, match="the same answer of FP32 to each of 16 different samples"):
        run("judged", tmp_path, "dead", config)
