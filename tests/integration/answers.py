"""Small models with unusual answers: several outputs, boxes, whole numbers, inputs that are not read.

They run in isolated processes only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.engines.paddle.predictor import spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.validation.fitness import measure_baseline
from tests.cpu import EXACT
from tests.integration.small_release import SmallRelease, deployable, prepare

SIDE, SAMPLES, LOUD = 16, 200, 3000.0


class TwoAnswers(nn.Layer):  # type: ignore[misc]
    """10 scores, and a map behind features of which one channel is 3,000 times the others, and unused."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.scores = nn.Conv2D(3, 16, 3, 2, 1), nn.Linear(16 * 64, 10)
        self.features, self.map = nn.Conv2D(16, 8, 3, 1, 1), nn.Conv2D(8, 5, 1)

    def forward(self, image: Any) -> Any:
        stem = functional.relu(self.stem(image))
        return self.scores(stem.flatten(1)), self.map(self.features(stem))


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "scores": lambda scores: scores,
    "softmax": functional.softmax,
    "class": lambda scores: scores.argmax(-1),
    "flags": lambda scores: scores > 0,
    "length_one": functional.normalize,
    "scalar": lambda scores: (scores, scores.mean()),
    "two_columns": lambda scores: scores.reshape([-1, 2]),
    "unknown": lambda scores: scores.reshape([-1, 2, 5]) * scores.reshape([-1, 2, 5]),
    "four_at_once": lambda scores: scores.reshape([4, 10]),
    "one_class": lambda scores: scores + 100.0 * paddle.eye(1, 10),
    "dead": lambda scores: scores * 0.0,
    "anchors": lambda scores: (scores, paddle.zeros_like(scores) + paddle.arange(10, dtype="float32")),
    "constant": lambda scores: (scores, paddle.arange(10, dtype="float32").reshape([1, 10]) * 2),
}
"""What a model makes of ten scores."""


class Answers(nn.Layer):  # type: ignore[misc]
    """One of ANSWERS."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.answer = ANSWERS[kind]
        self.stem, self.scores = nn.Conv2D(3, 8, 3, 2, 1), nn.Linear(8 * 64, 10)

    def forward(self, image: Any) -> Any:
        return self.answer(self.scores(functional.relu(self.stem(image)).flatten(1)))


def export(network: nn.Layer, folder: Path, batch: int | None = None) -> None:
    network.eval()
    spec = [paddle.static.InputSpec([batch, 3, SIDE, SIDE], "float32", "image")]
    paddle.jit.save(network, str(folder / "model"), input_spec=spec)


def dataset(folder: Path, arrays: dict[str, Any], labels: Any = None) -> DatasetArtifact:
    """`arrays` by input name, in the model's own form."""
    folder.mkdir(parents=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    preprocessing = Preprocessing(layout="as_is", dtype="as_is")
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing.model_dump(mode="json")))
    (folder / "samples.json").write_text(json.dumps({"sample_digests": []}))
    samples = len(next(iter(arrays.values())))
    classes = 0 if labels is None else int(labels.max()) + 1
    return DatasetArtifact(
        folder=folder,
        digest=folder.name,
        source="generated",
        samples=samples,
        classes=classes,
        seed=0,
        labelled=labels is not None,
    )


def pictures(samples: int) -> Any:
    return np.random.default_rng(0).standard_normal((samples, 3, SIDE, SIDE)).astype(np.float32)


def two_answers(folder: Path) -> SmallRelease:
    """The model with its loud channel, quantized in each layout that is right here."""
    paddle.seed(0)
    network = TwoAnswers()
    weight, bias = network.features.weight.numpy(), network.features.bias.numpy()
    weight[0] *= LOUD
    network.features.weight.set_value(weight)
    network.features.bias.set_value(bias)
    reading = network.map.weight.numpy()
    reading[:, 0] = 0.0
    network.map.weight.set_value(reading)
    export(network, folder / "exported")
    validation = dataset(folder / "validation", {"image": pictures(SAMPLES)})
    model = prepare(folder)
    deployables = {layout: deployable(folder, model, validation, layout) for layout in EXACT}
    return SmallRelease(model=model, validation=validation, deployables=deployables)


def judged(
    folder: Path,
    kind: str,
    config: ValidationConfig,
    labels: Any = None,
    samples: int = 40,
    batch: int | None = None,
) -> tuple[JudgedOutput, ...]:
    """What the baseline's measurement finds of a model with that answer."""
    paddle.seed(0)
    export(Answers(kind), folder / "exported", batch)
    return _measured(folder, dataset(folder / "validation", {"image": pictures(samples)}, labels), config)


def judged_network(folder: Path, name: str, config: ValidationConfig) -> tuple[JudgedOutput, ...]:
    """How the outputs of a network in `tests.integration.networks` are judged."""
    from tests.integration import networks

    networks.export(name, folder / "exported")
    return _measured(folder, dataset(folder / "validation", networks.feed(name, 20, 1)), config)


def judged_detector(folder: Path, config: ValidationConfig, *, nms: bool) -> tuple[JudgedOutput, ...]:
    """Three convolutions, a head of boxes and one of scores, and NMS in the graph or not."""
    _export_detector(folder / "exported", nms=nms)
    image = np.random.default_rng(0).standard_normal((64, 3, 64, 64)).astype(np.float32)
    arrays = {"image": image, "scale_factor": np.ones((64, 2), np.float32)}
    return _measured(folder, dataset(folder / "validation", arrays), config)


def judged_unread(folder: Path, config: ValidationConfig) -> tuple[JudgedOutput, ...]:
    """A model with an input beside `image` that no operator reads."""
    paddle.enable_static()
    main, start = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, start):
        image = paddle.static.data("image", [None, 3, SIDE, SIDE])
        unread = paddle.static.data("im_shape", [None, 2])
        scores = paddle.static.nn.fc(paddle.static.nn.conv2d(image, 8, 3, stride=2), 10)
    _save(main, start, [image, unread], [scores], folder / "exported")
    arrays = {"image": pictures(20), "im_shape": np.ones((20, 2), np.float32)}
    return _measured(folder, dataset(folder / "validation", arrays), config)


def _measured(
    folder: Path, validation: DatasetArtifact, config: ValidationConfig
) -> tuple[JudgedOutput, ...]:
    model = prepare(folder)
    spec = spec_of(model.folder, BASELINE, 1)
    return measure_baseline(spec, model, validation, config).outputs


def _export_detector(folder: Path, *, nms: bool) -> None:
    paddle.enable_static()
    main, start = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, start):
        image = paddle.static.data("image", [None, 3, 64, 64])
        scale = paddle.static.data("scale_factor", [None, 2])
        features = image
        for channels in (8, 16, 16):
            features = paddle.static.nn.conv2d(features, channels, 3, stride=2, padding=1, act="relu")
        boxes = paddle.static.nn.conv2d(features, 4, 1).flatten(2).transpose([0, 2, 1])
        boxes = boxes * paddle.concat([scale, scale], 1).unsqueeze(1)
        scores = functional.sigmoid(paddle.static.nn.conv2d(features, 3, 1).flatten(2))
        answers = _suppressed(boxes, scores) if nms else [boxes, scores]
    _save(main, start, [image, scale], answers, folder)


def _suppressed(boxes: Any, scores: Any) -> list[Any]:
    """The boxes that NMS keeps, of all samples, and how many each has."""
    helper = paddle.base.layer_helper.LayerHelper("multiclass_nms3")
    kept, place, count = (
        helper.create_variable_for_type_inference(dtype) for dtype in ("float32", "int32", "int32")
    )
    helper.append_op(
        type="multiclass_nms3",
        inputs={"BBoxes": boxes, "Scores": scores},
        outputs={"Out": kept, "Index": place, "NmsRoisNum": count},
        attrs={
            "score_threshold": 0.5,
            "nms_top_k": 64,
            "keep_top_k": 20,
            "nms_threshold": 0.5,
            "background_label": -1,
            "nms_eta": 1.0,
            "normalized": False,
        },
    )
    return [kept, count]


def _save(main: Any, start: Any, inputs: list[Any], outputs: list[Any], folder: Path) -> None:
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(start)
    path = str(folder / "model")
    paddle.static.save_inference_model(path, inputs, outputs, executor, program=main, skip_prune_program=True)
    paddle.disable_static()
