"""What makes the models of `configs/mixed` hard: channels of unequal range, and shifted windows."""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.process.isolated import run_isolated

pytestmark = pytest.mark.paddle

SIDE = 32


def made_uneven(folder: Path, name: str, places: dict[str, int]) -> tuple[Any, Any, float]:
    """The answers before and after, and how much wider the widest tensor's channels became."""
    import paddle

    from paddle_int8.tasks.engines.paddle.blocks import value
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.program import load_program
    from paddle_int8.tasks.engines.paddle.switches import BASELINE
    from paddle_int8.zoo.swin import Swin
    from paddle_int8.zoo.uneven import make_uneven

    paddle.seed(0)
    make = partial(Swin, side=SIDE) if name == "swin" else getattr(paddle.vision.models, name)
    network = make(num_classes=10)
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
    feed = {"image": np.random.default_rng(0).standard_normal((4, 3, SIDE, SIDE)).astype(np.float32)}

    def state() -> tuple[Any, dict[str, Any]]:
        loaded = load_program(find_model(ModelFiles(path=folder)))
        names = [each.name for each in loaded.program.list_vars() if each.persistable]
        found = {each: value(loaded, each) for each in names if "w_" in each}
        (answers,) = open_predictor(spec_of(folder, BASELINE, 1)).run(feed)
        return answers, {key: np.abs(values).max(initial=0) for key, values in found.items()}

    before, greatest = state()
    make_uneven(folder, decades=2, **places)
    after, now = state()
    return before, after, max(now[key] / greatest[key] for key in now if greatest[key])


@pytest.mark.parametrize(
    ("name", "places"),
    [("swin", {"norms": 2}), ("mobilenet_v3_small", {"pairs": 2}), ("mobilenet_v1", {"pairs": 3})],
)
def test_uneven_model_answers_as_before(name: str, places: dict[str, int], tmp_path: Path) -> None:
    make = partial(made_uneven, name=name, places=places)
    made = run_isolated(make, tmp_path, step="uneven", log=tmp_path / "log", timeout_s=300)
    before, after, wider = made
    assert wider > 10
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())


def masked() -> Any:
    from paddle_int8.zoo.swin import mask

    return mask(8, 4, 2)


def test_shifted_windows_attend_to_neighbours_alone(tmp_path: Path) -> None:
    """Patches that the shift brings together from opposite borders are masked, and no others."""
    found = run_isolated(masked, step="mask", log=tmp_path / "log", timeout_s=100)
    for window, first, second in product(range(4), range(16), range(16)):
        (row, column), (other_row, other_column) = (
            (4 * (window // 2) + place // 4, 4 * (window % 2) + place % 4) for place in (first, second)
        )
        wrapped = (row >= 6) != (other_row >= 6) or (column >= 6) != (other_column >= 6)
        assert (found[window, 0, first, second] < 0) == wrapped
