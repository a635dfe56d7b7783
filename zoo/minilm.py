"""MiniLM, a pre-trained encoder of English, with a classifier trained here on Reuters R8.

Only `train_minilm` imports Paddle, since it runs in an isolated process.
Source: Wang et al. 2020, arXiv:2002.10957; the weights of sentence-transformers' all-MiniLM-L6-v2.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.contracts.errors import TrainingError
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.private.networks import set_epsilon
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint, Saved
from paddle_int8.zoo.reuters import CLASSES, LENGTH, archive, read_member, reuters

if TYPE_CHECKING:
    from paddle_int8.zoo.encoder_network import Encoder, MeanPooled

WEIGHTS = "model.safetensors"
HEADS = 12
NORM_EPSILON = 1e-12
BATCH, HEAD_BATCH, HEAD_EPOCHS, RATE = 32, 64, 40, 3e-3
SAVE_EVERY_S = 30.0
NAMES = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}
"""Paddle's names for the parts of a layer, and the names of the same parts in the weights."""

Weights = dict[str, npt.NDArray[np.float32]]
Tokens = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
logger = logging.getLogger(__name__)


def train_minilm(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    corpus: str | Path | None = None,
    model: str | Path | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> None:
    """Trains a linear classifier on the frozen encoder, and exports both as `folder/model.*`.

    The input is `tokens` [-1, 128].
    checkpoint: a folder with the progress of a killed run, from which training resumes.

    Raises: DataError without the weights or the corpus, TrainingError when the loss is not finite.
    """
    import paddle
    from safetensors.numpy import load

    from paddle_int8.zoo.encoder_network import MeanPooled, export
    from paddle_int8.zoo.network import Recipe, train_network

    tokens, labels = reuters("train", corpus, model)
    paddle.seed(seed)
    encoder = _encoder(load(read_member(archive(model), WEIGHTS)))
    pooled, head = MeanPooled(encoder), paddle.nn.Linear(encoder.hidden, len(CLASSES))
    of_vectors, of_head = (checkpoint / "encoded", checkpoint / "head") if checkpoint else (None, None)
    vectors = _encode(pooled, tokens, progress, of_vectors)
    recipe = Recipe(epochs=HEAD_EPOCHS, batch=HEAD_BATCH, peak_rate=RATE, seed=seed)
    train_network(head, vectors, labels, recipe, progress, of_head)
    export(paddle.nn.Sequential(pooled, head), LENGTH, folder)


def _encode(
    pooled: MeanPooled, tokens: Tokens, progress: Callable[[int, int, str], None], checkpoint: Path | None
) -> Vectors:
    """The vectors [N, hidden] that the frozen encoder makes of `tokens`.

    This takes most of the time of the training, so the vectors are saved now and then. Paddle Inference on
    oneDNN computes them in a sixth of the time that the kernels for training take.
    """
    from paddle_int8.zoo.encoder_network import export

    with tempfile.TemporaryDirectory() as frozen:
        export(pooled, LENGTH, Path(frozen))
        encoder = open_predictor(spec_of(Path(frozen), BASELINE, threads=1))
    store = Checkpoint(checkpoint) if checkpoint else None
    saved = store.load() if store else None
    parts, last = [saved.arrays["vectors"]] if saved else [], time.monotonic()
    for start in range(len(parts[0]) if parts else 0, len(tokens), BATCH):
        (made,) = encoder.run({"tokens": tokens[start : start + BATCH]})
        parts.append(made)
        done = min(start + BATCH, len(tokens))
        progress(done, len(tokens), "encoding")
        if store and time.monotonic() - last >= SAVE_EVERY_S:
            parts, last = [np.concatenate(parts)], time.monotonic()
            store.save(Saved(arrays={"vectors": parts[0]}, losses=[], accuracies=[]))
            logger.info("saved after %d of %d texts", done, len(tokens))
    return np.concatenate(parts)


def _encoder(weights: Weights) -> Encoder:
    """The encoder with the pre-trained weights.

    The only token type's embedding is added to the embeddings of the positions.
    """
    import paddle
    from paddle import nn

    from paddle_int8.zoo.encoder_network import Encoder, Size

    vocabulary, hidden = weights["embeddings.word_embeddings.weight"].shape
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    encoder = Encoder(
        Size(
            vocabulary=vocabulary,
            length=LENGTH,
            layers=layers,
            hidden=hidden,
            heads=HEADS,
            activation="gelu",
            dropout=0.0,
        )
    )
    places = weights["embeddings.position_embeddings.weight"][:LENGTH]
    state = {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "places.weight": places + weights["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    for layer in range(layers):
        for ours, theirs in NAMES.items():
            for kind in ("weight", "bias"):
                value = weights[f"encoder.layer.{layer}.{theirs}.{kind}"]
                state[f"encoder.layers.{layer}.{ours}.{kind}"] = value.T if value.ndim == 2 else value
    for part in encoder.sublayers():
        if isinstance(part, nn.LayerNorm):
            set_epsilon(part, NORM_EPSILON)
    missing, unknown = encoder.set_state_dict(
        {name: paddle.to_tensor(value) for name, value in state.items()}
    )
    if missing or unknown:
        raise TrainingError(
            found=f"weights without {missing}, with {unknown}",
            required="the weights of all-MiniLM-L6-v2",
            remedy="fetch them anew",
        )
    return encoder
