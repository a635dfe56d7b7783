"""Why an operator loses much in INT8: what the measure says, and what the kernels do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity
from paddle_int8.tasks.engines.paddle.switches import BASELINE, QUANTIZED, Switches
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.sensitivity.measure import SensitivityRequest, measure_sensitivity
from tests.cpu import SATURATES
from tests.integration.small_models import sqnr_db
from tests.integration.test_sensitivity import SIDE, prepared, requested

pytestmark = pytest.mark.paddle

PLAIN = Candidate(algorithm="abs_max", layout="offline")
PICTURES = {"image": np.random.default_rng(1).standard_normal((8, 3, SIDE, SIDE)).astype(np.float32)}
OPTIONS: dict[str, Any] = {"step": "reason", "timeout_s": 300}


def steep() -> Any:
    """A layer whose inputs are -1 or 1, and whose weights are alike in size: many sums are the greatest."""
    import paddle
    from paddle import nn

    first, last = nn.Conv2D(3, 32, 8, 8), nn.Linear(512, 10)
    first.weight.set_value(50 * first.weight)
    signs, sizes = np.sign(np.random.default_rng(0).standard_normal((2, 512, 10))), np.linspace(0.8, 1, 5120)
    last.weight.set_value(paddle.to_tensor((signs[0] * sizes.reshape(512, 10)).astype(np.float32)))
    return nn.Sequential(first, nn.Tanh(), nn.Flatten(), last)


def summed() -> Any:
    """The second layer reads a sum of a narrow term and one 1,000 times as wide, which its weights cancel."""
    import paddle
    from paddle import nn

    class Summed(nn.Layer):  # type: ignore[misc] # Paddle has no types
        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.wide = nn.Conv2D(3, 16, 3, padding=1), nn.Conv2D(3, 1, 3, padding=1)
            self.wide.weight.set_value(1000 * self.wide.weight)
            self.last = nn.Conv2D(16, 8, 1)
            weight = np.array(self.last.weight)
            self.last.weight.set_value(paddle.to_tensor(weight - weight.mean(axis=1, keepdims=True)))

        def forward(self, image: Any) -> Any:
            return self.last(self.narrow(image) + self.wide(image).expand([-1, 16, -1, -1])).mean([2, 3])

    return Summed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """The operators by type and name, where a CPU saturates and where none does."""

    saturating: tuple[OperatorSensitivity, ...]
    plain: tuple[OperatorSensitivity, ...]


def reasons(make: Callable[[], Any], folder: Path) -> Reasons:
    """Writes the converted model too, to `folder`/int8. Runs isolated."""
    from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model

    model, data = prepared(make, folder)
    made = requested(model, data, PLAIN, folder / "quantized")
    operators = quantize_model(made).operators
    (folder / "int8").mkdir()
    LAYOUTS.find("offline").convert(
        ConversionRequest(quantized=made.folder, folder=folder / "int8", config=ConversionConfig())
    )
    found = [
        measure_sensitivity(SensitivityRequest(made=made, operators=operators, saturates=saturates)).operators
        for saturates in (True, False)
    ]
    return Reasons(saturating=found[0], plain=found[1])


def answer(folder: Path, switches: Switches) -> Array:
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    return open_predictor(spec_of(folder, switches, 1)).run(PICTURES)[0]


def test_saturating_layer_is_named_and_saturates(tmp_path: Path) -> None:
    found = run_isolated(reasons, steep, tmp_path, log=tmp_path / "log", **OPTIONS)
    layer = found.saturating[-1]
    (read,) = layer.inputs
    assert read.saturated_share > 0.1
    assert layer.reason.startswith("without VNNI")
    assert "without VNNI" not in found.plain[-1].reason
    plain, *levels = (
        run_isolated(answer, tmp_path / name, switches, log=tmp_path / "log", environment=isa, **OPTIONS)
        for name, switches, isa in (
            ("fp32", BASELINE, {}),
            ("int8", QUANTIZED, {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
            ("int8", QUANTIZED, {}),
        )
    )
    saturated_db, native_db = (sqnr_db(plain, each) for each in levels)
    assert saturated_db < 20
    assert SATURATES or native_db > saturated_db + 10


def test_sum_of_unlike_terms_is_named(tmp_path: Path) -> None:
    found = run_isolated(reasons, summed, tmp_path, log=tmp_path / "log", **OPTIONS)
    layer = next(each for each in found.plain if each.layer == "conv2d_2")
    assert layer.own_sqnr_db < 10
    assert max(each.terms_spread or 0 for each in layer.inputs) > 100
    assert "is a sum of two terms" in layer.reason
