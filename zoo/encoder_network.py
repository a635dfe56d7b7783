"""The Transformer encoder of ERNIE and BERT, with a classifier.

It imports Paddle, so only functions that run in an isolated process may import this module.
Source: Devlin et al. 2019, arXiv:1810.04805; Sun et al. 2019, arXiv:1904.09223. ERNIE's base size is 12
layers, hidden 768, 12 heads, ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import paddle
from paddle import nn

INITIAL_DEVIATION = 0.02
PADDING = 0
FAR_BELOW = -1e4
"""The number added to the attention scores of padding; 16-bit floats can represent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of an encoder. `length` is the longest sequence, `vocabulary` the number of token ids."""

    vocabulary: int
    length: int = 128
    layers: int = 12
    hidden: int = 768
    heads: int = 12
    activation: str = "relu"
    dropout: float = 0.1


class Encoder(nn.Layer):  # type: ignore[misc]  # Paddle has no types
    """Maps token ids [N, length] to a vector for each token [N, length, hidden]; id 0 is padding."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        normal = paddle.ParamAttr(initializer=nn.initializer.TruncatedNormal(std=INITIAL_DEVIATION))
        self.length, self.hidden = size.length, size.hidden
        self.words = nn.Embedding(size.vocabulary, size.hidden, weight_attr=normal)
        self.places = nn.Embedding(size.length, size.hidden, weight_attr=normal)
        self.norm = nn.LayerNorm(size.hidden)
        self.dropout = nn.Dropout(size.dropout)
        layer = nn.TransformerEncoderLayer(
            size.hidden,
            size.heads,
            4 * size.hidden,
            dropout=size.dropout,
            activation=size.activation,
            weight_attr=normal,
        )
        self.encoder = nn.TransformerEncoder(layer, size.layers)

    def forward(self, tokens: paddle.Tensor) -> paddle.Tensor:
        masked = (tokens == PADDING).astype("float32").unsqueeze([1, 2]) * FAR_BELOW
        embedded = self.words(tokens) + self.places(paddle.arange(self.length))
        return self.encoder(self.dropout(self.norm(embedded)), masked)


class Ernie(nn.Layer):  # type: ignore[misc]
    """Maps token ids [N, length] to logits [N, classes], computed from the vector of the first token."""

    def __init__(self, size: Size, classes: int = 2) -> None:
        super().__init__()
        self.encoder = Encoder(size)
        self.pooler = nn.Linear(size.hidden, size.hidden)
        self.classifier = nn.Linear(size.hidden, classes)

    def forward(self, tokens: paddle.Tensor) -> paddle.Tensor:
        return self.classifier(paddle.tanh(self.pooler(self.encoder(tokens)[:, 0])))


class MeanPooled(nn.Layer):  # type: ignore[misc]
    """Maps token ids [N, length] to the mean of the tokens' vectors [N, hidden]."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: paddle.Tensor) -> paddle.Tensor:
        there = (tokens != PADDING).astype("float32").unsqueeze(2)
        return (self.encoder(tokens) * there).sum(axis=1) / there.sum(axis=1)


def export(network: nn.Layer, length: int, folder: Path) -> None:
    """Exports a network as `folder/model.*`; its input is `tokens`, int64 [-1, length]."""
    network.eval()
    spec = paddle.static.InputSpec([None, length], "int64", "tokens")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
