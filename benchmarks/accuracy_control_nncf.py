"""One search of NNCF's `quantize_with_accuracy_control`, for `benchmarks.accuracy_control`. Its environment:

    uv venv --python python3.11 .envs/nncf
    uv pip install --python .envs/nncf/bin/python nncf==3.4.0 openvino==2026.4.1 "numpy<2"

It runs there as `python accuracy_control_nncf.py request.json result.json`, and imports nothing of this
project. The request names the model, the arrays and the margin. OpenVINO reads Paddle's program itself.
"""

from __future__ import annotations

import json
import logging
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov
from openvino import properties

COMPUTING = {"Convolution", "GroupConvolution", "MatMul"}
"""OpenVINO's types of convolutions and products, which the comparison counts as layers."""
WHOLE = "intermediate_model.xml"
"""The name under which NNCF saves the model before any layer is reverted."""
TURNS, WARMUP = 20, 5
"""How often each model has a turn when latency is timed, and how many untimed calls a turn begins with."""


class Samples:
    """The validation set as NNCF reads it: its items are row numbers.

    by_outputs: whether NNCF ranks layers by the outputs for each sample. If not, it ranks them by which
    samples are answered right.
    whole: how many evaluations ran on all samples. ranked: how many samples ran to rank layers.
    """

    def __init__(self, name: str, inputs: Any, labels: Any, batch: int, by_outputs: bool) -> None:
        self.name, self.inputs, self.labels, self.batch = name, inputs, labels, batch
        self.by_outputs = by_outputs
        self.whole, self.ranked = 0, 0

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __getitem__(self, row: int) -> int:
        return range(len(self))[row]

    def feed(self, row: int) -> dict[str, Any]:
        """Called by NNCF for each sample that it runs to rank layers."""
        self.ranked += 1
        return {self.name: self.inputs[row : row + 1]}

    def validate(self, compiled: Any, rows: Iterable[int]) -> tuple[float, list[Any]]:
        """The top-1 accuracy, and what NNCF ranks layers by: whether each sample is right, or its outputs."""
        chosen = np.fromiter(rows, int)
        self.whole += len(chosen) == len(self)
        self.ranked += len(chosen) if 1 < len(chosen) < len(self) else 0
        answers = self.answers(compiled, chosen)
        right = answers.argmax(axis=1) == self.labels[chosen]
        each = [[answers[row : row + 1]] for row in range(len(chosen))] if self.by_outputs else list(right)
        return float(right.mean()), each

    def answers(self, compiled: Any, rows: Any) -> Any:
        parts = [rows[start : start + self.batch] for start in range(0, len(rows), self.batch)]
        return np.concatenate([compiled({self.name: self.inputs[part]})[0].copy() for part in parts])


class Told(logging.Handler):
    """Keeps what NNCF logs, which is where it says which operations it reverted."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def operations(self) -> int | None:
        """How many operations NNCF quantized; None where it reverted none, and so did not count them."""
        found = (
            re.search(r"number of quantized operations in the model: (\d+)", line) for line in self.lines
        )
        return next((int(match.group(1)) for match in found if match), None)

    def reverted(self) -> list[str] | None:
        """The names of the operations that NNCF reverted; None where it reverted all, and names none."""
        if any("All layers have been checked" in line for line in self.lines):
            return None
        found = [line for line in self.lines if "were reverted back" in line]
        return [name.strip() for line in found for name in line.splitlines()[1:]]


def searched(request: dict[str, Any], model: Any, samples: Samples, folder: Path) -> Any:
    """NNCF's model. All is left at its defaults but what the request says."""
    calibration = np.load(request["calibration"])
    options: dict[str, Any] = {}
    if request["transformer"]:
        options["model_type"] = nncf.ModelType.TRANSFORMER
    if request["one_scale"]:
        parameters = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
        options["advanced_quantization_parameters"] = nncf.AdvancedQuantizationParameters(
            weights_quantization_params=parameters
        )
    return nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(range(len(calibration)), lambda row: {samples.name: calibration[row : row + 1]}),
        nncf.Dataset(samples, samples.feed),
        samples.validate,
        max_drop=request["max_drop"],
        drop_type=nncf.DropType.ABSOLUTE,
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
            intermediate_model_dir=str(folder)
        ),
        **options,
    )


def compiled(model: Any, threads: int, precision: Any = ov.Type.f32) -> Any:
    """The model as OpenVINO's CPU plugin runs it.

    precision: what is not INT8 runs in it. Without this setting the plugin would take BF16 on CPUs with AMX.
    """
    settings = {
        properties.inference_num_threads(): threads,
        properties.hint.inference_precision(): precision,
    }
    return ov.compile_model(model, "CPU", settings)


def counts(model: Any, told: Told) -> dict[str, list[int]]:
    """How many layers NNCF reverted and how many there are, and the same for all operations."""
    names, operations = told.reverted(), told.operations() or 0
    layers = {each.get_friendly_name() for each in model.get_ops() if each.get_type_name() in COMPUTING}
    if names is None:
        return {"layers": [len(layers), len(layers)], "operations": [operations, operations]}
    return {"layers": [len(layers & set(names)), len(layers)], "operations": [len(names), operations]}


def medians_ms(models: dict[str, Any], feed: dict[str, Any], repeats: int) -> dict[str, float]:
    """The median latency of each, in turns."""
    timings: dict[str, list[float]] = {name: [] for name in models}
    runs: dict[str, Callable[[], Any]] = {}
    for name, model in models.items():
        request = model.create_infer_request()
        runs[name] = lambda request=request: request.infer(feed, share_inputs=True)  # type: ignore[misc]
    for _ in range(TURNS):
        for name, run in runs.items():
            for _ in range(WARMUP):
                run()
            for _ in range(repeats):
                started = time.perf_counter()
                run()
                timings[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in timings.items()}


def main() -> None:
    request, target = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    folder, told = target.parent, Told()
    logging.getLogger("nncf").addHandler(told)
    model = ov.convert_model(request["model"])
    name = model.inputs[0].get_any_name()
    inputs, labels = np.load(request["inputs"]), np.load(request["labels"])
    model.reshape({name: [-1, *inputs.shape[1:]]})
    samples = Samples(name, inputs, labels, request["batch"], request["by_outputs"])
    started = time.monotonic()
    final = searched(request, model, samples, folder)
    seconds = time.monotonic() - started
    whole = ov.Core().read_model(folder / WHOLE)
    ov.save_model(final, folder / "final.xml", compress_to_fp16=False)
    models = {"fp32": model, "whole": whole, "final": final}
    opened = {key: compiled(each, 1) for key, each in models.items()}
    rows = np.arange(len(samples))
    evaluations, ranked = samples.whole, samples.ranked
    right = {key: samples.answers(each, rows).argmax(axis=1) == labels for key, each in opened.items()}
    np.savez(folder / "right.npz", **right)
    feed = {name: inputs[: request["speed_batch"]]}
    result = {
        "versions": {"nncf": nncf.__version__, "openvino": ov.__version__},
        "seconds": seconds,
        "evaluations": evaluations,
        "ranked_samples": ranked,
        "reverted": told.reverted(),
        **counts(model, told),
        "accuracy": {key: float(each.mean()) for key, each in right.items()},
        "medians_ms": medians_ms(opened, feed, request["repeats"]),
        "log": told.lines,
    }
    target.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
