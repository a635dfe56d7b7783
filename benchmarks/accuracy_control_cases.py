"""What `benchmarks.accuracy_control` searches on: FP32 models, their releases, and samples as arrays."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.data.dataset import LABELS, draw_dataset, input_file
from paddle_int8.tasks.data.preprocessing import normalise
from paddle_int8.tasks.engines.paddle.files import ModelSource, find_model
from paddle_int8.tasks.process.isolated import run_isolated

ROOT = Path(__file__).parents[1]
PLANTED = {"convolutions": "images", "encoder": "encoder"}
"""Which network of `tests.e2e.planted` a case means by its name in front of the seed."""
CONFIGURED = ("swin", "text_direction")
CASES = (*CONFIGURED, *(f"{name}-{seed}" for name in PLANTED for seed in (0, 1)))
TIME_LIMIT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A folder that holds the configuration of a release, and what it reads as OpenVINO and NNCF read it.

    name: one of `CASES`. folder: with `release.yaml`, `openvino/model.pdmodel` and three arrays.
    """

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "release.yaml"

    @property
    def config(self) -> ReleaseConfig:
        return load_config(self.path)

    @property
    def model(self) -> ModelSource:
        assert isinstance(self.config.model, ModelFiles)
        return find_model(self.config.model)

    @property
    def readable(self) -> Path:
        """The program that OpenVINO reads."""
        return self.folder / "openvino" / "model.pdmodel"

    def array(self, name: str) -> Path:
        """The file of `calibration`, `inputs` or `labels`; the first two are as the model reads them."""
        return self.folder / f"{name}.npy"

    def isolated(self, function: Any, *arguments: object) -> Any:
        name = str(function.__name__)
        return run_isolated(function, *arguments, step=name, log=self.folder / "log", timeout_s=TIME_LIMIT_S)


def prepared(name: str, root: Path) -> Case:
    """The case, after what is missing was made: its trained model, its configuration, its samples."""
    case = Case(name=name, folder=(root / name).resolve())
    done = case.folder / "done"
    if not done.exists():
        case.folder.mkdir(parents=True, exist_ok=True)
        (_configure if name in CONFIGURED else _plant)(case)
        case.readable.parent.mkdir(exist_ok=True)
        spec = case.isolated(write_readable, case.model, case.readable.parent)
        data = case.config.data
        for part, source, count in (
            ("calibration", data.calibration, data.calibration_samples),
            ("inputs", data.validation, data.validation_samples),
        ):
            drawn = case.folder / "drawn" / part
            shutil.rmtree(drawn, ignore_errors=True)
            drawn.mkdir(parents=True)
            case.isolated(draw_dataset, source, count, data, (spec,), drawn, part)
            np.save(case.array(part), normalise(np.load(input_file(drawn, spec.name)), data.preprocessing))
            if part == "inputs":
                shutil.copy(drawn / LABELS, case.array("labels"))
        done.touch()
    return case


def _configure(case: Case) -> None:
    """The configuration of `configs/mixed` with the strategy `mixed`, and the folder of its model."""
    raw = yaml.safe_load((ROOT / "configs" / "mixed" / f"{case.name}.yaml").read_text(encoding="utf-8"))
    if "train" in raw["model"]:
        target = case.folder / "model"
        if not (target / "model.pdiparams").exists():
            target.mkdir(exist_ok=True)
            case.isolated(train, target, raw["model"]["arguments"])
        raw["model"] = {"path": str(target)}
    raw["quantization"]["strategy"] = "mixed"
    case.path.write_text(yaml.safe_dump(raw), encoding="utf-8")


def _plant(case: Case) -> None:
    """The release of a planted network that the test suite has."""
    from tests.e2e.planted import export, gated
    from tests.e2e.small_inputs import SmallInputs, save_data, teach

    name, _, seed = case.name.partition("-")
    case.isolated(export, PLANTED[name], int(seed), case.folder)
    case.isolated(teach, case.folder)
    save_data(case.folder / "calibration.npz", 16, seed=1)
    grid: dict[str, Any] = {"algorithms": ["abs_max"], "layouts": ["qdq"], "strategy": "mixed"}
    gated(SmallInputs(folder=case.folder), case.path, case.name, **grid)


def train(folder: Path, arguments: dict[str, Any]) -> None:
    """Trains the Swin Transformer. Runs in an isolated process."""
    from paddle_int8.zoo.fashion_mnist import train_swin

    train_swin(folder, lambda done, total, note: None, **arguments)


def write_readable(source: ModelSource, folder: Path) -> Any:
    """Writes the model for OpenVINO, and returns the spec of its one input. Runs in an isolated process.

    OpenVINO cannot read the operator `unbind`; one `slice` for each of its outputs takes its place.
    """
    from paddle_int8.tasks.engines.paddle.blocks import operators, position
    from paddle_int8.tasks.engines.paddle.load import prepare_model
    from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, remove_operator
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    prepared_folder = folder / "prepared"
    prepared_folder.mkdir(exist_ok=True)
    (spec,) = prepare_model(source, prepared_folder).inputs
    loaded = load_program(source)
    for block, op in operators(loaded, "unbind"):
        place, axis = position(block, op), op.attr("axis")
        for index, name in enumerate(op.output("Out")):
            attributes = {"axes": [axis], "starts": [index], "ends": [index + 1], "decrease_axis": [axis]}
            insert_operator(
                block,
                place,
                type="slice",
                inputs={"Input": op.input("X")},
                outputs={"Out": [name]},
                attrs=attributes | {"infer_flags": [1]},
            )
        remove_operator(block, place + len(op.output("Out")))
    save_program(loaded, folder)
    return spec


def write_right(models: Mapping[str, Path], inputs: Path, labels: Path, batch: int, target: Path) -> None:
    """Writes to `target`, by the name of each model, which samples it answers right. Runs isolated.

    models: the folders of FP32 models, and of bundles, which have a `deployment.json`.
    """
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.serving import load_bundle
    from paddle_int8.tasks.engines.paddle.switches import BASELINE

    samples, expected, right = np.load(inputs), np.load(labels), {}
    for name, folder in models.items():
        bundle = (folder / "deployment.json").exists()
        predictor = load_bundle(folder) if bundle else open_predictor(spec_of(folder, BASELINE, 1))
        (key,) = predictor.input_names
        starts = range(0, len(samples), batch)
        answers = [predictor.run({key: samples[start : start + batch]})[0] for start in starts]
        right[name] = np.concatenate(answers).argmax(axis=1) == expected
    np.savez(target, **right)
