"""`paddle.nn.LSTM` rewritten to the legacy operator gives equal outputs in FP32, and then runs in INT8."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import ModelFormatError, QuantizationError
from paddle_int8.tasks.data.dataset import materialise
from paddle_int8.tasks.data.sources.source import Samples
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import PreparedModel, prepare_model
from paddle_int8.tasks.engines.paddle.original import ORIGINAL
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.recurrent import EQUAL, quantize_recurrent
from paddle_int8.tasks.engines.paddle.switches import BASELINE, NATIVE_FP32
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_release import SmallRelease, measured, prepare
from tests.integration.small_sequences import AS_IS, artifact, deployable, request

pytestmark = pytest.mark.paddle
STEPS, FEATURES, HIDDEN, CLASSES = 7, 6, 32, 5
isolated = partial(run_isolated, step="test", timeout_s=200)

EXPRESSIBLE: dict[str, dict[str, Any]] = {
    "one layer": {},
    "two layers both ways": {"direction": "bidirect", "num_layers": 2},
    "lengths": {"direction": "bidirect", "lengths": True},
    "fixed steps": {"steps": STEPS},
    "time first": {"time_major": True},
    "last states": {"last": "hidden", "direction": "bidirect", "num_layers": 2},
    "last states of lengths": {"last": "hidden", "direction": "bidirect", "lengths": True},
}
INEXPRESSIBLE: dict[str, dict[str, Any]] = {
    "reset gate after the recurrent product": {"kind": "GRU"},
    "last cell states are used": {"last": "cell"},
    "initial states that are not zero": {"initial": True},
    "mode RNN_TANH": {"kind": "SimpleRNN"},
}


def export(
    folder: Path,
    *,
    kind: str = "LSTM",
    lengths: bool = False,
    steps: int | None = None,
    last: str = "",
    initial: bool = False,
    **options: Any,
) -> None:
    """Scores of `x` [batch, steps, FEATURES]: [batch, steps, CLASSES], of `last` states without the steps."""
    import paddle
    from paddle import nn

    paddle.seed(0)
    wide = HIDDEN * (2 if options.get("direction") == "bidirect" else 1)

    class Tagger(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = getattr(nn, kind)(FEATURES, HIDDEN, **options)
            self.scores = nn.Linear(wide, CLASSES)
            self.initial, self.last, self.directions = initial, last, wide // HIDDEN

        def forward(self, x: Any, length: Any = None) -> Any:
            given = (paddle.ones([1, x.shape[0], HIDDEN]),) * 2 if self.initial else None
            values, states = self.recurrent(x, given, length)
            if self.last:
                ends = states[self.last == "cell"]
                values = paddle.concat([ends[place] for place in range(-self.directions, 0)], 1)
            return self.scores(values)

    tagger = Tagger()
    tagger.eval()
    spec = [paddle.static.InputSpec([None, steps, FEATURES], "float32", "x")]
    if lengths:
        spec.append(paddle.static.InputSpec([None], "int64", "length"))
    paddle.jit.save(tagger, str(folder / "model"), input_spec=spec)


def rewritten(folder: Path, options: dict[str, Any]) -> tuple[PreparedModel, list[Array]]:
    """The prepared model, and outputs before and after, natively and on oneDNN."""
    export(folder / "exported", **options)
    source = find_model(ModelFiles(path=folder / "exported"))
    prepared = prepare_model(source, folder / "fp32", legacy=True)
    feed: Feed = {"x": values(4)}
    if options.get("lengths"):
        feed["length"] = np.array([STEPS, 3, 1, 5])
    return prepared, [
        open_predictor(spec_of(path, engine, 1)).run(feed)[0]
        for engine in (NATIVE_FP32, BASELINE)
        for path in (folder / "fp32" / ORIGINAL, folder / "fp32")
    ]


def values(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, STEPS, FEATURES)).astype(np.float32)


@pytest.mark.parametrize("options", EXPRESSIBLE.values(), ids=EXPRESSIBLE)
def test_rewritten_lstm_answers_as_the_original(options: dict[str, Any], tmp_path: Path) -> None:
    prepared, (original, *others) = isolated(rewritten, tmp_path, options, log=tmp_path / "log")
    assert prepared.repairs["rewrite_rnn_as_lstm"] == 1
    counts = prepared.census.counts
    layers = options.get("num_layers", 1) * (2 if options.get("direction") else 1)
    assert counts["lstm"] == layers
    assert not {"rnn", "transpose2"} & counts.keys() or options.get("time_major")
    for other in others:
        np.testing.assert_allclose(other, original, rtol=0, atol=EQUAL)


@pytest.mark.parametrize("reason", INEXPRESSIBLE)
def test_what_the_legacy_operator_cannot_express_is_refused(reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        isolated(rewritten, tmp_path, INEXPRESSIBLE[reason], log=tmp_path / "log")


def release(folder: Path, last: str = "") -> SmallRelease:
    export(folder / "exported", direction="bidirect", num_layers=2, last=last)
    model = prepare(folder, legacy=True)
    predictor = open_predictor(spec_of(folder / "fp32" / ORIGINAL, NATIVE_FP32, 1))
    inputs = values(20)
    labels = list(predictor.run({"x": inputs})[0].argmax(axis=-1))
    samples = Samples(
        count=20,
        labels=np.array(labels) if last else None,
        read=lambda index: {"x": inputs[index]},
        sequence_labels=None if last else labels,
    )
    (folder / "data").mkdir()
    drawn = materialise(samples, np.arange(20), AS_IS, model.inputs, folder / "data", step="data")
    data = artifact(drawn, folder / "data")
    made = deployable(folder, model, data)
    return SmallRelease(model=model, validation=data, deployables={"recurrent": made})


@pytest.mark.parametrize(
    ("last", "metric"),
    [("", "paddle_int8.tasks.data.metrics.sequences:label_accuracy"), ("hidden", "top1")],
    ids=["every step", "last states"],
)
def test_rewritten_lstm_is_released_in_int8(
    host: HostProfile, tmp_path: Path, last: str, metric: str
) -> None:
    small = isolated(release, tmp_path, last, log=tmp_path / "log")
    assert small.deployables["recurrent"].int8_ops == {"fusion_lstm": 4}
    config = ValidationConfig(metrics=(metric,), repeats=20, warmup=2, processes=2)
    found = measured(small, "recurrent", tmp_path, isa=host.isa, config=config)
    rnn = [share for share in found.audit.shares if share.kind == "rnn"]
    assert {share.dtype for share in rnn} == {"int8"}
    assert sum(share.count for share in rnn) == 4
    assert not [share for share in found.baseline_audit.shares if share.kind == "rnn"]
    assert found.metrics[0].candidate > 0.9


def wrong_rewrite(folder: Path) -> None:
    small = release(folder)
    damaged = folder / "fp32" / "model.pdiparams"
    content = bytearray(damaged.read_bytes())
    content[-4:] = np.float32(9).tobytes()  # the last value of the last parameter
    damaged.write_bytes(content)
    quantize_recurrent(request(small.model, small.validation, folder / "again"))


def test_rewrite_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="differs from the one given"):
        isolated(wrong_rewrite, tmp_path, log=tmp_path / "log")
