"""Cross-layer equalisation: FP32 answers as before, and INT8 works where channels differ much in range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.algorithms.equalisation import equalised
from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_with
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_release import SLIM, SmallRelease, pictures, prepare
from tests.integration.test_quantization import Samples

pytestmark = pytest.mark.paddle

RELATIVE_TOLERANCE = 1e-5
"""Rounding in FP32; seen were 2e-6."""
PLAIN = ("abs_max", "hist", "KL", "mse")
FAILED_DB, GOOD_DB = 3.0, 20.0
"""Seen were 0 to 1 dB without equalisation, and 28 with it."""
PAIRS = {
    "mobilenet_v1": 27,
    "planted": 4,
    "left_alone": 1,
    "twins": 0,  # the two towers read one bias
    "shared_head": 0,
    "unet": 4,
    "dense_block": 0,
    "branches": 1,
    "windows": 0,
    "channels_last": 0,
    "pixels_last": 1,
    "language_model": 0,
    "text_convolutions": 0,
    "rectified_attention": 0,
    "signed_sums": 2,
    "stored_operands": 0,
    "repeated": 0,
    "recogniser": 1,
    "loop_and_branch": 0,
}
"""By network, how many pairs of layers are equalised."""
NORMS_LEFT = {"twins": 4, "dense_block": 4, "repeated": 1}
"""By network, the batch norms that stay since what they read is not a layer's answer, or not theirs alone."""


@dataclass(frozen=True)
class Study:
    """By network, its pairs, its batch norms that are left, and by how much FP32's answers changed; the
    parameters of `left_alone` that changed; the dB of INT8 on `planted`, by candidate; and its layers in INT8
    when the first one is kept in FP32 together with its batch norm."""

    pairs: dict[str, int]
    norms: dict[str, int]
    changes: dict[str, float]
    touched: set[str]
    int8_db: dict[str, float]
    kept: dict[str, int]


def study(release: SmallRelease, folder: Path) -> Study:
    """Runs in an isolated process."""
    from tests.integration import networks, planted
    from tests.integration.changed_models import changed, int8_db, relative_change

    feeds = {name: networks.feed(name, 8, 200) for name in networks.NETWORKS}
    for name in feeds:
        networks.export(name, folder / name / "exported")
    planted.export_planted(folder / "planted" / "exported")
    planted.export_left_alone(folder / "left_alone" / "exported")
    models = {name: prepare(folder / name) for name in (*feeds, "planted", "left_alone")}
    models["mobilenet_v1"] = release.model
    feeds |= {name: {"image": planted.pictures(8, 9)} for name in ("planted", "left_alone")}
    feeds["mobilenet_v1"] = {"image": pictures()}
    data, pairs, norms, changes = release.validation, {}, {}, {}
    for name, model in models.items():
        after = changed(model, equalised, data, folder / f"{name}_equalised")
        pairs[name], norms[name] = _pairs_and_norms(after)
        changes[name] = relative_change(model.folder, after, feeds[name])
    found = {}
    for candidate in [Candidate(algorithm=a, layout=each) for a in (*PLAIN, "equalisation") for each in SLIM]:
        found[candidate.name] = int8_db(
            models["planted"],
            candidate,
            data,
            feeds["planted"],
            folder / candidate.name,
            weight_quantize_type="abs_max",
        )
    touched = _touched(models["left_alone"].folder, folder / "left_alone_equalised")
    request = ptq_request(
        model=models["planted"],
        calibration=data,
        candidate=Candidate(algorithm="equalisation", layout="qdq"),
        config=QuantizationConfig(keep_fp32=("conv2d_0..batch_norm2d_0",)),
        batch_size=8,
        folder=folder / "kept",
    )
    request.folder.mkdir()
    kept = quantize_with(request, Samples(feeds["planted"])).quantized_ops
    return Study(pairs, norms, changes, touched, found, kept)


def _pairs_and_norms(folder: Path) -> tuple[int, int]:
    from paddle_int8.tasks.engines.paddle.program import load_program
    from paddle_int8.tasks.engines.paddle.rewrites.equalisation import pairs_of

    block = load_program(find_model(ModelFiles(path=folder))).program.global_block()
    return len(pairs_of(block)), sum(op.type == "batch_norm" for op in block.ops)


def _touched(before: Path, after: Path) -> set[str]:
    """The parameters that changed."""
    from paddle.static.io import is_persistable

    from paddle_int8.tasks.engines.paddle.blocks import value
    from paddle_int8.tasks.engines.paddle.program import load_program

    first, second = (load_program(find_model(ModelFiles(path=folder))) for folder in (before, after))
    names = [each.name for each in first.program.list_vars() if is_persistable(each)]
    stored = [name for name in names if name not in ("feed", "fetch")]
    return {name for name in stored if not np.array_equal(value(first, name), value(second, name))}


@pytest.fixture(scope="module")
def studied(small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("equalisation")
    return run_isolated(study, small_release, folder, step="study", log=folder / "log", timeout_s=300)


@pytest.mark.parametrize("name", PAIRS)
def test_fp32_answers_as_before(studied: Study, name: str) -> None:
    assert studied.changes[name] <= RELATIVE_TOLERANCE


def test_layers_are_pairs_only_where_nothing_else_reads_what_is_between(studied: Study) -> None:
    assert studied.pairs == PAIRS
    assert {name: left for name, left in studied.norms.items() if left} == NORMS_LEFT


def test_parameters_around_relu6_and_around_what_others_read_stay(studied: Study) -> None:
    assert studied.touched == {"conv2d_2.w_0", "conv2d_2.b_0", "conv2d_3.w_0"}


@pytest.mark.parametrize("layout", SLIM)
def test_int8_works_where_ranges_of_channels_differ_a_thousandfold(studied: Study, layout: str) -> None:
    assert max(studied.int8_db[f"{algorithm}-{layout}"] for algorithm in PLAIN) < FAILED_DB
    assert studied.int8_db[f"equalisation-{layout}"] > GOOD_DB


def test_layers_are_kept_in_fp32_by_the_names_that_they_have_before(studied: Study) -> None:
    assert studied.kept == {"conv2d": 1, "depthwise_conv2d": 1, "matmul_v2": 2}
