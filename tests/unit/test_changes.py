"""The samples on which INT8 answers otherwise than FP32: which are shown, in which order, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.decisions import decisions, shares, sureness
from paddle_int8.tasks.tracking.changes import SHOWN, Change, changed, changes_of
from paddle_int8.tasks.tracking.report import render_html
from paddle_int8.tasks.tracking.summary import focus
from paddle_int8.tasks.validation.comparison import UNDECIDED, Comparison
from tests.release_factory import build_config, build_release

SIDE = 8
CLASSES = JudgedOutput(name="y", kind=OutputKind.CLASSES, why="", labelled=True)


def columns(
    fp32: list[int], int8: list[int], label: list[int] | None = None, sure: list[float] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"decided/baseline": np.array(fp32), "decided/candidate": np.array(int8)}
    if sure is not None:
        found |= {f"sureness/{subject}": np.array(sure) for subject in ("baseline", "candidate")}
    return found if label is None else found | {"label": np.array(label)}


def released(folder: Path, stored: Mapping[str, Any], *, pictures: bool = True) -> Release:
    """A release whose candidate has these columns, and whose validation data lie in `folder`."""
    count = len(next(iter(stored.values())))
    shape = (count, SIDE, SIDE, 3) if pictures else (count, 5)
    np.save(folder / "image.npy", np.zeros(shape, dtype=np.uint8))
    names = {"sample_digests": ["0"] * count, "sample_names": [f"<{row}>.png" for row in range(count)]}
    (folder / "samples.json").write_text(json.dumps(names))
    np.savez(folder / "outcomes.npz", **stored)
    release = build_release()
    focused = focus(release)
    assert focused is not None
    item = replace(focused[0].per_isa[0], outcomes=folder / "outcomes.npz")
    evidence = replace(focused[0], per_isa=(item,))
    inputs = (TensorSpec(name="image", shape=(-1, 3, SIDE, SIDE), dtype="float32"),)
    data = replace(release.validation, folder=folder, digest=evidence.validation_digest)
    return replace(
        release,
        evidence=(evidence,),
        model=replace(release.model, inputs=inputs),
        validation=replace(data, class_names=("ant", "bee", "cow")),
    )


def page(release: Release) -> str:
    return render_html(release, build_config(), (), {}, plots={}, changes=changes_of(release))


def test_lost_samples_come_before_gained_and_other_ones_and_surer_ones_first() -> None:
    stored = columns(
        fp32=[0, 1, 2, 0, 1, 2, 0],
        int8=[0, 2, 1, 1, 0, 0, 2],
        label=[0, 2, 0, 0, 1, 2, 0],
        sure=[0.9, 0.9, 0.9, 0.4, 0.8, 0.6, 0.6],
    )
    assert list(changed(stored).items()) == [
        (4, Change.LOST),
        (5, Change.LOST),
        (6, Change.LOST),
        (3, Change.LOST),
        (1, Change.GAINED),
        (2, Change.OTHER),
    ]


def test_without_labels_all_changes_are_alike() -> None:
    found = changed(columns([0, 1, 2], [1, 1, 0], sure=[0.5, 0.5, 0.7]))
    assert list(found.items()) == [(2, Change.OTHER), (0, Change.OTHER)]


def test_report_shows_pictures_of_no_more_than_the_first_samples(tmp_path: Path) -> None:
    release = released(tmp_path, columns([0] * 20, [1] * 20, [0] * 20, [0.75] * 20))
    found = changes_of(release)
    assert found is not None
    assert (found.total, len(found.shown), found.shown[0].picture is None) == (20, SHOWN, False)
    shown = page(release)
    assert "20 lost (only FP32 is right), 0 gained (only INT8 is right), 0 other (both are wrong)" in shown
    assert shown.count('<img src="data:image/png;base64,') == SHOWN
    assert "label 0 ant" in shown
    assert 'INT8 1 bee <span class="interval">75.0 %</span>' in shown
    assert "&lt;3&gt;.png" in shown


def test_report_shows_rows_where_a_sample_is_no_picture(tmp_path: Path) -> None:
    shown = page(released(tmp_path, columns([0, 1], [1, 1]), pictures=False))
    assert 'class="cards"' not in shown
    assert '<td>0</td><td>0 ant <span class="interval"></span></td><td>1 bee' in shown
    assert "lost" not in shown[shown.index('<h2 id="samples-that') : shown.index('<h2 id="speed"')]


def test_samples_of_another_data_set_are_shown_without_name_and_picture(tmp_path: Path) -> None:
    release = released(tmp_path, columns([0], [1], [0]))
    other = replace(release, validation=replace(release.validation, digest="0" * 64))
    found = changes_of(other)
    assert found is not None
    assert (found.shown[0].name, found.shown[0].picture, found.shown[0].row) == ("", None, 0)


def test_report_says_that_nothing_changed(tmp_path: Path) -> None:
    assert "answers all 2 samples as FP32 does" in page(released(tmp_path, columns([0, 1], [0, 1])))


def test_outputs_without_classes_have_no_such_section(tmp_path: Path) -> None:
    release = released(tmp_path, {"candidate/agreement": np.ones(3)})
    assert changes_of(release) is None
    assert "Samples that INT8" not in page(release)


def test_answer_that_holds_nan_is_told_as_such(tmp_path: Path) -> None:
    comparison = Comparison(metrics={}, outputs=(CLASSES,))
    fp32 = np.array([[1.0, 3.0], [2.0, 0.0]])
    comparison.add([fp32], [np.array([[np.nan, 3.0], [2.0, 0.0]])], labels=None)
    stored = comparison.columns
    assert stored["decided/baseline"].tolist() == [1, 0]
    assert stored["decided/candidate"].tolist() == [UNDECIDED, 0]
    assert "NaN or infinity" in page(released(tmp_path, stored))


@pytest.mark.parametrize(
    ("values", "kind", "threshold", "decided", "sure"),
    [
        pytest.param([[0.2, 0.8]], OutputKind.CLASSES, 0.5, [1], [0.8], id="probabilities"),
        pytest.param([[0.0, np.log(3)]], OutputKind.CLASSES, 0.0, [1], [0.75], id="scores"),
        pytest.param([[[[0.0]], [[np.log(3)]]]], OutputKind.CLASSES, 0.0, [1], [0.75], id="not flattened"),
        pytest.param([[0.2]], OutputKind.CLASSES, 0.5, [0], [0.8], id="one probability"),
        pytest.param([[np.log(3)]], OutputKind.CLASSES, 0.0, [1], [0.75], id="one score"),
        pytest.param(np.array([[7]]), OutputKind.DECISIONS, 0.0, [7], None, id="whole numbers"),
    ],
)
def test_decision_has_the_share_of_its_class(
    values: Any, kind: OutputKind, threshold: float, decided: list[int], sure: list[float] | None
) -> None:
    output = JudgedOutput(name="y", kind=kind, why="", threshold=threshold)
    found = sureness(np.asarray(values), output)
    assert decisions(np.asarray(values), output).tolist() == decided
    assert found is None if sure is None else found is not None and found.tolist() == pytest.approx(sure)


def test_shares_sum_to_one_for_great_scores() -> None:
    assert shares(np.array([[1000.0, 0.0], [0.25, 0.75]])).tolist() == [[1.0, 0.0], [0.25, 0.75]]
