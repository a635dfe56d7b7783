"""The measure of single operators is compared with brute force: PaddleSlim quantizes one operator at a time.

All runs on one network share one isolated process, because Paddle starts slowly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import ConversionConfig, QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest, quantize_model
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.sensitivity.measure import (
    SAMPLES,
    SensitivityOutcome,
    SensitivityRequest,
    measure_sensitivity,
)
from paddle_int8.tasks.sensitivity.timing import TimingRequest, measure_times
from paddle_int8.tasks.validation.noise import Noise
from paddle_int8.tasks.validation.simulation import outputs

pytestmark = pytest.mark.paddle

SIDE, PLANTED, MOST_TRIED = 32, 3, 6
"""PLANTED: the place of the layer, among the convolutions, with a channel 1,000 times as wide as the rest.
MOST_TRIED: how many operators of a network are quantized one at a time, spread over it."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """The measure of a network, and the SQNR that each operator leaves when PaddleSlim quantizes it alone.

    times: milliseconds in FP32 and in INT8 by operator.
    """

    measured: SensitivityOutcome
    brute_force_db: dict[str, float]
    times: dict[str, tuple[float, float]]


def study(make: Callable[[], Any], layout: str, algorithm: str, folder: Path) -> Study:
    model, data = prepared(make, folder)
    request = requested(model, data, Candidate(algorithm=algorithm, layout=layout), folder / "all")
    everything = quantize_model(request)
    tried = everything.operators[:: -(-len(everything.operators) // MOST_TRIED)]
    brute = {name: _alone_db(request, everything.operators, name, folder) for name in tried}
    return Study(
        measured=measure_sensitivity(
            SensitivityRequest(made=request, operators=everything.operators, saturates=False)
        ),
        brute_force_db=brute,
        times=_timed(model, data, LAYOUTS.find(layout), folder),
    )


def _timed(
    model: ModelArtifact, data: DatasetArtifact, layout: Layout, folder: Path
) -> dict[str, tuple[float, float]]:
    target = folder / "int8"
    target.mkdir()
    layout.convert(ConversionRequest(quantized=folder / "all", folder=target, config=ConversionConfig()))
    return measure_times(
        TimingRequest(
            model=model,
            candidate=target,
            switches=layout.switches,
            calibration=data,
            batch_size=1,
            threads=1,
        )
    )


def _alone_db(made: PtqRequest, operators: tuple[str, ...], name: str, folder: Path) -> float:
    target = folder / f"alone-{operators.index(name)}"
    kept = tuple((other, "fp32") for other in operators if other != name)
    quantize_model(requested(made.model, made.calibration, replace(made.candidate, overrides=kept), target))
    feeds = [{"image": np.load(made.calibration.folder / "image.npy")[:SAMPLES]}]
    noise = Noise()
    noise.add(outputs(made.model.folder, feeds)[0], outputs(target, feeds)[0])
    return noise.sqnr_db


def requested(model: ModelArtifact, data: DatasetArtifact, candidate: Candidate, folder: Path) -> PtqRequest:
    folder.mkdir()
    return ptq_request(
        model=model,
        calibration=data,
        candidate=candidate,
        config=QuantizationConfig(),
        batch_size=SAMPLES,
        folder=folder,
    )


def prepared(
    make: Callable[[], Any], folder: Path, side: int = SIDE
) -> tuple[ModelArtifact, DatasetArtifact]:
    """A network of pictures [3, side, side] as `load model` leaves it, and calibration data."""
    import paddle

    paddle.seed(0)
    network = make()
    network.eval()
    spec = paddle.static.InputSpec([None, 3, side, side], "float32", "image")
    paddle.jit.save(network, str(folder / "exported" / "model"), input_spec=[spec])
    source = find_model(ModelFiles(path=folder / "exported"))
    prepared = prepare_model(source, folder / "fp32")
    model = ModelArtifact(
        folder=folder / "fp32",
        digest=prepared.digest,
        source="generated",
        source_format=source.format.value,
        source_digest=source.source_digest,
        inputs=prepared.inputs,
        outputs=prepared.outputs,
        census=prepared.census,
        repairs=prepared.repairs,
        size_bytes=prepared.size_bytes,
    )
    return model, _data(folder / "data", side)


def _data(folder: Path, side: int) -> DatasetArtifact:
    folder.mkdir()
    np.save(
        folder / "image.npy",
        np.random.default_rng(0).standard_normal((16, 3, side, side)).astype(np.float32),
    )
    preprocessing = Preprocessing(layout="as_is", dtype="as_is")
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing.model_dump(mode="json")))
    return DatasetArtifact(
        folder=folder, digest="data", source="generated", samples=16, classes=0, seed=0, labelled=False
    )


def mobilenet() -> Any:
    import paddle
    from paddle import nn

    network = paddle.vision.models.mobilenet_v1(scale=0.25, num_classes=10)
    for layer in network.sublayers():
        if isinstance(layer, nn.Conv2D):
            nn.initializer.KaimingNormal()(layer.weight)
    return network


def residual() -> Any:
    import paddle

    return paddle.vision.models.resnet18(num_classes=10)


def encoder() -> Any:
    from tests.integration.small_models import _padded_encoder

    return _padded_encoder()


def planted() -> Any:
    """Six convolutions. One channel that the fourth reads is 1,000 times as wide as the others, for which the
    weights of the third and the fourth make up: the network computes what it would without."""
    import paddle
    from paddle import nn

    layers = [nn.Conv2D(3 if index == 0 else 16, 16, 3, padding=1) for index in range(6)]
    for layer in layers:
        nn.initializer.KaimingNormal()(layer.weight)
    before, after = layers[PLANTED - 1], layers[PLANTED]
    grown = np.ones((16, 1, 1, 1), np.float32)
    grown[5] = 1000
    before.weight.set_value(before.weight * paddle.to_tensor(grown))
    before.bias.set_value(before.bias * paddle.to_tensor(grown[:, 0, 0, 0]))
    after.weight.set_value(after.weight / paddle.to_tensor(grown.reshape(1, 16, 1, 1)))
    parts = [part for layer in layers for part in (layer, nn.ReLU())]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(16, 10))


STUDIES = (
    (mobilenet, "qdq", "abs_max"),
    (residual, "offline", "abs_max"),
    (encoder, "offline", "abs_max"),
    (planted, "offline", "abs_max"),
    (mobilenet, "qdq", "equalisation"),  # the model that it changed is measured
    (encoder, "offline", "smooth"),
)


Studied = Callable[[Callable[[], Any], str, str], Study]


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    found: dict[tuple[str, ...], Study] = {}

    def get(make: Callable[[], Any], layout: str, algorithm: str) -> Study:
        key = make.__name__, layout, algorithm
        if key not in found:
            folder = tmp_path_factory.mktemp("-".join(key))
            found[key] = run_isolated(
                study, make, layout, algorithm, folder, step="study", log=folder / "log", timeout_s=600
            )
        return found[key]

    return get


@pytest.mark.parametrize(("make", "layout", "algorithm"), STUDIES)
def test_measure_agrees_with_quantizing_one_operator_at_a_time(
    studied: Studied, make: Callable[[], Any], layout: str, algorithm: str
) -> None:
    found = studied(make, layout, algorithm)
    measured = {each.tensor: each.output_sqnr_db for each in found.measured.operators}
    apart = {name: measured[name] - expected for name, expected in found.brute_force_db.items()}
    assert max(map(abs, apart.values())) < 1.0, apart


@pytest.mark.parametrize(("make", "layout", "algorithm"), STUDIES)
def test_each_operator_has_its_milliseconds_in_both_precisions(
    studied: Studied, make: Callable[[], Any], layout: str, algorithm: str
) -> None:
    found = studied(make, layout, algorithm)
    assert found.times.keys() >= {each.tensor for each in found.measured.operators}
    assert min(time_ms for both in found.times.values() for time_ms in both) > 0


def test_planted_layer_is_the_worst_by_far_and_says_why(studied: Studied) -> None:
    worst, second = _worst(studied(planted, "offline", "abs_max").measured)[:2]
    assert worst.layer == f"conv2d_{PLANTED}"
    assert worst.output_sqnr_db < second.output_sqnr_db - 10
    assert worst.noise_share > 0.9
    assert "as wide as the median" in worst.reason
    assert max(each.channel_spread or 0 for each in worst.inputs) > 500


def test_shares_add_up_and_predict_all_operators_together(studied: Studied) -> None:
    measured = studied(mobilenet, "qdq", "abs_max").measured
    assert sum(each.noise_share for each in measured.operators) == pytest.approx(1)
    assert measured.added_db == pytest.approx(measured.together_db, abs=4)


def _worst(measured: SensitivityOutcome) -> list[OperatorSensitivity]:
    return sorted(measured.operators, key=lambda each: each.output_sqnr_db)
