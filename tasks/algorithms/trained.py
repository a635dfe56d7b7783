"""What a training leaves for the candidates that are made of it.

A module of its own, so that no step's key holds the code of the training for the name of its file.
"""

from __future__ import annotations

import json
from dataclasses import replace

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.contracts.artifacts import Candidate, FinetunedArtifact, ModelArtifact
from paddle_int8.tasks.engines.paddle.quantization.finetune import SCALES_FILE


def trained_for(candidate: Candidate, finetuned: FinetunedArtifact | None) -> FinetunedArtifact | None:
    """`finetuned` where the candidate is made of a trained model, else None."""
    return finetuned if ALGORITHMS.find(candidate.algorithm).needs_training else None


def as_trained(
    model: ModelArtifact, finetuned: FinetunedArtifact | None
) -> tuple[ModelArtifact, dict[str, float]]:
    """The trained model, and the thresholds that it learned; without a training `model` and none."""
    if finetuned is None:
        return model, {}
    learned = json.loads((finetuned.folder / SCALES_FILE).read_text(encoding="utf-8"))
    return replace(model, folder=finetuned.folder, digest=finetuned.digest), learned
