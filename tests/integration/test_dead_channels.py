"""Layers of which a channel has no weight but zeros, as pruning leaves them, in every layout of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.process.isolated import run_isolated
from tests.fuzzing.graphs import Graph, Input, Node
from tests.patience import allowed

pytestmark = pytest.mark.paddle
DEAD = 2
"""The channel without weights, whose results are its bias."""
CONVOLUTION = {
    "kernel": [3, 3],
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "bias": True,
    "data_format": "NCHW",
}
PICTURE = Input("x", (-1, 8, 6, 6))


def _graph(given: Input, operator: str, **settings: object) -> Graph:
    return Graph(0, (given,), (Node("a", operator, (given.name,), "a", settings),), ("a",))


GRAPHS = {
    "linear": _graph(Input("x", (-1, 16)), "linear", outputs=5, bias=True),
    "convolution": _graph(PICTURE, "conv2d", channels=5, groups=1, **CONVOLUTION),
    "depthwise": _graph(PICTURE, "conv2d", channels=8, groups=8, **CONVOLUTION),
}


def kill(folder: Path) -> None:
    """Sets the weights of one channel to zero, in the exported model."""
    from paddle_int8.tasks.engines.paddle.blocks import overwrite, value
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(find_model(ModelFiles(path=folder)))
    for variable in loaded.program.list_vars():
        if variable.persistable and variable.name not in ("feed", "fetch") and len(variable.shape) > 1:
            weights = value(loaded, variable.name).copy()
            weights[(slice(None), DEAD) if weights.ndim == 2 else DEAD] = 0
            overwrite(loaded, variable.name, weights)
    save_program(loaded, folder)


def answers(graph: Graph, folder: Path) -> tuple[Array, dict[str, Array]]:
    """FP32's answer, and that of each layout. Isolated process."""
    import paddle

    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.layouts import LAYOUTS
    from tests.fuzzing import checks

    def export_dead(drawn: Graph, target: Path) -> None:
        checks_export(drawn, target)
        kill(target)

    paddle.enable_static()
    checks_export, checks.export = checks.export, export_dead
    checked = checks.Checks(graph, folder)
    checked.run()
    feed = checks.samples(graph, checks.SAMPLES, 1)
    found = {
        layout: open_predictor(spec_of(folder / layout, LAYOUTS.find(layout).switches, 1)).run(feed)[0]
        for layout in checks.COMPARED
    }
    return checked._exact[0], found


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("isa", ["", "AVX2"], ids=["here", "with AVX2"])
def test_channel_of_zeros_is_its_bias_in_every_layout(name: str, isa: str, tmp_path: Path) -> None:
    environment = {"ONEDNN_MAX_CPU_ISA": isa} if isa else {}
    exact, found = run_isolated(
        answers,
        GRAPHS[name],
        tmp_path,
        step="answer",
        log=tmp_path / "log.txt",
        timeout_s=allowed(300),
        environment=environment,
    )
    for layout, values in found.items():
        assert np.isfinite(values).all(), layout
        np.testing.assert_allclose(values[:, DEAD], exact[:, DEAD], atol=0.02, err_msg=layout)
