"""A small recurrent tagger made of Paddle's legacy LoD operators, and text that it labels itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    ModelArtifact,
)
from paddle_int8.tasks.contracts.sequences import LENGTHS, padded
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.data.dataset import DatasetSummary, materialise
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Samples
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest
from paddle_int8.tasks.engines.paddle.quantization.recurrent import quantize_recurrent
from paddle_int8.tasks.engines.paddle.switches import NATIVE_FP32
from tests.integration.small_release import SmallRelease, convert, prepare

WORDS, TAGS, WIDTH = 50, 4, 32
SAMPLES = 40
AS_IS = Preprocessing(layout="as_is", dtype="as_is")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallTaggers:
    """A bidirectional GRU of two layers and an LSTM, each quantized, on the same sentences."""

    gru: SmallRelease
    lstm: SmallRelease


def build(folder: Path) -> SmallTaggers:
    """Runs in an isolated process."""
    return SmallTaggers(gru=_release(folder / "gru", _gru), lstm=_release(folder / "lstm", _lstm))


def sentences(count: int = SAMPLES, seed: int = 0) -> list[Array]:
    """Ids [length, 1], lengths 3 to 40."""
    random = np.random.default_rng(seed)
    return [random.integers(0, WORDS, (length, 1)) for length in random.integers(3, 40, count)]


def append(kind: str, values: Any, width: int, *, reverse: bool = False, peepholes: bool = False) -> Any:
    """The legacy operator `gru` or `lstm` on what a fully connected layer made of `values`."""
    import paddle
    from paddle.base.layer_helper import LayerHelper

    gates = {"gru": 3, "lstm": 4}[kind]
    projected = paddle.static.nn.fc(values, gates * width, num_flatten_dims=1)
    helper = LayerHelper(kind)
    normal = paddle.nn.initializer.Normal(std=0.3)
    weight = helper.create_parameter(None, [width, gates * width], "float32", default_initializer=normal)
    bias = helper.create_parameter(None, [1, (gates + 3 * peepholes) * width], "float32", is_bias=True)
    names = {
        "gru": ("Hidden", "BatchGate", "BatchResetHiddenPrev", "BatchHidden"),
        "lstm": ("Hidden", "Cell", "BatchGate", "BatchCellPreAct"),
    }[kind]
    outputs = {name: helper.create_variable_for_type_inference("float32") for name in names}
    attributes = {"is_reverse": reverse} | ({"use_peepholes": peepholes} if kind == "lstm" else {})
    helper.append_op(
        type=kind,
        inputs={"Input": projected, "Weight": weight, "Bias": bias},
        outputs=outputs,
        attrs=attributes,
    )
    return outputs["Hidden"]


def _gru(values: Any) -> Any:
    import paddle

    for _ in range(2):
        both = [append("gru", values, WIDTH, reverse=reverse) for reverse in (False, True)]
        values = paddle.concat(both, axis=1)
    return values


def _lstm(values: Any) -> Any:
    return append("lstm", values, WIDTH)


def export(folder: Path, recurrent: Any, *, spread: float | None = None) -> None:
    """Writes a tagger, sentences [steps, 1] to scores [steps, TAGS], into `folder`.

    spread: standard deviation of the words' vectors; some 0.15 without it.
    """
    import paddle

    from paddle_int8.tasks.engines.paddle.program import LoadedProgram, save_program

    paddle.enable_static()
    main, startup, scope = paddle.static.Program(), paddle.static.Program(), paddle.static.Scope()
    paddle.seed(0)
    with paddle.static.program_guard(main, startup), paddle.static.scope_guard(scope):
        words = paddle.static.data("words", [-1, 1], "int64", lod_level=1)
        drawn = paddle.nn.initializer.Normal(std=spread) if spread else None
        table = paddle.static.create_parameter([WORDS, WIDTH], "float32", default_initializer=drawn)
        values = _looked_up(words, table)
        scores = paddle.static.nn.fc(recurrent(values), TAGS, num_flatten_dims=1)
        paddle.static.Executor(paddle.CPUPlace()).run(startup)
        program = paddle.static.normalize_program(main, [words], [scores])
    loaded = LoadedProgram(program=program, scope=scope, feeds=("words",), fetches=(scores.name,))
    save_program(loaded, folder)


def _looked_up(words: Any, table: Any) -> Any:
    from paddle.base.layer_helper import LayerHelper

    helper = LayerHelper("lookup_table")
    values = helper.create_variable_for_type_inference("float32")
    helper.append_op(type="lookup_table", inputs={"Ids": words, "W": table}, outputs={"Out": values})
    return values


def release_gru(folder: Path, spread: float, layout: str) -> SmallRelease:
    """The GRU on words whose vectors have this standard deviation."""
    return _release(folder, _gru, spread, layout)


def _release(
    folder: Path, recurrent: Any, spread: float | None = None, layout: str = "recurrent"
) -> SmallRelease:
    export(folder / "exported", recurrent, spread=spread)
    model = prepare(folder)
    validation = _dataset(folder / "validation", model, sentences(), answers(model, sentences()))
    calibration = _dataset(folder / "calibration", model, sentences(seed=1), None)
    made = deployable(folder, model, calibration, layout)
    return SmallRelease(model=model, validation=validation, deployables={layout: made})


def answers(model: ModelArtifact, inputs: list[Array]) -> list[Array]:
    """The tag that the FP32 model gives each step."""
    predictor = open_predictor(spec_of(model.folder, NATIVE_FP32, 1))
    lengths = np.array([len(each) for each in inputs])
    (scores,) = predictor.run({"words": padded(np.concatenate(inputs), lengths), f"words{LENGTHS}": lengths})
    return [row[:length].argmax(axis=1) for row, length in zip(scores, lengths, strict=True)]


def _dataset(
    folder: Path, model: ModelArtifact, inputs: list[Array], labels: list[Array] | None
) -> DatasetArtifact:
    folder.mkdir()
    samples = Samples(
        count=len(inputs),
        labels=None,
        read=lambda index: {ONLY_INPUT: inputs[index]},
        sequence_labels=labels,
    )
    drawn = materialise(samples, np.arange(len(inputs)), AS_IS, model.inputs, folder, step="data")
    return artifact(drawn, folder)


def artifact(drawn: DatasetSummary, folder: Path) -> DatasetArtifact:
    """What a task would make of drawn samples."""
    return DatasetArtifact(
        folder=StoredPath(folder),
        digest=drawn.digest,
        source="generated",
        samples=drawn.samples,
        classes=drawn.classes,
        seed=0,
        labelled=drawn.labelled,
    )


def request(
    model: ModelArtifact, calibration: DatasetArtifact, folder: Path, layout: str = "recurrent"
) -> PtqRequest:
    folder.mkdir()
    return ptq_request(
        model=model,
        calibration=calibration,
        candidate=Candidate(algorithm="KL", layout=layout),
        config=QuantizationConfig(),
        batch_size=8,
        folder=folder,
    )


def deployable(
    folder: Path, model: ModelArtifact, calibration: DatasetArtifact, layout: str = "recurrent"
) -> DeployableArtifact:
    asked = request(model, calibration, folder / "deferred", layout)
    outcome = quantize_recurrent(asked)
    converted = convert(asked.folder, folder / "deployable", layout)
    return DeployableArtifact(
        candidate=asked.candidate,
        folder=StoredPath(converted.folder),
        digest=converted.digest,
        size_bytes=converted.size_bytes,
        int8_ops=converted.int8_ops,
        seconds=outcome.seconds,
        log=folder / "build.log",
    )
