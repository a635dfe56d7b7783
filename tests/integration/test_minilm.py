"""The pre-trained encoder in Paddle answers as BERT's equations say, which NumPy computes again here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import erf, softmax

from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint, Saved
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.zoo.minilm import BATCH, HEADS, NAMES
from paddle_int8.zoo.reuters import LENGTH

pytestmark = pytest.mark.paddle

HIDDEN, LAYERS, VOCABULARY = 2 * HEADS, 2, 50
Array = npt.NDArray[Any]


def random_weights() -> dict[str, Array]:
    """Named and shaped as in the real archive, [out, in]."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return (0.3 * random.standard_normal(shape)).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": normal(512, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
        "embeddings.LayerNorm.weight": 1 + normal(HIDDEN),
        "embeddings.LayerNorm.bias": normal(HIDDEN),
    }
    shapes = {"intermediate.dense": (4 * HIDDEN, HIDDEN), "output.dense": (HIDDEN, 4 * HIDDEN)}
    for layer in range(LAYERS):
        for name in NAMES.values():
            prefix = f"encoder.layer.{layer}.{name}"
            norm = name.endswith("LayerNorm")
            shape = shapes.get(name, (HIDDEN, HIDDEN))
            weights[f"{prefix}.weight"] = 1 + normal(HIDDEN) if norm else normal(*shape)
            weights[f"{prefix}.bias"] = normal(HIDDEN if norm else shape[0])
    return weights


def expected(weights: dict[str, Array], tokens: Array) -> Array:
    """Mean of the encoded tokens, [N, hidden], by the equations of arXiv:1810.04805."""

    def norm(values: Array, name: str) -> Array:
        centred = values - values.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def dense(values: Array, name: str) -> Array:
        return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def heads(values: Array) -> Array:
        return values.reshape(len(tokens), LENGTH, HEADS, -1).transpose(0, 2, 1, 3)

    there = tokens != 0
    values = norm(
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][:LENGTH]
        + weights["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm",
    )
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        query, key, value = (
            heads(dense(values, f"{name}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(HIDDEN // HEADS)
        mixed = softmax(np.where(there[:, None, None], scores, -np.inf), axis=-1) @ value
        mixed = mixed.transpose(0, 2, 1, 3).reshape(values.shape)
        attended = dense(mixed, f"{name}.attention.output.dense")
        values = norm(values + attended, f"{name}.attention.output.LayerNorm")
        wide = dense(values, f"{name}.intermediate.dense")
        wide = wide * (1 + erf(wide / np.sqrt(2))) / 2
        values = norm(values + dense(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return (values * there[:, :, None]).sum(axis=1) / there.sum(axis=1, keepdims=True)


def embedded(weights: dict[str, Array], tokens: Array) -> Array:
    """By the network that is exported. Runs in an isolated process."""
    import paddle

    from paddle_int8.zoo.encoder_network import MeanPooled
    from paddle_int8.zoo.minilm import _encoder

    network = MeanPooled(_encoder(weights))
    network.eval()
    answer: Array = network(paddle.to_tensor(tokens)).numpy()
    return answer


def encode_on(weights: dict[str, Array], tokens: Array, checkpoint: Path) -> tuple[Array, Array, list[int]]:
    """The vectors of a run without a break, those of one that goes on after half, and its progress."""
    from paddle_int8.zoo.encoder_network import MeanPooled
    from paddle_int8.zoo.minilm import _encode, _encoder

    pooled = MeanPooled(_encoder(weights))
    whole = _encode(pooled, tokens, lambda done, total, note: None, None)
    half = len(tokens) // 2
    Checkpoint(checkpoint).save(Saved(arrays={"vectors": whole[:half]}, losses=[], accuracies=[]))
    heard: list[int] = []
    resumed = _encode(pooled, tokens, lambda done, total, note: heard.append(done), checkpoint)
    return whole, resumed, heard


def test_encoding_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    tokens = np.random.default_rng(2).integers(1, VOCABULARY, (4 * BATCH, LENGTH))
    arguments = (random_weights(), tokens, tmp_path / "checkpoint")
    whole, resumed, heard = run_isolated(
        encode_on, *arguments, step="encode", log=tmp_path / "log", timeout_s=120
    )
    np.testing.assert_array_equal(resumed, whole)
    assert heard == [3 * BATCH, 4 * BATCH]


def test_encoder_with_pretrained_weights_answers_as_bert_does(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    tokens = random.integers(1, VOCABULARY, (3, LENGTH))
    tokens[1, 40:] = 0
    weights = random_weights()
    found = run_isolated(embedded, weights, tokens, step="embed", log=tmp_path / "log", timeout_s=120)
    np.testing.assert_allclose(found, expected(weights, tokens), rtol=1e-4, atol=1e-5)
