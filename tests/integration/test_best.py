"""The algorithm `best` against all others, by the error of real activations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.engines.paddle.quantization.seen import Fields, checked, merged
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_release import SmallRelease
from tests.integration.test_quantization import PADDLESLIMS, Samples, _digits

pytestmark = pytest.mark.paddle

BINNED = 1.01
"""By how much errors of binned and of real values may differ where two thresholds are nearly as good."""
Thresholds = dict[str, dict[str, float]]


@dataclass
class Errors:
    """An observation that sums up what each tensor loses by the thresholds of each algorithm."""

    thresholds: Thresholds
    sums: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def passes(self) -> tuple[Any, ...]:
        return (self._add,)

    def observed(self) -> dict[str, Fields]:
        return dict(self.sums)

    def _add(self, batch: Any, spread: Any) -> None:
        for tensor, values in batch.items():
            for name, thresholds in self.thresholds.items():
                step = thresholds[tensor] / 127
                rounded = np.clip(np.rint(values.astype(np.float64) / step), -127, 127) * step
                before = self.sums[tensor].get(name, 0.0)
                self.sums[tensor][name] = before + float(np.square(values - rounded).sum())


def study(release: SmallRelease) -> dict[str, dict[str, float]]:
    """By tensor and algorithm, the sum of squared errors. Runs in an isolated process."""
    import paddle

    from paddle_int8.tasks.engines.paddle.quantization.observe import calibrator_of, observations

    samples, config = Samples({"image": _digits(7)}), QuantizationConfig()
    options: dict[str, Any] = {"step": "test", "batch_size": 3, "op_types": config.op_types, "fast": True}
    form = QuantizedForm.QDQ
    observed, _ = observations(release.model.folder, samples, kinds=tuple(Observed), form=form, **options)
    seen, thresholds = merged(observed), {}
    for name in (*PADDLESLIMS, "best"):
        rule = ALGORITHMS.find(name).threshold
        assert rule is not None
        thresholds[name] = {tensor: checked(tensor, rule(each, config)) for tensor, each in seen.items()}
    errors, scope = Errors(thresholds), paddle.static.Scope()
    with paddle.static.scope_guard(scope), paddle.utils.unique_name.guard():
        calibrator_of(release.model.folder, samples, scope, **options).observe([errors])
    return dict(errors.sums)


@pytest.fixture(scope="module")
def studied(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, float]]:
    folder: Path = tmp_path_factory.mktemp("best")
    return run_isolated(study, small_release, step="study", log=folder / "log", timeout_s=300)


def test_no_algorithm_has_a_smaller_error_for_any_tensor(studied: dict[str, dict[str, float]]) -> None:
    assert len(studied) > 80
    worse = {
        tensor: errors for tensor, errors in studied.items() if errors["best"] > BINNED * min(errors.values())
    }
    assert not worse


def test_no_other_algorithm_is_the_best_for_every_tensor(studied: dict[str, dict[str, float]]) -> None:
    for name in PADDLESLIMS:
        assert any(errors[name] > 1.05 * errors["best"] for errors in studied.values()), name
