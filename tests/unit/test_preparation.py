"""What is done to an FP32 model before it is quantized, and what is refused before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.algorithms.algorithm import Algorithm, PrepareRequest
from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.errors import ConfigError, QuantizationError
from paddle_int8.tasks.engines.paddle.quantization.preparation import FILES, prepared
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest
from paddle_int8.tasks.engines.paddle.quantization.recurrent import quantize_recurrent
from tests.release_factory import build_dataset, build_model

QDQ = Candidate(algorithm="mse", layout="qdq")
KEPT = (("conv2d_0.tmp_0", "fp32"),)


def request(candidate: Candidate, **changes: Any) -> PtqRequest:
    plain = ptq_request(
        model=build_model(),
        calibration=build_dataset(8, "data"),
        candidate=candidate,
        config=QuantizationConfig(),
        batch_size=8,
        folder=Path("/nowhere"),
    )
    return replace(plain, **changes)


def write(asked: PrepareRequest) -> None:
    for name in FILES:
        (asked.folder / name).write_text(f"{asked.model} changed")


def fail(asked: PrepareRequest) -> None:
    raise KeyError("no such layer")


def forget(asked: PrepareRequest) -> None:
    (asked.folder / FILES[0]).touch()


def test_candidate_without_changes_is_made_of_the_model_as_it_is_and_needs_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with prepared(request(QDQ)) as made:
        assert made == request(QDQ)
        assert list(tmp_path.iterdir()) == []


def test_changed_model_is_the_one_that_is_quantized_and_gone_afterwards() -> None:
    with prepared(request(QDQ, prepare=write)) as made:
        folder = Path(made.model.folder)
        assert (folder / FILES[0]).read_text() == f"{build_model().folder} changed"
        assert made.model.digest == build_model().digest
    assert not folder.exists()


@pytest.mark.parametrize(
    ("prepare", "found"),
    [
        pytest.param(fail, "algorithm mse could not prepare the model: KeyError", id="fails"),
        pytest.param(forget, "algorithm mse wrote no model.pdiparams", id="writes half"),
    ],
)
def test_preparation_that_fails_names_the_algorithm(
    prepare: Callable[[PrepareRequest], None], found: str
) -> None:
    with pytest.raises(QuantizationError) as raised, prepared(request(QDQ, prepare=prepare)):
        pass
    assert found in raised.value.found


def test_algorithm_with_a_rule_for_histograms_that_nobody_makes_is_refused() -> None:
    with pytest.raises(ConfigError, match="rule for histograms and slim='avg'"):
        Algorithm(name="mine", description="A rule.", slim="avg", histogram=lambda counts, edges, config: 1.0)


def test_override_of_a_precision_that_does_not_exist_is_refused() -> None:
    candidate = replace(QDQ, overrides=(("conv2d_0.tmp_0", "fp16"),))
    with pytest.raises(QuantizationError, match="overrides of precision fp16"), prepared(request(candidate)):
        pass


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        pytest.param(
            Candidate(algorithm="mse", layout="recurrent"),
            "the algorithm mse",
            id="no rule of magnitudes",
        ),
        pytest.param(
            Candidate(algorithm="hist", layout="recurrent", overrides=KEPT),
            "operators to keep in FP32",
            id="overrides",
        ),
    ],
)
def test_recurrent_layout_refuses_what_only_paddleslim_can(candidate: Candidate, found: str) -> None:
    with pytest.raises(QuantizationError) as raised:
        quantize_recurrent(request(candidate))
    assert found in raised.value.found
