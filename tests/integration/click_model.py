"""A click model without recurrent operators: pooled bags of ids of any length, and fully connected layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

IDS, WIDTH, PROFILE = 60, 16, 8
INPUTS = ("words", "tags", "profile")
SAMPLES = 120


def samples(count: int, seed: int, labelled: bool = True) -> tuple[dict[str, Any], Array | None]:
    """A callable source as the configuration page describes it: sequence inputs as lists of arrays."""
    random = np.random.default_rng(seed)
    inputs = {
        "words": [random.integers(0, IDS, (length, 1)) for length in random.integers(1, 30, count)],
        "tags": [random.integers(0, IDS, (length, 1)) for length in random.integers(1, 6, count)],
        "profile": random.standard_normal((count, PROFILE)).astype(np.float32),
    }
    return inputs, random.integers(0, 2, count) if labelled else None


def export(folder: Path, *, layer_per_step: bool = False) -> None:
    """Writes `folder/model.*`. layer_per_step: a fully connected layer on each step, before the pooling."""
    import paddle

    from paddle_int8.tasks.engines.paddle.program import LoadedProgram, save_program

    paddle.enable_static()
    paddle.seed(0)
    main, startup, scope = paddle.static.Program(), paddle.static.Program(), paddle.static.Scope()
    with paddle.static.program_guard(main, startup), paddle.static.scope_guard(scope):
        bags = [paddle.static.data(name, [-1, 1], "int64", lod_level=1) for name in INPUTS[:2]]
        profile = paddle.static.data(INPUTS[2], [-1, PROFILE], "float32")
        pooled = [_pooled(bag, kind, layer_per_step) for bag, kind in zip(bags, ("sum", "max"), strict=True)]
        hidden = paddle.static.nn.fc(paddle.concat([*pooled, profile], axis=1), 64, activation="relu")
        hidden = paddle.static.nn.fc(hidden, 32, activation="relu")
        scores = paddle.nn.functional.softmax(paddle.static.nn.fc(hidden, 2))
        paddle.static.Executor(paddle.CPUPlace()).run(startup)
        program = paddle.static.normalize_program(main, [*bags, profile], [scores])
    save_program(LoadedProgram(program=program, scope=scope, feeds=INPUTS, fetches=(scores.name,)), folder)


def _pooled(ids: Any, kind: str, layer_per_step: bool) -> Any:
    import paddle
    from paddle.base.layer_helper import LayerHelper

    table = paddle.static.create_parameter(
        [IDS, WIDTH], "float32", default_initializer=paddle.nn.initializer.Normal(std=0.3)
    )
    helper = LayerHelper("lookup_table")
    values = helper.create_variable_for_type_inference("float32")
    helper.append_op(type="lookup_table", inputs={"Ids": ids, "W": table}, outputs={"Out": values})
    if layer_per_step:
        values = paddle.static.nn.fc(values, WIDTH, num_flatten_dims=1, activation="relu")
    return paddle.static.nn.sequence_lod.sequence_pool(values, kind)
