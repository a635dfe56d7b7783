"""The measure of single operators is compared with brute force: PaddleSlim quantizes one operator at a time.

All runs on one network share one isolated process, because Paddle starts slowly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
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
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqOutcome, quantize
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest, Layout
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.sensitivity.measure import (
    SAMPLES,
    SensitivityOutcome,
    SensitivityRequest,
    measure_sensitivity,
)
from paddle_int8.tasks.sensitivity.timing import TimingRequest, time_operators
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


def study(make: Callable[[], Any], layout: str, folder: Path) -> Study:
    model, data = prepared(make, folder)
    everything = quantized(model, data, layout, folder / "all")
    request = SensitivityRequest(
        model=model, quantized=folder / "all", operators=everything.operators, calibration=data
    )
    tried = everything.operators[:: -(-len(everything.operators) // MOST_TRIED)]
    brute = {name: _alone_db(model, data, layout, everything.operators, name, folder) for name in tried}
    return Study(
        measured=measure_sensitivity(request),
        brute_force_db=brute,
        times=_timed(model, data, LAYOUTS.find(layout), folder),
    )


def _timed(
    model: ModelArtifact, data: DatasetArtifact, layout: Layout, folder: Path
) -> dict[str, tuple[float, float]]:
    target = folder / "int8"
    target.mkdir()
    layout.convert(ConversionRequest(quantized=folder / "all", folder=target, config=ConversionConfig()))
    return time_operators(
        TimingRequest(
            model=model,
            candidate=target,
            switches=layout.switches,
            calibration=data,
            batch_size=1,
            threads=1,
        )
    )


def _alone_db(
    model: ModelArtifact,
    data: DatasetArtifact,
    layout: str,
    operators: tuple[str, ...],
    name: str,
    folder: Path,
) -> float:
    target = folder / f"alone-{operators.index(name)}"
    kept = tuple((other, "fp32") for other in operators if other != name)
    quantized(model, data, layout, target, kept)
    feeds = [{"image": np.load(data.folder / "image.npy")[:SAMPLES]}]
    noise = Noise()
    noise.add(outputs(model.folder, feeds)[0], outputs(target, feeds)[0])
    return noise.sqnr_db


def quantized(
    model: ModelArtifact,
    data: DatasetArtifact,
    layout: str,
    folder: Path,
    kept: tuple[tuple[str, str], ...] = (),
) -> PtqOutcome:
    folder.mkdir()
    candidate = Candidate(algorithm="abs_max", layout=layout, overrides=kept)
    return quantize(
        ptq_request(
            model=model,
            calibration=data,
            candidate=candidate,
            config=QuantizationConfig(),
            batch_size=SAMPLES,
            folder=folder,
        )
    )


def prepared(make: Callable[[], Any], folder: Path) -> tuple[ModelArtifact, DatasetArtifact]:
    import paddle

    paddle.seed(0)
    network = make()
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
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
    return model, _data(folder / "data")


def _data(folder: Path) -> DatasetArtifact:
    folder.mkdir()
    np.save(
        folder / "image.npy",
        np.random.default_rng(0).standard_normal((16, 3, SIDE, SIDE)).astype(np.float32),
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


STUDIES = ((mobilenet, "qdq"), (residual, "offline"), (encoder, "offline"), (planted, "offline"))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], Any], str], Study]:
    found: dict[tuple[str, str], Study] = {}

    def get(make: Callable[[], Any], layout: str) -> Study:
        key = make.__name__, layout
        if key not in found:
            folder = tmp_path_factory.mktemp("-".join(key))
            found[key] = run_isolated(
                study, make, layout, folder, step="study", log=folder / "log", timeout_s=600
            )
        return found[key]

    return get


@pytest.mark.parametrize(("make", "layout"), STUDIES)
def test_measure_agrees_with_quantizing_one_operator_at_a_time(
    studied: Callable[[Callable[[], Any], str], Study], make: Callable[[], Any], layout: str
) -> None:
    found = studied(make, layout)
    measured = {each.tensor: each.output_sqnr_db for each in found.measured.operators}
    apart = {name: measured[name] - expected for name, expected in found.brute_force_db.items()}
    assert max(map(abs, apart.values())) < 1.0, apart


@pytest.mark.parametrize(("make", "layout"), STUDIES)
def test_each_operator_has_its_milliseconds_in_both_precisions(
    studied: Callable[[Callable[[], Any], str], Study], make: Callable[[], Any], layout: str
) -> None:
    found = studied(make, layout)
    assert found.times.keys() >= {each.tensor for each in found.measured.operators}
    assert min(time_ms for both in found.times.values() for time_ms in both) > 0


def test_planted_layer_is_the_worst_by_far_and_says_why(
    studied: Callable[[Callable[[], Any], str], Study],
) -> None:
    worst, second = _worst(studied(planted, "offline").measured)[:2]
    assert worst.layer == f"conv2d_{PLANTED}"
    assert worst.output_sqnr_db < second.output_sqnr_db - 10
    assert worst.noise_share > 0.9
    assert "as wide as the median" in worst.reason
    assert max(each.channel_spread or 0 for each in worst.inputs) > 500


def test_shares_add_up_and_predict_all_operators_together(
    studied: Callable[[Callable[[], Any], str], Study],
) -> None:
    measured = studied(mobilenet, "qdq").measured
    assert sum(each.noise_share for each in measured.operators) == pytest.approx(1)
    assert measured.added_db == pytest.approx(measured.together_db, abs=4)


def _worst(measured: SensitivityOutcome) -> list[OperatorSensitivity]:
    return sorted(measured.operators, key=lambda each: each.output_sqnr_db)
