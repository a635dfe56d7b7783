"""The smallest inputs that a whole release accepts: two exported networks and data of noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

SIDE, CLASSES = 16, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallInputs:
    """A folder with `model/`, `other_model/` (of another width), `calibration.npz` and `validation.npz`."""

    folder: Path

    def config(self, path: Path, name: str, **changes: Any) -> Path:
        """A release of one candidate, written to `path`. `changes` are merged in, section by section."""
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
            "quantization": {"algorithms": ["abs_max"], "layouts": ["offline"]},
            "validation": {"repeats": 20, "warmup": 0},
        }
        for section, values in changes.items():
            sections[section] = sections.get(section, {}) | values
        path.write_text(yaml.safe_dump({"name": name, **sections}), encoding="utf-8")
        return path


def noise(count: int, seed: int) -> Any:
    """[count, 3, SIDE, SIDE] float32."""
    return np.random.default_rng(seed).standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)


def labels(count: int) -> Any:
    return np.arange(count) % CLASSES


def save_data(path: Path, count: int, seed: int) -> Path:
    np.savez(path, image=noise(count, seed), labels=labels(count))
    return path


def export(folder: Path) -> None:
    """Runs in an isolated process."""
    import paddle
    from paddle import nn

    paddle.seed(0)
    for name, width in (("model", 8), ("other_model", 16)):
        network = nn.Sequential(
            *(nn.Conv2D(3, width, 3, bias_attr=False), nn.BatchNorm2D(width), nn.ReLU()),
            *(nn.Conv2D(width, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2D(2), nn.Flatten()),
            nn.Linear(64, CLASSES),
        )
        network.eval()
        spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
        paddle.jit.save(network, str(folder / name / "model"), input_spec=[spec])
