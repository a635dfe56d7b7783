"""The smallest inputs that a whole release accepts: two exported networks, and data of noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from paddle_int8.tasks.engines.paddle.switches import BASELINE

SIDE, CLASSES, WIDTH = 16, 10, 8
SAMPLES = 400
# top5: the classes of this untrained network are nearly tied, and saturation without VNNI swaps them
LENIENT = {"metric": "top5", "max_drop_pp": 10.0, "min_speedup": 0.01, "min_int8_share": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallInputs:
    """A folder with `model/`, `other_model/` (of another width), `calibration.npz`, `validation.npz`, and
    `taught.npz`, labelled by the model itself."""

    folder: Path

    def config(self, path: Path, name: str, **changes: Any) -> Path:
        """A release of one candidate and no search, written to `path`. `changes` are merged in by section.

        A `model` is another one, whole.
        """
        data = {
            "calibration": {"kind": "npz", "path": str(self.folder / "calibration.npz")},
            "validation": {"kind": "npz", "path": str(self.folder / "validation.npz")},
            "preprocessing": {"layout": "as_is"},
            "calibration_samples": 8,
        }
        sections: dict[str, Any] = {
            "model": {"path": str(self.folder / "model")},
            "data": data,
            "hardware": {"policy": "ignore"},
            "quantization": {"algorithms": ["abs_max"], "layouts": ["offline"], "strategy": "grid"},
            "validation": {"repeats": 20, "warmup": 0, "processes": 3},
        }
        for section, values in changes.items():
            sections[section] = values if section == "model" else sections.get(section, {}) | values
        path.write_text(yaml.safe_dump({"name": name, **sections}), encoding="utf-8")
        return path

    def approvable(self, path: Path, name: str, **changes: Any) -> Path:
        """A release that the gate approves: the model is right on its data, and the gate is lenient."""
        taught = {"validation": {"kind": "npz", "path": str(self.folder / "taught.npz")}}
        sections = {"data": taught, "gate": LENIENT}
        for section, values in changes.items():
            sections[section] = sections.get(section, {}) | values
        return self.config(path, name, **sections)


def noise(count: int, seed: int) -> Any:
    """[count, 3, SIDE, SIDE] float32."""
    return np.random.default_rng(seed).standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)


def labels(count: int) -> Any:
    return np.arange(count) % CLASSES


def save_data(path: Path, count: int, seed: int) -> Path:
    np.savez(path, image=noise(count, seed), labels=labels(count))
    return path


def small_network(width: int = WIDTH, classes: int = CLASSES) -> Any:
    from paddle import nn

    network = nn.Sequential(
        *(nn.Conv2D(3, width, 3, bias_attr=False), nn.BatchNorm2D(width), nn.ReLU()),
        *(nn.Conv2D(width, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2D(2), nn.Flatten()),
        nn.Linear(64, classes),
    )
    network.eval()
    return network


def export(folder: Path, dtype: str = "float32") -> None:
    """Runs in an isolated process."""
    import paddle

    paddle.seed(0)
    for name, width in (("model", WIDTH), ("other_model", 16)):
        network = small_network(width)
        network.to(dtype=dtype)
        spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], dtype, "image")
        paddle.jit.save(network, str(folder / name / "model"), input_spec=[spec])


def teach(folder: Path) -> None:
    """Writes `taught.npz`: noise labelled by the FP32 model, those that it is surest of. Runs isolated."""
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    image = noise(5 * SAMPLES, seed=3)
    (logits,) = open_predictor(spec_of(folder / "model", BASELINE, 1)).run({"image": image})
    ranked = np.sort(logits, axis=1)
    surest = np.argsort(ranked[:, -2] - ranked[:, -1])[:SAMPLES]
    np.savez(folder / "taught.npz", image=image[surest], labels=logits[surest].argmax(axis=1))
