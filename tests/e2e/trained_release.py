"""A small network, trained in seconds on real digits and quantized both ways, and defects to put into it.

Everything except the training function and the defects is the release's own code. It runs in isolated
processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    ModelArtifact,
    TensorSpec,
)
from paddle_int8.tasks.data.dataset import materialise
from paddle_int8.tasks.data.sampling import draw
from paddle_int8.tasks.data.sources import open_source
from paddle_int8.tasks.data.sources.callable import CallableSource
from paddle_int8.tasks.data.sources.source import Labels
from paddle_int8.tasks.engines.paddle.conversion.offline import (
    OfflineRepairs,
    OfflineRequest,
    convert_offline,
)
from paddle_int8.tasks.engines.paddle.conversion.qdq import convert_qdq
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model
from paddle_int8.zoo.digits import CLASSES, digits
from tests.integration.small_release import prepare

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

PREPROCESSING = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.5,))
TRUE_LABELS = "paddle_int8.zoo.digits:digits"
SHIFTED_LABELS = "tests.e2e.trained_release:digits_labelled_one_too_high"
EPOCHS, BATCH, PEAK_RATE = 6, 32, 1e-2
CALIBRATION_SAMPLES = 64
SCALES = frozenset({"InScale", "Scale", "Scales"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRelease:
    """The model, every validation digit, and what PaddleSlim made of the model for each layout."""

    model: ModelArtifact
    validation: DatasetArtifact
    quantized: dict[str, Path]


def build(folder: Path) -> TrainedRelease:
    """Trains, exports, draws the data and quantizes."""
    _train(folder / "exported")
    model = prepare(folder)
    calibration = draw_digits(
        folder / "calibration", model.inputs, split="calibration", count=CALIBRATION_SAMPLES
    )
    return TrainedRelease(
        model=model,
        validation=draw_digits(folder / "validation", model.inputs),
        quantized={layout: _quantize(folder, model, calibration, layout) for layout in ("offline", "qdq")},
    )


def convert(quantized: Path, folder: Path, layout: str, repairs: OfflineRepairs) -> DeployableArtifact:
    """The quantized model in its layout, whatever came out."""
    source = find_model(ModelFiles(path=quantized))
    if layout == "offline":
        convert_offline(OfflineRequest(source=source, folder=folder, repairs=repairs))
    else:
        convert_qdq(source, folder)
    return _deployable(folder, layout)


def draw_digits(
    folder: Path,
    inputs: tuple[TensorSpec, ...],
    *,
    split: str = "validation",
    count: int | None = None,
    function: str = TRUE_LABELS,
) -> DatasetArtifact:
    """`count` of a split's digits, stratified; None takes all."""
    folder.mkdir(parents=True)
    source = CallableSource(kind="callable", function=function, arguments={"split": split})
    samples = open_source(source, PREPROCESSING)
    chosen = draw(samples.labels, total=samples.count, count=count, seed=0)
    drawn = materialise(samples, chosen, PREPROCESSING, inputs, folder, step=f"draw {split}")
    return DatasetArtifact(
        folder=folder,
        digest=drawn.digest,
        source=function,
        samples=drawn.samples,
        classes=drawn.classes,
        seed=0,
        labelled=drawn.labelled,
    )


def digits_labelled_one_too_high(split: str) -> tuple[Array, Labels]:
    """The digits, each called by its successor's name."""
    pictures, labels = digits(split)
    return pictures, (labels + 1) % CLASSES


def multiply_scales(quantized: Path, folder: Path, factor: float) -> Path:
    """The quantized model with every scale, of activations and weights, multiplied by `factor`."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(find_model(ModelFiles(path=quantized)), quantized=True)
    quantizers = [op for op in loaded.program.global_block().ops if "quantize" in op.type]
    names = {op.input(slot)[0] for op in quantizers for slot in op.input_names if slot in SCALES}
    for name in names:
        _edit(loaded, name, lambda scale: scale * np.float32(factor))
    save_program(loaded, folder)
    return folder


def shuffle_channels(deployable: DeployableArtifact, folder: Path) -> DeployableArtifact:
    """The deployable with the output channels of its largest convolution in another order."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(find_model(ModelFiles(path=deployable.folder)), quantized=True)
    block = loaded.program.global_block()
    shapes = {name: var.shape for name, var in block.vars.items() if "conv2d" in name and var.persistable}
    weights = [name for name, shape in shapes.items() if len(shape) == 4]
    largest = max(weights, key=lambda name: math.prod(shapes[name]))
    _edit(loaded, largest, lambda weight: np.roll(weight, 1, axis=0))
    save_program(loaded, folder)
    return _deployable(folder, deployable.candidate.layout)


def _edit(loaded: LoadedProgram, name: str, change: Callable[[Array], Array]) -> None:
    import paddle

    tensor = loaded.scope.find_var(name).get_tensor()
    before = np.array(tensor)
    after = change(before)
    assert after.dtype == before.dtype
    assert not np.array_equal(after, before)
    tensor.set(after, paddle.CPUPlace())


def _deployable(folder: Path, layout: str) -> DeployableArtifact:
    return DeployableArtifact(
        candidate=Candidate(algorithm="hist", layout=layout),
        folder=folder,
        digest=program_digest(folder),
        size_bytes=sum((folder / name).stat().st_size for name in ("model.pdmodel", "model.pdiparams")),
        int8_ops={},
        seconds=0.0,
        log=folder / "build.log",
    )


def _quantize(folder: Path, model: ModelArtifact, calibration: DatasetArtifact, layout: str) -> Path:
    target = folder / f"{layout}-quantized"
    target.mkdir()
    quantize_model(
        ptq_request(
            model=model,
            calibration=calibration,
            candidate=Candidate(algorithm="hist", layout=layout),
            config=QuantizationConfig(),
            batch_size=16,
            folder=target,
        )
    )
    return target


def _train(folder: Path) -> None:
    """Right on 95 of 100 digits. Convolutions run in oneDNN, which only static programs can ask for."""
    import paddle

    pictures, labels = digits("train")
    inputs = (pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.5
    paddle.enable_static()
    paddle.seed(0)
    image = paddle.static.data("image", [None, 3, 28, 28], "float32")
    label = paddle.static.data("label", [None, 1], "int64")
    network = _network()
    logits = network(image)
    program = paddle.static.default_main_program()
    inference = program.clone(for_test=True)
    steps = EPOCHS * (len(labels) // BATCH)
    rate = paddle.optimizer.lr.OneCycleLR(PEAK_RATE, total_steps=steps + 1)
    loss = paddle.nn.functional.cross_entropy(logits, label)
    paddle.optimizer.Adam(rate, parameters=network.parameters()).minimize(loss)
    for operator in program.global_block().ops:
        if "conv2d" in operator.type:
            operator._set_attr("use_mkldnn", True)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(paddle.static.default_startup_program())
    random = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for rows in np.split(random.permutation(len(labels))[: steps // EPOCHS * BATCH], steps // EPOCHS):
            feed = {"image": inputs[rows], "label": labels[rows, None]}
            executor.run(program, feed=feed)
            rate.step()
    paddle.static.save_inference_model(str(folder / "model"), [image], [logits], executor, program=inference)


def _network() -> Any:
    from paddle import nn

    def block(channels: int, filters: int, *, size: int, stride: int = 1, groups: int = 1) -> list[Any]:
        convolution = nn.Conv2D(
            channels, filters, size, stride=stride, padding=size // 2, groups=groups, bias_attr=False
        )
        return [convolution, nn.BatchNorm2D(filters), nn.ReLU()]

    return nn.Sequential(
        *(*block(3, 16, size=3, stride=2), *block(16, 32, size=3, stride=2)),
        *(*block(32, 32, size=3, groups=32), *block(32, 64, size=1)),
        *(*block(64, 64, size=3, groups=64), *block(64, 64, size=1)),
        *(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(64, CLASSES)),
    )
