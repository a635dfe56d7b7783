"""Measures what the shared calibrations of a release cost beside each algorithm alone, in one run.

    python -m benchmarks.shared_calibration --samples 16 --rounds 3

The model is MobileNet-V1 with random weights, on smooth random pictures of 224x224, for the layout `qdq`. An
algorithm alone is calibrated with PaddleSlim's own sampling of the same activations, as it was before
calibrations were shared. Everything has its turn in every round; the least seconds of each are shown.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.calibration import TIME_LIMIT_S, Pictures, export
from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.process.isolated import run_isolated

SAMPLED = ("abs_max", "avg", "ptf", "hist", "mse", "emd")
"""Those whose sampling PaddleSlim does in a time that one can wait for; its `KL` samples as `hist` does."""


def measured(model: Path, samples: int, batch_size: int, rounds: int) -> dict[str, float]:
    """The least seconds of each. Runs in an isolated process."""
    config, pictures = QuantizationConfig(), Pictures(samples)
    options: dict[str, Any] = {
        "step": "calibrate",
        "batch_size": batch_size,
        "op_types": config.op_types,
        "fast": True,
    }
    turns: dict[str, Callable[[], None]] = {
        kind: lambda kind=kind: _observed(model, pictures, kind, config, options)  # type: ignore[misc]
        for kind in Observed
    }
    turns |= {
        name: lambda name=name: _sampled(model, pictures, name, options)  # type: ignore[misc]
        for name in SAMPLED
    }
    least = dict.fromkeys(turns, float("inf"))
    for _ in range(rounds):
        for name, run in turns.items():
            started = time.monotonic()
            run()
            least[name] = min(least[name], time.monotonic() - started)
    return least


def _observed(
    model: Path, pictures: Pictures, kind: Observed, config: QuantizationConfig, options: dict[str, Any]
) -> None:
    """One calibration, and the thresholds of every algorithm that needs no other."""
    from paddle_int8.tasks.engines.paddle.quantization.observe import observations
    from paddle_int8.tasks.engines.paddle.quantization.seen import merged

    observed, _ = observations(model, pictures, kinds=(kind,), form=QuantizedForm.QDQ, **options)
    rules = [each.threshold for each in ALGORITHMS if each.threshold and each.observes == {kind}]
    for seen in merged(observed).values():
        for rule in rules:
            rule(seen, config)


def _sampled(model: Path, pictures: Pictures, name: str, options: dict[str, Any]) -> None:
    import paddle

    from paddle_int8.tasks.engines.paddle.quantization.observe import calibrator_of

    paddle.enable_static()
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope), paddle.utils.unique_name.guard():
        calibrator = calibrator_of(model, pictures, scope, algo=name, onnx_format=True, **options)
        calibrator.quantize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paddle-int8-shared-") as name:
        folder = Path(name)
        model = folder / "fp32"
        run_isolated(export, "mobilenet_v1", model, step="export", log=folder / "log", timeout_s=TIME_LIMIT_S)
        least = run_isolated(
            measured,
            model,
            options.samples,
            options.batch_size,
            options.rounds,
            step="measure",
            log=folder / "log",
            timeout_s=TIME_LIMIT_S,
        )
    for each, seconds in least.items():
        print(f"{each:12}{seconds:8.2f} s")  # noqa: T201
    both = sum(least[kind] for kind in Observed)
    print(f"all algorithms: {both:.2f} s, {both / least[Observed.LOSSES]:.2f} of the dearest alone here")  # noqa: T201
    dearest = max(least[each] for each in SAMPLED)
    print(f"and {both / dearest:.2f} of the dearest alone by PaddleSlim's sampling")  # noqa: T201


if __name__ == "__main__":
    from benchmarks.shared_calibration import main as run  # isolated processes import functions by module

    run()
