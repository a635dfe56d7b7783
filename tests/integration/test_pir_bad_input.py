"""A PIR program that cannot be used is refused at once, in one clear message; it needs no Paddle 3."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import PreparedModel, prepare_model
from paddle_int8.tasks.process.isolated import run_isolated
from tests.pir_documents import (
    answered,
    attribute,
    document,
    given,
    operation,
    parameter,
    tensor,
    write_parameters,
    write_program,
)

pytestmark = pytest.mark.paddle

WEIGHT = np.ones((4, 5), np.float32)
TRANSPOSED = [attribute("transpose_x", "0.a_bool", False), attribute("transpose_y", "0.a_bool", False)]
PRODUCT = operation("1.matmul", [2, 1], [(3, tensor(-1, 5))], TRANSPOSED)


def network(*operations: Any, answer: int = 3) -> dict[str, Any]:
    """A product with a weight, and what stands behind it."""
    return document(
        parameter(1, "linear_0.w_0", 4, 5),
        given(2, "x", -1, 4),
        PRODUCT,
        *operations,
        answered(answer, "fetch_name_0", -1, 5),
    )


def prepare(folder: Path) -> PreparedModel:
    source = find_model(ModelFiles(path=folder))
    log = folder / "log.txt"
    return run_isolated(prepare_model, source, folder / "out", step="load model", log=log, timeout_s=60)


def test_network_that_is_whole_is_prepared(tmp_path: Path) -> None:
    write_program(tmp_path, network())
    write_parameters(tmp_path, WEIGHT)
    prepared = prepare(tmp_path)
    assert prepared.census.quantizable == 1
    assert [spec.name for spec in prepared.inputs + prepared.outputs] == ["x", "fetch_name_0"]


SUM = operation(
    "1.sum",
    [3, 4],
    [(5, tensor(-1))],
    [attribute("keepdim", "0.a_bool", False), attribute("dtype", "1.a_dtype", "Undefined")],
)


@pytest.mark.parametrize(
    ("program", "weights", "said"),
    [
        (network(), [np.ones((5, 4))], "[5, 4]"),
        (network(), [WEIGHT, WEIGHT], "holds 2 parameters"),
        (
            network(
                operation("1.nothing", [3], [(4, tensor(-1, 5))]),
                operation("3.my_relu", [4], [(5, tensor(-1, 5))]),
                operation("1.nothing", [5], [(6, tensor(-1, 5))]),
                answer=6,
            ),
            [WEIGHT],
            "custom_op.my_relu (1), pd_op.nothing (2)",
        ),
        (
            network(given(4, "axis", 1), SUM, answer=5),
            [WEIGHT],
            "reduce_sum wants a constant, its attribute dim",
        ),
        (
            network(
                operation(
                    "1.argsort",
                    [3],
                    [(4, tensor(-1, 5)), (5, tensor(-1, 5))],
                    [attribute("axis", "0.a_i32", 1), attribute("stable", "0.a_bool", True)],
                ),
                answer=4,
            ),
            [WEIGHT],
            "pd_op.argsort with stable = True, which argsort has not",
        ),
    ],
    ids=["weight of another model", "more parameters", "unknown operators", "computed axis", "new attribute"],
)
def test_unusable_program_is_refused_by_what_is_wrong(
    tmp_path: Path, program: Any, weights: list[Any], said: str
) -> None:
    write_program(tmp_path, program)
    write_parameters(tmp_path, *weights)
    with pytest.raises(ModelFormatError) as error:
        prepare(tmp_path)
    assert said in error.value.found
    assert str(tmp_path) in error.value.found
    assert error.value.remedy


def test_truncated_parameters_are_refused_by_the_byte(tmp_path: Path) -> None:
    write_program(tmp_path, network())
    path = write_parameters(tmp_path, WEIGHT)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ModelFormatError, match="truncated, 7 bytes are missing"):
        prepare(tmp_path)


def grown(folder: Path) -> int:
    """By how many bytes this process's memory grows at most while the model in `folder` is prepared."""
    import paddle  # noqa: F401 - not to be counted

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepare_model(find_model(ModelFiles(path=folder)), folder / "out")
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def test_large_parameters_take_little_more_memory_than_their_file(tmp_path: Path) -> None:
    side, count = 3072, 8
    parameters = [parameter(1 + place, f"linear_{place}.w_0", side, side) for place in range(count)]
    products = [
        operation("1.matmul", [100 + place, 1 + place], [(101 + place, tensor(-1, side))], TRANSPOSED)
        for place in range(count)
    ]
    output = answered(100 + count, "fetch_name_0", -1, side)
    write_program(tmp_path, document(*parameters, given(100, "x", -1, side), *products, output))
    size = write_parameters(tmp_path, *[np.ones((side, side), np.float32)] * count).stat().st_size
    assert size > 300_000_000
    log = tmp_path / "log.txt"
    most = run_isolated(grown, tmp_path, step="load model", log=log, timeout_s=120)
    assert 0.5 * size < most < 1.2 * size, most / size
    assert (tmp_path / "out" / "model.pdiparams").stat().st_size >= size  # products are given biases
