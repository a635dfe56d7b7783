"""Whole networks, with random weights. Paddle 3 alone imports this file, beside NumPy.

A case makes a layer, its inputs, and the dimensions of each input that the exported program leaves free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.vision import models

RANDOM = np.random.default_rng(0)
BATCH = {0: [0]}
PICTURE_SIDE = 64
VISION = {
    "alexnet": 224,
    "densenet121": PICTURE_SIDE,
    "googlenet": 224,
    "inception_v3": 299,
    "mobilenet_v1": PICTURE_SIDE,
    "mobilenet_v2": PICTURE_SIDE,
    "mobilenet_v3_large": PICTURE_SIDE,
    "mobilenet_v3_small": PICTURE_SIDE,
    "resnet18": PICTURE_SIDE,
    "resnet50": PICTURE_SIDE,
    "resnext50_32x4d": PICTURE_SIDE,
    "shufflenet_v2_swish": PICTURE_SIDE,
    "shufflenet_v2_x0_25": PICTURE_SIDE,
    "squeezenet1_0": 224,
    "squeezenet1_1": 224,
    "vgg11": 64,
    "wide_resnet50_2": PICTURE_SIDE,
}
"""One of each family, with the side of the pictures that it is tried on."""


def pictures(side: int, count: int = 2, channels: int = 3) -> Any:
    return RANDOM.standard_normal((count, channels, side, side)).astype("float32")


def vision() -> Mapping[str, Any]:
    def made(name: str, side: int) -> Any:
        return lambda: (getattr(models, name)(num_classes=10), [pictures(side)], BATCH)

    return {
        "lenet": lambda: (models.LeNet(), [pictures(28, channels=1)], BATCH),
        **{name: made(name, side) for name, side in VISION.items()},
    }


class Ernie(nn.Layer):  # type: ignore[misc]
    """Embeddings, a mask of what is padding, an encoder, and a classifier of the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(100, 32), nn.Embedding(64, 32), nn.Embedding(2, 32)
        self.norm, self.dropout = nn.LayerNorm(32), nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.1, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.pooler, self.answers = nn.Linear(32, 32), nn.Linear(32, 3)

    def forward(self, ids: Any, kinds: Any) -> Any:
        mask = ((ids == 0).astype("float32") * -1e4).unsqueeze([1, 2])
        ones = paddle.ones_like(ids)
        places = paddle.cumsum(ones, axis=-1) - ones
        hidden = self.words(ids) + self.places(places) + self.kinds(kinds)
        hidden = self.encoder(self.dropout(self.norm(hidden)), mask)
        return self.answers(paddle.tanh(self.pooler(hidden[:, 0])))


class Reader(nn.Layer):  # type: ignore[misc]
    """A recogniser of text: convolutions, two bidirectional LSTMs over the columns, letters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm2D(8), nn.Hardswish(), nn.MaxPool2D(2)),
            *(nn.Conv2D(8, 16, 3, padding=1), nn.BatchNorm2D(16), nn.Hardswish(), nn.MaxPool2D([4, 2])),
        )
        self.steps = nn.LSTM(16, 12, 2, "bidirect")
        self.letters = nn.Linear(24, 20)

    def forward(self, picture: Any) -> Any:
        columns = self.features(picture).mean(axis=2).transpose([0, 2, 1])
        steps, _ = self.steps(columns)
        return nn.functional.softmax(self.letters(steps), axis=2)


class Segmenter(nn.Layer):  # type: ignore[misc]
    """An encoder and a decoder whose maps are resized to each other's sizes, and to the picture's."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2D(3, 8, 3, 2, 1), nn.BatchNorm2D(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2D(8, 16, 3, 2, 1), nn.BatchNorm2D(16), nn.ReLU())
        self.context = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Conv2D(16, 16, 1), nn.Sigmoid())
        self.aside, self.head = nn.Conv2D(16, 8, 1), nn.Conv2D(16, 4, 3, padding=1)

    def forward(self, picture: Any) -> Any:
        first = self.first(picture)
        second = self.second(first)
        second = second * self.context(second)
        wider = nn.functional.interpolate(self.aside(second), first.shape[2:], mode="bilinear")
        both = self.head(paddle.concat([first, wider], axis=1))
        scores = nn.functional.interpolate(
            both, paddle.shape(picture)[2:], mode="bilinear", align_corners=True
        )
        return paddle.argmax(scores, axis=1), scores


class Detector(nn.Layer):  # type: ignore[misc]
    """One map of a detector with anchors, its boxes, and the suppression of those that overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2D(3, 8, 3, 8, 1), nn.LeakyReLU(0.1), nn.Conv2D(8, 16, 1))

    def forward(self, picture: Any, size: Any) -> Any:
        boxes, scores = paddle.vision.ops.yolo_box(self.features(picture), size, [10, 13, 16, 30], 3, 0.01, 8)
        scores = paddle.transpose(scores, [0, 2, 1])
        return paddle._C_ops.multiclass_nms3(boxes, scores, None, 0.01, 50, 20, 0.45, True, 1.0, -1)


class Loop(nn.Layer):  # type: ignore[misc]
    """A loop whose length is a number of the input, and a branch on a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Any, count: Any) -> Any:
        i = paddle.zeros([1], "int64")
        while i < count:
            x = paddle.tanh(self.linear(x))
            i = i + 1
        if x.sum() > 0:  # noqa: SIM108 - the branch is what is tried
            y = x * 2
        else:
            y = x - 1
        return y


class Swap(nn.Layer):  # type: ignore[misc]
    """A loop that exchanges two variables, with a branch inside."""

    def forward(self, a: Any, b: Any, count: Any) -> Any:
        i = paddle.zeros([1], "int64")
        while i < count:
            a, b = b, a + b
            if i % 2 == 0:
                a = a * 0.5
            i = i + 1
        return a, b


def written_here() -> Mapping[str, Any]:
    ids = RANDOM.integers(0, 100, (2, 12)) * (np.arange(12) < [[12], [7]])
    kinds = np.zeros_like(ids)
    both = {0: [0, 1], 1: [0, 1]}
    three = np.array([3])
    numbers = RANDOM.standard_normal((2, 4)).astype("float32")
    return {
        "ernie": lambda: (Ernie(), [ids, kinds], both),
        "transformer": lambda: (
            nn.Transformer(16, 2, 1, 1, 32),
            [numbers.repeat(4, 1)[:, None], numbers.repeat(4, 1)[:, None]],
            {},
        ),
        "crnn": lambda: (Reader(), [pictures(32)[:, :, :, :]], {0: [0, 3]}),
        "segmenter": lambda: (Segmenter(), [pictures(64)], {0: [0, 2, 3]}),
        "detector": lambda: (Detector(), [pictures(64, 1), np.array([[64, 64]], "int32")], {0: [0], 1: [0]}),
        "loop": lambda: (Loop(), [numbers, three], BATCH),
        "loop with exchange": lambda: (Swap(), [numbers, numbers + 1, three], {}),
        "gru of text": lambda: (
            nn.Sequential(nn.Embedding(100, 8), TakeFirst(nn.GRU(8, 6, 1, "bidirect")), nn.Linear(12, 3)),
            [ids],
            {0: [0, 1]},
        ),
    }


class TakeFirst(nn.Layer):  # type: ignore[misc]
    """The first of a layer's two answers."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(x)[0]


def every() -> Mapping[str, Any]:
    paddle.seed(0)
    return {**vision(), **written_here()}
