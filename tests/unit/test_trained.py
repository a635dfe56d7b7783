"""What a candidate takes over from a training, and which candidates do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paddle_int8.tasks.algorithms.trained import as_trained, trained_for
from paddle_int8.tasks.contracts.artifacts import Candidate, FinetunedArtifact
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.engines.paddle.quantization.finetune import SCALES_FILE
from tests.release_factory import build_model


def finetuned(folder: Path) -> FinetunedArtifact:
    (folder / SCALES_FILE).write_text(json.dumps({"relu_0.tmp_0": 3.5}))
    return FinetunedArtifact(
        folder=StoredPath(folder),
        digest="trained",
        steps=1,
        resumed_from=0,
        seconds=1.0,
        peak_memory_bytes=1,
        log=folder / "log",
    )


def test_trained_model_and_its_thresholds_take_the_place_of_the_given_one(tmp_path: Path) -> None:
    given = build_model()
    model, learned = as_trained(given, finetuned(tmp_path))
    assert (model.folder, model.digest) == (tmp_path, "trained")
    assert model.inputs == given.inputs
    assert learned == {"relu_0.tmp_0": 3.5}
    assert as_trained(given, None) == (given, {})


@pytest.mark.parametrize(("algorithm", "takes"), [("qat", True), ("hist", False), ("smooth", False)])
def test_only_candidates_of_a_training_take_what_it_made(tmp_path: Path, algorithm: str, takes: bool) -> None:
    made = finetuned(tmp_path)
    assert (trained_for(Candidate(algorithm=algorithm, layout="qdq"), made) is made) == takes
