"""Models exported in FP16, BF16, FP64 or several types are cast to FP32 at loading, or refused there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.conversion.converted import CAST
from paddle_int8.tasks.engines.paddle.load import PreparedModel, prepare_model
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.integration import float_networks
from tests.integration import small_models as models
from tests.integration.float_networks import MIXED, REFERENCE, TYPES

pytestmark = pytest.mark.paddle

ROUNDED = {"FP16": 2**-11, "BF16": 2**-8, "FP64": 2**-24}
"""Greatest relative difference that rounding to the type makes in a number, to FP32 for FP64."""
SUMS = 10
"""How much greater it may be in what a network of three layers makes of the numbers. 6 were seen for FP16."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    run_isolated(float_networks.build, folder, step="build", log=folder / "log.txt", timeout_s=200)
    return folder


def prepare(folder: Path, target: Path) -> PreparedModel:
    source, log = models.source(folder), target.with_suffix(".log")
    return run_isolated(prepare_model, source, target, step="load model", log=log, timeout_s=60)


@pytest.mark.parametrize("name", [*TYPES, *MIXED])
def test_model_in_another_type_is_cast_and_answers_as_the_network_does(
    root: Path, tmp_path: Path, name: str
) -> None:
    prepared = prepare(root / name, tmp_path / "cast")
    (given_in,) = prepared.cast_from
    assert prepared.repairs[CAST] > 0
    assert [spec.dtype for spec in prepared.inputs + prepared.outputs] == ["float32", "float32"]
    plain = prepare(root / REFERENCE, tmp_path / "plain")
    assert prepared.census.quantizable == plain.census.quantizable
    assert prepared.census.counts["cast"] == plain.census.counts["cast"], "the network's own, of booleans"
    folders = (root / REFERENCE, tmp_path / "cast")
    for predict in (models.predict_native, models.predict_onednn):
        wanted, found = run_isolated(predict, folders, step="run", log=tmp_path / "log", timeout_s=60)
        assert np.abs(wanted - found).max() <= SUMS * ROUNDED[given_in] * np.abs(wanted).max()


def test_fp32_model_is_not_cast(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root / REFERENCE, tmp_path / "out")
    assert prepared.cast_from == ()
    assert prepared.repairs[CAST] == 0


def test_loop_and_branch_in_fp16_are_cast_inside_too(root: Path, tmp_path: Path) -> None:
    prepared = prepare(root / "loop_fp16", tmp_path / "cast")
    assert prepared.cast_from == ("FP16",)
    assert "while" in prepared.census.counts
    folders, log = (root / "loop_fp32", tmp_path / "cast"), tmp_path / "log"
    wanted, found = run_isolated(models.predict_native, folders, step="run", log=log, timeout_s=60)
    assert np.abs(wanted - found).max() <= SUMS * ROUNDED["FP16"] * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["to_fp16", "to_bf16"])
def test_model_in_half_precision_is_audited_as_it_would_be_released(root: Path, name: str) -> None:
    found, plain = audit_isolated(root / name, None), audit_isolated(root / REFERENCE, None)
    assert found.compute_primitives == plain.compute_primitives > 0


def spoil(folder: Path, target: Path, how: str) -> None:
    from paddle_int8.tasks.engines.paddle.blocks import put_parameter, value
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(models.source(folder))
    block = loaded.program.global_block()
    if how == "a number too great":
        (weight,) = (op.input("Y")[0] for op in block.ops if op.type == "matmul_v2")
        values: Any = value(loaded, weight)
        values.flat[0] = 1e300
        put_parameter(loaded, weight, values)
    elif how == "bits read":
        (op,) = (op for op in block.ops if op.type == "fill_any_like")
        op.desc.set_type("view_dtype")
    else:
        (op,) = (op for op in block.ops if op.type == "elementwise_max")
        op.desc.set_type("multihead_matmul")
    save_program(loaded, target)


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("to_fp64", "a number too great", "1e+300"),
        ("to_fp16", "bits read", "view_dtype"),
        ("to_fp16", "fused for a GPU", "only a GPU runs: multihead_matmul"),
    ],
    ids=["a number too great", "bits read", "fused for a GPU"],
)
def test_what_cannot_be_cast_is_refused_by_name(
    root: Path, tmp_path: Path, name: str, how: str, said: str
) -> None:
    run_isolated(
        spoil, root / name, tmp_path / "spoiled", how, step="spoil", log=tmp_path / "log", timeout_s=60
    )
    with pytest.raises(ModelFormatError) as error:
        prepare(tmp_path / "spoiled", tmp_path / "out")
    assert said in error.value.found
