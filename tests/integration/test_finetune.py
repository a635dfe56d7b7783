"""Quantization-aware training: what it learns, and that a killed run ends like an uninterrupted one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QatConfig, QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, ModelArtifact
from paddle_int8.tasks.contracts.errors import QuantizationError, TrainingError
from paddle_int8.tasks.data.sources.callable import CallableSource
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.quantization.finetune import (
    FinetuneOutcome,
    FinetuneRequest,
    finetune_model,
    total_steps,
)
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqOutcome, quantize_model
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_release import SmallRelease

pytestmark = pytest.mark.paddle

NOWHERE = CallableSource(kind="callable", function="tests.nothing:here")
CONFIG = QatConfig(data=NOWHERE, epochs=4, batch_size=16, learning_rate=1e-3, checkpoint_every_s=0)
STEPS = 12


class KilledError(Exception):
    """Raised in the parent, which then kills the training's process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    folder: Path
    outcome: FinetuneOutcome


def run(release: SmallRelease, folder: Path, config: QatConfig = CONFIG, checkpoint: str = "own") -> Trained:
    request = FinetuneRequest(
        model=release.model,
        data=release.validation,
        config=config,
        op_types=QuantizationConfig().op_types,
        skip_tensors=(),
        keep_fp32=(),
        weight_quantize_type="channel_wise_abs_max",
        folder=folder / "trained",
        checkpoint=folder / checkpoint,
    )
    request.folder.mkdir(parents=True, exist_ok=True)
    outcome = run_isolated(finetune_model, request, step="train", log=folder / "log", timeout_s=200)
    return Trained(folder=request.folder, outcome=outcome)


@pytest.fixture(scope="module")
def trained(small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(small_release, tmp_path_factory.mktemp("finetune"))


def killed_after(release: SmallRelease, folder: Path, steps: int) -> None:
    def kill(event: progress.Progress) -> None:
        if event.done == steps and not event.ended:
            raise KilledError

    with pytest.raises(KilledError), progress.listen(kill):
        run(release, folder)


def weights(folder: Path) -> dict[str, Any]:
    from paddle_int8.tasks.engines.paddle.program import load_program

    loaded = load_program(find_model(ModelFiles(path=folder)))
    from paddle_int8.tasks.engines.paddle.training.loop import Variables

    return Variables(loaded.program, loaded.scope).read()


def test_training_changes_the_weights_and_learns_a_scale_for_every_layer(
    small_release: SmallRelease, trained: Trained
) -> None:
    assert trained.outcome.steps == STEPS == total_steps(small_release.validation.samples, CONFIG)
    assert trained.outcome.resumed_from == 0
    assert trained.outcome.digest != small_release.model.digest
    history = json.loads((trained.folder / "history.json").read_text())
    assert len(history["loss"]) == len(history["accuracy"]) == STEPS
    assert sum(history["loss"][-3:]) < sum(history["loss"][:3])
    scales = json.loads((trained.folder / "scales.json").read_text())
    assert all(scale > 0 for scale in scales.values())
    assert "image" in scales


def test_killed_training_goes_on_and_ends_bit_equal(
    small_release: SmallRelease, trained: Trained, tmp_path: Path
) -> None:
    killed_after(small_release, tmp_path, 7)
    resumed = run(small_release, tmp_path)
    assert 6 <= resumed.outcome.resumed_from < STEPS
    assert resumed.outcome.digest == trained.outcome.digest
    for name in ("scales.json", "history.json"):
        assert (resumed.folder / name).read_text() == (trained.folder / name).read_text()


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "learning"])
def test_batch_norm_statistics_stay_or_follow(
    small_release: SmallRelease, trained: Trained, tmp_path: Path, frozen: bool
) -> None:
    folder = (
        trained.folder
        if frozen
        else run(small_release, tmp_path, CONFIG.model_copy(update={"freeze_batch_norm": False})).folder
    )
    log = tmp_path / "log"
    before = run_isolated(weights, small_release.model.folder, step="read", log=log, timeout_s=60)
    after = run_isolated(weights, folder, step="read", log=log, timeout_s=60)
    statistics = [name for name in before if name.endswith((".w_1", ".w_2"))]
    assert statistics
    assert all(np.array_equal(before[name], after[name]) == frozen for name in statistics)


def quantized(
    release: SmallRelease, trained: Trained, folder: Path, layout: str, **options: Any
) -> PtqOutcome:
    folder.mkdir(exist_ok=True)
    model: ModelArtifact = replace(release.model, folder=trained.folder)
    request = ptq_request(
        model=model,
        calibration=release.validation,
        candidate=Candidate(algorithm="qat", layout=layout),
        config=QuantizationConfig(**options),
        batch_size=10,
        folder=folder,
    )
    request = replace(request, learned=json.loads((trained.folder / "scales.json").read_text()))
    return run_isolated(quantize_model, request, step="quantize", log=folder / "log", timeout_s=100)


@pytest.mark.parametrize("layout", ["offline", "qdq"])
def test_candidate_takes_the_learned_scales(
    small_release: SmallRelease, trained: Trained, tmp_path: Path, layout: str
) -> None:
    outcome = quantized(small_release, trained, tmp_path, layout)
    learned = json.loads((trained.folder / "scales.json").read_text())
    written = json.loads((tmp_path / "scales.json").read_text())
    assert sum(outcome.quantized_ops.values()) == 28
    shared = learned.keys() & written.keys()
    assert len(shared) >= 28
    assert all(written[name] == learned[name] for name in shared)


def test_trained_weights_are_rounded_as_they_were_in_the_training(
    small_release: SmallRelease, trained: Trained, tmp_path: Path
) -> None:
    plain = quantized(small_release, trained, tmp_path / "plain", "qdq")
    options = {"bias_correction": True, "round_type": "adaround"}
    asked = quantized(small_release, trained, tmp_path / "asked", "qdq", **options)
    assert asked.digest == plain.digest


def test_training_that_diverges_says_where(small_release: SmallRelease, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"loss (nan|inf) in step \d+ of 12"):
        run(small_release, tmp_path, CONFIG.model_copy(update={"learning_rate": 1e30}))


def test_objective_that_does_not_exist_is_named(small_release: SmallRelease, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match=r"tests\.nothing:here"):
        run(small_release, tmp_path, CONFIG.model_copy(update={"objective": "tests.nothing:here"}))


def fails(outputs: object, label: object) -> object:
    """An objective with a defect."""
    raise KeyError("no such output")


def test_objective_that_fails_leaves_its_traceback_in_the_log(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    with pytest.raises(QuantizationError, match="could not be trained: KeyError"):
        run(small_release, tmp_path, CONFIG.model_copy(update={"objective": f"{__name__}:fails"}))
    assert "in fails" in (tmp_path / "log").read_text()
