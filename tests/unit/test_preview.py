"""The words, the page and the forecast of a check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.preview.findings import SampleAnswer
from paddle_int8.tasks.preview.forecast import Forecast, Measured, forecast
from paddle_int8.tasks.preview.page import chosen
from paddle_int8.tasks.preview.sentences import duration
from paddle_int8.tasks.showing.words import answer_in_words, label_in_words

NAMES = ("cat", "dog", "eel", "fox")
MEASURED = Measured(
    load_ms=500.0,
    call_ms=10.0,
    sample_ms=8.0,
    draw_s=0.005,
    calibration=64,
    validation=300,
    peak_memory_bytes=400 << 20,
    size_bytes=98 << 20,
    input_bytes=600_000,
)


def output(kind: OutputKind) -> JudgedOutput:
    return JudgedOutput(name="y", kind=kind, why="", axis=2 if kind is OutputKind.STEPS else 1)


def answered(kind: OutputKind, row: Any, length: int | None = None) -> str:
    return answer_in_words(np.asarray(row)[None], output(kind), NAMES, length)


def test_scores_of_classes_are_told_as_the_three_greatest_shares() -> None:
    scores = np.log([0.2, 0.5, 0.05, 0.25])
    assert answered(OutputKind.CLASSES, scores) == "1 dog 50.0 %, 3 fox 25.0 %, 0 cat 20.0 %"


def test_shares_that_a_softmax_made_are_not_made_anew() -> None:
    assert answered(OutputKind.CLASSES, [0.1, 0.7, 0.2, 0.0]).startswith("1 dog 70.0 %")


def test_steps_are_told_up_to_the_length_of_the_sequence() -> None:
    scores = np.eye(4)[[1, 2, 3, 0]]
    assert answered(OutputKind.STEPS, scores, 3) == "1 2 3"
    assert label_in_words(np.array([1, 2, -1, -1]), NAMES) == "1 2"


def test_numbers_that_are_no_numbers_are_told_as_such() -> None:
    assert answered(OutputKind.CLASSES, [1.0, np.nan]) == "NaN or infinity"


def test_label_has_the_name_of_its_class_folder() -> None:
    assert label_in_words(np.int64(2), NAMES) == "2 eel"
    assert label_in_words(np.int64(9), NAMES) == "9"


@pytest.mark.parametrize(("wrong", "expected"), [(0, 0), (2, 2), (30, 5)])
def test_samples_shown_are_half_wrong_ones_if_there_are_so_many(wrong: int, expected: int) -> None:
    samples = [
        SampleAnswer(name=str(place), text="", label="0", answer="", score=float(place >= wrong))
        for place in range(60)
    ]
    places = chosen(samples, 10)
    assert len(set(places)) == 10
    assert sum(samples[place].score == 0 for place in places) == expected


def foreseen(measured: Measured = MEASURED, candidates: int = 6, **validation: Any) -> Forecast:
    config = ReleaseConfig.model_validate(
        {
            "name": "x",
            "model": {"path": "m"},
            "data": {"calibration": {"kind": "npz", "path": "a"}, "validation": {"kind": "npz", "path": "b"}},
            "validation": validation,
        }
    )
    return forecast(config, measured, candidates=candidates, parallel=2)


def test_forecast_grows_with_what_makes_a_release_longer() -> None:
    usual = foreseen()
    assert foreseen(candidates=7).seconds > usual.seconds
    assert foreseen(replace(MEASURED, validation=3000)).seconds > usual.seconds + 6 * 2700 * 0.008
    assert foreseen(replace(MEASURED, call_ms=20.0)).seconds > usual.seconds
    assert foreseen(references=[]).seconds < usual.seconds
    assert foreseen(processes=10).seconds > usual.seconds
    assert usual.seconds_low < usual.seconds < usual.seconds_high


def test_forecast_fits_releases_that_were_measured() -> None:
    """On a Xeon with AMX with nothing beside it, from the first step to the last: 142 s, 57 s and 301 s.

    They were timed in one process. The estimate is for the usual number, which takes little longer.
    """
    lower = {"deploy_isas": ["avx512_core_vnni", "avx512_core"], "accuracy_batch_size": 1}
    small = replace(MEASURED, calibration=16, validation=32, draw_s=0.0, input_bytes=602_112)
    resnet50 = replace(small, load_ms=363.0, call_ms=66.4, sample_ms=66.4)
    mobilenet = replace(small, load_ms=107.0, call_ms=11.6, sample_ms=11.6, size_bytes=17 << 20)
    vgg16 = replace(small, load_ms=688.0, call_ms=242.0, sample_ms=242.0, size_bytes=528 << 20)
    for measured, repeats, took_s in ((resnet50, 60, 142), (mobilenet, 60, 57), (vgg16, 25, 301)):
        told = foreseen(measured, candidates=2, repeats=repeats, **lower)
        assert told.seconds_low < took_s < told.seconds_high
        assert 0.8 * took_s < told.seconds < 1.4 * took_s


def test_forecast_of_one_candidate_needs_the_memory_of_one() -> None:
    assert (
        foreseen(candidates=1).memory_bytes < foreseen().memory_bytes == foreseen(candidates=9).memory_bytes
    )


@pytest.mark.parametrize(
    ("seconds", "said"), [(89.4, "89 s"), (90, "2 min"), (600, "10 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_duration_is_told_in_a_fitting_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said
