"""Small networks as users bring them, each a trap for Paddle's conversion. Isolated processes only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

Feed = dict[str, Any]
SIDE = 32


class Halvings(nn.Layer):  # type: ignore[misc]
    """Sizes are halved three times by taking pixels, `nearest`, behind convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2D(3, 16, 3, 1, 1), nn.Conv2D(16, 32, 3, 1, 1)
        self.third, self.answers = nn.Conv2D(32, 64, 3, 1, 1), nn.Linear(64, 8)

    def forward(self, image: Any) -> Any:
        for convolution in (self.first, self.second, self.third):
            image = functional.interpolate(functional.relu(convolution(image)), scale_factor=0.5)
        return self.answers(image.mean([2, 3]))


class Twins(nn.Layer):  # type: ignore[misc]
    """One encoder for two pictures, whose features differ by little."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            *(nn.Conv2D(3, 16, 3, 2, 1), nn.BatchNorm2D(16), nn.LeakyReLU(0.1)),
            *(
                nn.Conv2D(16, 32, 3, 2, 1),
                nn.BatchNorm2D(32),
                nn.ReLU6(),
                nn.AdaptiveAvgPool2D(1),
                nn.Flatten(),
            ),
        )
        self.judge = nn.Linear(32, 4)

    def forward(self, left: Any, right: Any) -> Any:
        return self.judge(paddle.abs(self.encode(left) - self.encode(right)))


class SharedHead(nn.Layer):  # type: ignore[misc]
    """One head for two sizes, as detectors have, with boxes of both in one output."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16), nn.Silu())
        self.coarse = nn.Sequential(
            nn.Conv2D(16, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16), nn.Silu()
        )
        self.head = nn.Sequential(nn.Conv2D(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2D(16, 6, 1))

    def forward(self, image: Any) -> Any:
        fine = self.fine(image)
        boxes = [self.head(level).flatten(2).transpose([0, 2, 1]) for level in (fine, self.coarse(fine))]
        return functional.sigmoid(paddle.concat(boxes, 1)), boxes[1]


class Masked(nn.Layer):  # type: ignore[misc]
    """A picture where a mask is true and another where it is not, to scores and their class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2D(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2D(16, 16, 3, 2, 1), nn.ReLU()
        )
        self.answers = nn.Linear(16 * 16, classes)

    def forward(self, image: Any, mask: Any, background: Any) -> Any:
        shown = mask.astype("float32")
        shown = image * shown + background * (1 - shown)
        scores = self.answers(self.features(shown).flatten(1))
        return scores, scores.argmax(1)


class UNet(nn.Layer):  # type: ignore[misc]
    """What is pooled goes into a concatenation too."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.bottom, self.up = _block(3, 8), _block(8, 16), _block(16, 8)
        self.pool, self.enlarge = nn.MaxPool2D(2), nn.Conv2DTranspose(16, 8, 2, 2)
        self.answers = nn.Conv2D(8, 4, 1)

    def forward(self, image: Any) -> Any:
        across = self.down(image)
        wide = self.enlarge(self.bottom(self.pool(across)))
        return self.answers(self.up(paddle.concat([wide * 2, across], 1)))


class DenseBlock(nn.Layer):  # type: ignore[misc]
    """BatchNorm before the convolutions, and concatenations of concatenations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16), nn.ReLU())
        self.layers = nn.LayerList(
            nn.Sequential(nn.BatchNorm2D(width), nn.ReLU(), nn.Conv2D(width, 8, 3, 1, 1, bias_attr=False))
            for width in (16, 24, 32)
        )
        self.end = nn.Sequential(nn.BatchNorm2D(40), nn.ReLU(), nn.AdaptiveAvgPool2D(1), nn.Flatten())
        self.answers = nn.Linear(40, 10)

    def forward(self, image: Any) -> Any:
        features = functional.max_pool2d(self.stem(image), 2)
        for layer in self.layers:
            features = paddle.concat([features, layer(features)], 1)
        return self.answers(self.end(features))


class Branches(nn.Layer):  # type: ignore[misc]
    """Inception: concatenations between layers, of concatenations, and a second answer behind a dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2D(3, 16, 3, 2, 1)
        self.branches = nn.LayerList(nn.Conv2D(16, 8, size, 1, size // 2) for size in (1, 3, 5))
        self.forks = nn.LayerList(
            nn.Conv2D(8, 8, size, 1, (size[0] // 2, size[1] // 2)) for size in ((1, 3), (3, 1))
        )
        self.last = nn.Conv2D(32, 16, 3, 2, 1)
        self.hidden, self.drop = nn.Linear(16 * 64, 32), nn.Dropout(0.7, mode="downscale_in_infer")
        self.aside, self.answers = nn.Linear(32, 10), nn.Linear(16, 10)

    def forward(self, image: Any) -> Any:
        stem = functional.relu(self.stem(image))
        first, second, third = (functional.relu(branch(stem)) for branch in self.branches)
        forked = paddle.concat([functional.relu(fork(third)) for fork in self.forks], 1)
        last = functional.relu(self.last(paddle.concat([first, second, forked], 1)))
        hidden = self.drop(functional.relu(self.hidden(last.flatten(1))))
        return self.answers(functional.adaptive_avg_pool2d(last, 1).flatten(1)), self.aside(hidden)


class Windows(nn.Layer):  # type: ignore[misc]
    """Attention in shifted windows, with layers on four dimensions and one without bias."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches, self.before, self.behind = (
            nn.Conv2D(3, width, 4, 4),
            nn.LayerNorm(width),
            nn.LayerNorm(width),
        )
        self.attention, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.merge, self.answers = nn.Linear(4 * width, 2 * width, bias_attr=False), nn.Linear(2 * width, 10)

    def forward(self, image: Any) -> Any:
        patches = self.patches(image).transpose([0, 2, 3, 1])
        _, height, width, channels = patches.shape
        shifted = paddle.roll(self.before(patches), [-2, -2], [1, 2])
        cut = shifted.reshape([-1, height // 4, 4, width // 4, 4, channels]).transpose([0, 1, 3, 2, 4, 5])
        heads = self.attention(cut.reshape([-1, 16, channels])).reshape([-1, 16, 3, 2, channels // 2])
        query, key, value = heads.transpose([2, 0, 3, 1, 4]).unbind(0)
        scores = paddle.matmul(query * (channels // 2) ** -0.5, key, transpose_y=True)
        mixed = (
            paddle.matmul(functional.softmax(scores), value)
            .transpose([0, 2, 1, 3])
            .reshape([-1, 16, channels])
        )
        joined = self.project(mixed).reshape([-1, height // 4, width // 4, 4, 4, channels])
        joined = joined.transpose([0, 1, 3, 2, 4, 5]).reshape([-1, height, width, channels])
        patches = patches + paddle.roll(joined, [2, 2], [1, 2])
        patches = patches + self.narrow(functional.gelu(self.widen(self.behind(patches))))
        quarters = [patches[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        return self.answers(self.merge(paddle.concat(quarters, -1)).mean([1, 2]))


class ChannelsLast(nn.Layer):  # type: ignore[misc]
    """ConvNeXt: depthwise, and layers on [N, H, W, C]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2D(3, 24, 4, 4), nn.Conv2D(24, 24, 7, padding=3, groups=24)
        self.norm, self.widen, self.narrow = nn.LayerNorm(24), nn.Linear(24, 96), nn.Linear(96, 24)
        self.answers = nn.Linear(24, 10)

    def forward(self, image: Any) -> Any:
        stem = self.stem(image)
        rows = self.norm(self.depthwise(stem).transpose([0, 2, 3, 1]))
        rows = self.narrow(functional.gelu(self.widen(rows)))
        return self.answers((stem + rows.transpose([0, 3, 1, 2])).mean([2, 3]))


class PixelsLast(nn.Layer):  # type: ignore[misc]
    """Convolutions on [N, H, W, C], with bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2D(3, 16, 3, 2, 1, data_format="NHWC"), nn.ReLU()),
            *(
                nn.Conv2D(16, 16, 3, 2, 1, data_format="NHWC"),
                nn.BatchNorm2D(16, data_format="NHWC"),
                nn.ReLU(),
            ),
        )
        self.answers = nn.Linear(16, 10)

    def forward(self, pixels: Any) -> Any:
        return self.answers(self.layers(pixels).mean([1, 2]))


class LanguageModel(nn.Layer):  # type: ignore[misc]
    """The embedding is the last layer too, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 48)
        self.layer = nn.TransformerEncoderLayer(
            48, 4, 96, activation="gelu", normalize_before=True, dropout=0.0
        )
        self.norm = nn.LayerNorm(48)

    def forward(self, ids: Any) -> Any:
        hidden = self.norm(self.layer(self.words(ids)))
        return paddle.matmul(hidden, self.words.weight, transpose_y=True)


class TextConvolutions(nn.Layer):  # type: ignore[misc]
    """One-dimensional convolutions, whose weights the program reshapes, and one whose weight it scales."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 32)
        self.convolutions = nn.LayerList(nn.Conv1D(32, 16, size, padding=size // 2) for size in (3, 5))
        self.answers = nn.utils.weight_norm(nn.Linear(32, 4))

    def forward(self, ids: Any) -> Any:
        embedded = self.words(ids).transpose([0, 2, 1])
        return self.answers(
            paddle.concat([functional.relu(each(embedded)).max(-1) for each in self.convolutions], 1)
        )


class RectifiedAttention(nn.Layer):  # type: ignore[misc]
    """Linear attention: a product of what is rectified and what is not."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2D(3, 32, 4, 4)
        self.query, self.key, self.value = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.answers = nn.Linear(32, 10)

    def forward(self, image: Any) -> Any:
        rows = self.patches(image).flatten(2).transpose([0, 2, 1])
        query, key = functional.relu(self.query(rows)), functional.relu(self.key(rows))
        mixed = paddle.matmul(query, paddle.matmul(key, self.value(rows), transpose_x=True))
        return self.answers(mixed.mean(1) * 0.02)


class SignedSums(nn.Layer):  # type: ignore[misc]
    """What was rectified, and a convolution, in sums that are not rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16), nn.ReLU())
        self.plain, self.again, self.leaky = _branch(), nn.Conv2D(16, 16, 3, 2, 1), _branch()
        self.answers = nn.Linear(16 * 64, 10)

    def forward(self, image: Any) -> Any:
        rectified = self.stem(image)
        signed = rectified + self.plain(rectified)
        again = functional.relu(self.again(signed))
        return self.answers(functional.leaky_relu(self.leaky(again) + again, 0.3).flatten(1))


class StoredOperands(nn.Layer):  # type: ignore[misc]
    """Products with a stored matrix in front, stored matrices, and a stored vector."""

    def __init__(self) -> None:
        super().__init__()
        normal = nn.initializer.Normal(0.0, 0.3)
        self.first, self.answers = nn.Linear(48, 64), nn.Linear(12, 10)
        self.front = self.create_parameter([12, 8], default_initializer=normal)
        self.several = self.create_parameter([8, 8, 8], default_initializer=normal)
        self.vector = self.create_parameter([8], default_initializer=normal)

    def forward(self, features: Any) -> Any:
        rows = functional.relu(self.first(features)).reshape([-1, 8, 1, 8])
        mixed = paddle.matmul(self.front, paddle.matmul(rows, self.several).squeeze(2))
        return self.answers(paddle.matmul(mixed, self.vector))


class Repeated(nn.Layer):  # type: ignore[misc]
    """A layer that is applied twice, and BatchNorm behind a fully connected one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(48, 48), nn.BatchNorm1D(48)
        self.answers = nn.Linear(48, 200)

    def forward(self, features: Any) -> Any:
        return self.answers(self.norm(functional.relu(self.first(functional.relu(self.first(features))))))


class Recogniser(nn.Layer):  # type: ignore[misc]
    """PP-OCR: learned scalars behind convolutions and activations, a gate; attention and a learned vector."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16))
        self.depthwise, self.pointwise = _scaled(16, 16, 3, 1, 1, groups=16), _scaled(16, 32, 1)
        self.narrow = _scaled(32, 32, 5, (2, 1), 2, groups=32)
        self.gate, self.attention, self.project = nn.Conv2D(32, 32, 1), nn.Linear(32, 96), nn.Linear(32, 32)
        self.gain = self.create_parameter([32], default_initializer=nn.initializer.Uniform(-0.5, 0.5))
        self.answers = nn.Linear(32, 10)

    def forward(self, image: Any) -> Any:
        features = self.narrow(self.pointwise(self.depthwise(self.stem(image))))
        features *= functional.hardsigmoid(self.gate(features.mean([2, 3], keepdim=True))) * 2
        rows = features.mean(2).transpose([0, 2, 1])
        heads = self.attention(rows).reshape([0, -1, 3, 2, 16]).transpose([2, 0, 3, 1, 4])
        scores = paddle.matmul(heads[0], heads[1], transpose_y=True) * 0.25
        mixed = paddle.matmul(functional.softmax(scores), heads[2]).transpose([0, 2, 1, 3]).flatten(2)
        return self.answers(rows + self.gain * self.project(mixed))


class LoopAndBranch(nn.Layer):  # type: ignore[misc]
    """Layers in a branch and in a loop, as decoders have them, between layers outside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inside = nn.Conv2D(3, 16, 3, 2, 1), nn.Conv2D(16, 16, 3, padding=1)
        self.cell, self.answers = nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, image: Any) -> Any:
        features = functional.relu(self.stem(image))
        if features.mean() > 0:
            features = functional.relu(self.inside(features))
        hidden, step = features.mean([2, 3]), paddle.zeros([1], "int32")
        while step < 3:
            hidden, step = functional.relu(self.cell(hidden)), step + 1
        return self.answers(hidden)


class Scalars(nn.Layer):  # type: ignore[misc]
    """A learned factor and a learned offset."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        constant = nn.initializer.Constant
        self.factor = self.create_parameter([1], default_initializer=constant(factor))
        self.offset = self.create_parameter([1], default_initializer=constant(offset))

    def forward(self, features: Any) -> Any:
        return self.factor * features + self.offset


def _scaled(*sizes: Any, groups: int = 1) -> Any:
    convolution = nn.Conv2D(*sizes, groups=groups, bias_attr=False)
    return nn.Sequential(convolution, Scalars(0.7, 0.4), nn.Hardswish(), Scalars(1.6, -0.3))


def _branch() -> Any:
    layers = (nn.Conv2D(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2D(16, 16, 3, padding=1, bias_attr=False))
    return nn.Sequential(*layers, nn.BatchNorm2D(16))


def _block(inputs: int, outputs: int) -> Any:
    layers = (nn.Conv2D(inputs, outputs, 3, padding=1), nn.BatchNorm2D(outputs), nn.ReLU())
    return nn.Sequential(
        *layers, nn.Conv2D(outputs, outputs, 3, padding=1), nn.BatchNorm2D(outputs), nn.ReLU()
    )


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "twins": (Twins, ("left", "right")),
    "shared_head": (SharedHead, ("image",)),
    "unet": (UNet, ("image",)),
    "dense_block": (DenseBlock, ("image",)),
    "branches": (Branches, ("image",)),
    "windows": (Windows, ("image",)),
    "channels_last": (ChannelsLast, ("image",)),
    "pixels_last": (PixelsLast, ("pixels",)),
    "language_model": (LanguageModel, ("ids",)),
    "text_convolutions": (TextConvolutions, ("ids",)),
    "rectified_attention": (RectifiedAttention, ("image",)),
    "signed_sums": (SignedSums, ("image",)),
    "stored_operands": (StoredOperands, ("features",)),
    "repeated": (Repeated, ("features",)),
    "recogniser": (Recogniser, ("image",)),
    "loop_and_branch": (LoopAndBranch, ("image",)),
}


def feed(name: str, samples: int, seed: int) -> Feed:
    """Smooth pictures [N, 3, SIDE, SIDE] or [N, SIDE, SIDE, 3] (`pixels`), ids [N, 24], features [N, 48]."""
    random = np.random.default_rng(seed)
    values = {
        "ids": lambda: random.integers(0, 100, (samples, 24)),
        "pixels": lambda: _pictures(random, samples).transpose(0, 2, 3, 1),
        "features": lambda: random.standard_normal((samples, 48)).astype(np.float32),
    }
    return {kind: values.get(kind, lambda: _pictures(random, samples))() for kind in NETWORKS[name][1]}


def _pictures(random: Any, samples: int) -> Any:
    coarse = random.uniform(-1, 1, (samples, 3, SIDE // 4, SIDE // 4)).astype(np.float32)
    return coarse.repeat(4, axis=2).repeat(4, axis=3)


def export(name: str, folder: Path) -> None:
    """Writes `folder/model.*`, of Kaiming's weights and BatchNorm statistics of a few batches."""
    paddle.disable_static()
    paddle.seed(0)
    build, inputs = NETWORKS[name]
    network = build()
    for part in network.sublayers():
        if isinstance(part, nn.Conv1D | nn.Conv2D | nn.Conv2DTranspose | nn.Linear):
            nn.initializer.KaimingNormal()(part.weight)
    network.train()
    for seed in range(3):
        network(*(paddle.to_tensor(feed(name, 8, seed)[kind]) for kind in inputs))
    network.eval()
    example = feed(name, 1, 0)
    specs = [
        paddle.static.InputSpec([None, *example[kind].shape[1:]], str(example[kind].dtype), kind)
        for kind in inputs
    ]
    paddle.jit.save(network, str(folder / "model"), input_spec=specs)
    paddle.enable_static()
