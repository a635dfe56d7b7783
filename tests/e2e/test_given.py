"""Models that were quantized elsewhere are candidates: converted, measured, judged, packed and promoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.engines.paddle.bundle import bundle_digest
from paddle_int8.tasks.engines.paddle.conversion.save_quant_model import ConvertOptions, save_quant_model
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.assessment import assess_promotion, settle
from paddle_int8.tasks.promotion.decision import DecisionOutcome
from paddle_int8.tasks.promotion.request import PromoteRequest
from tests.e2e.consumer import require_validated_answers
from tests.e2e.ground import Ground
from tests.e2e.quantized_outside import quantize
from tests.e2e.small_inputs import SmallInputs
from tests.shared import made_once

pytestmark = pytest.mark.paddle

ONES = ("slim_infer", "slim_onnx", "dygraph", "converted", "coarse")
NAMES = ("slim_infer-offline", "slim_onnx-qdq", "dygraph-qdq", "converted-offline", "coarse-qdq")


@pytest.fixture(scope="session")
def outside(inputs: SmallInputs) -> Path:
    """The folder that `quantized_outside.quantize` fills."""

    def make(folder: Path) -> None:
        model, log = inputs.folder / "model", folder / "log.txt"
        run_isolated(quantize, folder, model, step="quantize outside", log=log, timeout_s=300)

    return made_once("quantized_outside", make)


def configured(ground: Ground, outside: Path, *names: str, **sections: Any) -> Path:
    path = ground.inputs.approvable(ground.folder / "release.yaml", ground.name, **sections)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["candidates"] = [{"path": str(outside / name)} for name in names]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made() -> list[Release]:
    return []


@pytest.fixture
def released(warm_ground: Ground, outside: Path, made: list[Release]) -> Release:
    """One release of given models alone, for all tests."""
    from paddle_int8.flows.release import release

    if not made:
        path = configured(warm_ground, outside, *ONES, quantization={"algorithms": []})
        made.append(release(load_config(path)))
    return made[0]


def of(release: Release, name: str) -> CandidateEvidence:
    return next(each for each in release.evidence if each.candidate.given == name)


def findings(release: Release, name: str) -> str:
    given = next(each.given for each in release.given if each.candidate.given == name)
    assert given is not None
    return " ".join(given.findings)


def test_given_models_are_judged_and_the_best_is_registered(released: Release) -> None:
    assert tuple(each.candidate.name for each in released.evidence) == NAMES
    assert released.outcome is Outcome.APPROVED, [verdict.results for verdict in released.verdicts]
    assert released.chosen is not None
    assert released.chosen.name in NAMES
    whole = [each for each in released.evidence if each.candidate.given != "coarse"]
    assert {each.per_isa[0].audit.int8_primitives for each in whole} == {3}


@pytest.mark.parametrize("name", ["slim_infer", "slim_onnx", "dygraph"])
def test_verdict_is_of_the_model_that_was_given(
    released: Release, outside: Path, tmp_path: Path, name: str
) -> None:
    options = ConvertOptions(
        quant_model_path=outside / name, int8_model_save_path=tmp_path / "int8", save_model_filename="model"
    )
    by_hand = save_quant_model(options, log=tmp_path / "log.txt")
    assert of(released, name).digest == by_hand.digest
    assert by_hand.digest in {verdict.digest for verdict in released.verdicts}


def test_model_that_is_converted_already_is_judged_as_it_is(released: Release, outside: Path) -> None:
    assert of(released, "converted").digest == program_digest(outside / "converted")
    assert of(released, "converted").digest == of(released, "slim_infer").digest


def test_bundle_of_a_given_model_answers_and_is_promoted(released: Release, tmp_path: Path) -> None:
    assert released.bundle is not None
    assert released.registered is not None
    (chosen,) = [each for each in released.evidence if each.candidate == released.chosen]
    assert bundle_digest(released.bundle.folder) == chosen.digest
    require_validated_answers(released, tmp_path)
    request = PromoteRequest(model=released.name, max_drop_pp=60.0, who="ada")
    decision = assess_promotion(released.tracking_uri, request, log=tmp_path / "promote.log")
    assert settle(released.tracking_uri, decision).outcome is DecisionOutcome.DONE


def test_report_says_what_is_wrong_with_each(released: Release) -> None:
    assert "fake-quant format" in findings(released, "slim_infer")
    assert "without their scales" in findings(released, "dygraph")
    assert "3 of its 3 layers have one scale for the whole weight" in findings(released, "dygraph")
    assert "1 of its 3 layers has no scale" in findings(released, "coarse")
    assert "linear_0" in findings(released, "coarse").partition("no scale")[2]
    assert "2 of its 3 layers have one scale for the whole weight" in findings(released, "coarse")
    assert "whole weight" not in findings(released, "slim_onnx")
    assert findings(released, "converted") == ""
    assert released.report is not None
    report = released.report.read_text(encoding="utf-8")
    assert "Models quantized elsewhere" in report
    assert "2 of its 3 layers have one scale for the whole weight" in report
    assert "1 of the 1 layers without scales ran in INT8 all the same" in report


def test_given_model_is_compared_with_candidates_of_the_release(warm_ground: Ground, outside: Path) -> None:
    from paddle_int8.flows.release import release

    found = release(load_config(configured(warm_ground, outside, "slim_onnx")))
    assert {each.candidate.name for each in found.evidence} == {"abs_max-offline", "slim_onnx-qdq"}
    assert found.looks is not None
    assert found.looks.candidates == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wider", "inputs image float32 [-1, 3, 20, 20]"),
        ("more", "outputs"),
        ("wide_fp32", "is not quantized"),
        ("weights", "on x86 every layer of it computes in FP32"),
        ("absent", "nothing at"),
    ],
)
def test_model_that_cannot_be_a_candidate_ends_the_release_before_data_are_drawn(
    ground: Ground, outside: Path, name: str, said: str
) -> None:
    from paddle_int8.flows.release import release

    config = load_config(configured(ground, outside, name))
    with pytest.raises(ModelFormatError, match="`candidates") as caught:
        release(config)
    assert said in caught.value.found
    ground.require_failed(caught.value, task="load candidate", tags={"model_digest"})
    assert ground.kinds() == {"models"}
