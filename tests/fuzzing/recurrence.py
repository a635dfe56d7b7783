"""Recurrent layers over fixed steps, as `LSTM`, `GRU` and `SimpleRNN` of `paddle.nn` export them."""

from __future__ import annotations

from typing import Any

import paddle

from tests.fuzzing.draft import Draft

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
SHARES = ("LSTM",) * 3 + ("GRU",) * 2 + ("RNN_TANH", "RNN_RELU")
STEPS = (2, 16)
"""The fewest and the most steps of a sequence."""


def _rnn(
    parameters: Any, x: Any, *ids: Any, mode: str, hidden: int, layers: int, bidirectional: bool, last: bool
) -> Any:
    """All steps, [N, steps, directions * hidden], or the `last` states, [N, layers * directions, hidden].

    ids: from [N, steps], the length of each sequence is made; without them, all have every step.
    """
    directions = 1 + bidirectional
    source, helper = paddle.transpose(x, [1, 0, 2]), paddle.base.layer_helper.LayerHelper("rnn")
    states = [layers * directions, paddle.shape(source)[1], hidden]
    inputs = {
        "Input": source,
        "WeightList": _weights(parameters, x.shape[-1], GATES[mode] * hidden, hidden, layers, directions),
        "PreState": [paddle.full(states, 0.0, "float32") for _ in range(1 + (mode == "LSTM"))],
    }
    if ids:
        inputs["SequenceLength"] = 1 + paddle.sum((ids[0][:, 1:] > 4).astype("int32"), axis=1)
    variable = helper.create_variable_for_type_inference
    out, ends = variable("float32"), [variable("float32") for _ in inputs["PreState"]]
    outputs = {"Out": out, "State": ends, "Reserve": variable("uint8"), "DropoutState": variable("uint8")}
    attributes = {
        "dropout_prob": 0.0,
        "is_bidirec": bidirectional,
        "input_size": x.shape[-1],
        "hidden_size": hidden,
        "num_layers": layers,
        "mode": mode,
        "is_test": True,
    }
    helper.append_op(type="rnn", inputs=inputs, outputs=outputs, attrs=attributes)
    return paddle.transpose(ends[0] if last else out, [1, 0, 2])


def _weights(
    parameters: Any, features: int, rows: int, hidden: int, layers: int, directions: int
) -> list[Any]:
    """All matrices, then all biases: of each layer and direction two, by the input and by the state."""
    bound = hidden**-0.5
    matrices, biases = [], []
    for layer in range(layers):
        for _ in range(directions):
            columns = features if layer == 0 else directions * hidden
            matrices += [parameters.uniform((rows, wide), -bound, bound) for wide in (columns, hidden)]
            biases += [parameters.uniform((rows,), -bound, bound) for _ in range(2)]
    return matrices + biases


def _draw_rnn(draft: Draft) -> None:
    random = draft.random
    fewest, most = STEPS
    x = draft.pick(lambda shape: len(shape) == 3 and fewest <= shape[1] <= most)
    ids = [name for name, shape in draft.ids.items() if shape[1:] == (draft.shapes[x][1],)]
    draft.add(
        "rnn",
        x,
        *random.sample(ids, min(len(ids), random.randint(0, 1))),
        mode=random.choice(SHARES),
        hidden=random.choice((4, 6, 8, 16)),
        layers=random.choice((1, 1, 2)),
        bidirectional=random.random() < 0.4,
        last=random.random() < 0.3,
    )


OPERATORS = {
    "rnn": (_rnn, _draw_rnn, 10),
}
