"""The baseline is compared with Paddle's own kernels, and the operator at fault is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import NativeComparison
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.rewrites.native_kernels import compute_natively
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.native import NativeRequest, compare_with_native
from tests.integration.small_release import SmallRelease

pytestmark = pytest.mark.paddle

SAMPLES, SIDE = 20, 8


def compare(name: str, folder: Path, natively: tuple[str, ...] = ()) -> NativeComparison:
    """A graph that was not repaired, so that its wrong kernel is unknown to the pipeline."""
    from tests.integration import wrong_kernels

    wrong_kernels.export(name, folder / "exported")
    return compare_with_native(_request(_unrepaired(folder, natively), folder))


def _unrepaired(folder: Path, natively: tuple[str, ...]) -> Path:
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(find_model(ModelFiles(path=folder / "exported")))
    if natively:
        compute_natively(loaded, natively)
    save_program(loaded, folder / "unrepaired")
    return folder / "unrepaired"


def _request(model: Path, folder: Path) -> NativeRequest:
    data = folder / "data"
    data.mkdir()
    pictures = np.random.default_rng(1).standard_normal((SAMPLES, 3, SIDE, SIDE)).astype("float32")
    np.save(data / "image.npy", pictures)
    preprocessing = Preprocessing(layout="as_is", dtype="as_is")
    (data / "preprocessing.json").write_text(json.dumps(preprocessing.model_dump(mode="json")))
    return NativeRequest(
        folder=model,
        inputs=(TensorSpec(name="image", shape=(-1, 3, SIDE, SIDE), dtype="float32"),),
        data=DatasetArtifact(
            folder=data, digest="d", source="generated", samples=SAMPLES, classes=1, seed=0, labelled=False
        ),
        batch_size=8,
        threads=1,
    )


def compared(tmp_path: Path, name: str, *natively: str) -> NativeComparison:
    log = tmp_path / "log.txt"
    return run_isolated(compare, name, tmp_path, natively, step="compare", log=log, timeout_s=120)


def test_baseline_as_native_is_measured_by_output(tmp_path: Path) -> None:
    found = compared(tmp_path, "nearest 8 to 16")
    (output,) = found.outputs
    assert found.samples == 16
    assert output.greatest_difference < 1e-5
    assert output.sqnr_db is not None
    assert output.sqnr_db > 100
    assert found.note == ""


@pytest.mark.parametrize(
    ("name", "operator", "where"),
    [
        ("nearest 8 to 12", "nearest_interp_v2", "on equal inputs"),
        ("mean divided", "elementwise_div", "on equal inputs"),
        ("product of a convolution", "matmul_v2", "on equal inputs"),
        ("average beyond the edge", "pool2d", "on equal inputs"),
        ("two activations", "tanh", "fused with the operators in front of it"),
    ],
)
def test_unknown_wrong_kernel_is_refused_with_its_operator_s_name(
    tmp_path: Path, name: str, operator: str, where: str
) -> None:
    with pytest.raises(MeasurementError) as raised:
        compared(tmp_path, name)
    assert f"Operator {operator}" in raised.value.found
    assert where in raised.value.found
    assert f"native_ops: [{operator}]" in raised.value.remedy


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("nearest 8 to 12", "nearest_interp_v2"),
        ("mean divided", "elementwise_div"),
        ("product of a convolution", "matmul_v2"),
        ("average beyond the edge", "pool2d"),
        ("two activations", "tanh"),
    ],
)
def test_remedy_of_a_wrong_kernel_followed_makes_the_baseline_right(
    tmp_path: Path, name: str, operator: str
) -> None:
    (output,) = compared(tmp_path, name, operator).outputs
    assert output.greatest_difference < 1e-5


def test_integer_outputs_are_compared_by_their_share_that_differs(tmp_path: Path) -> None:
    (output,) = compared(tmp_path, "class of each pixel").outputs
    assert output.greatest_difference == 0
    assert output.sqnr_db is None


def test_operator_with_parameters_is_named_by_its_layer(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"elementwise_div of layer create_parameter_0\.w_0"):
        compared(tmp_path, "divide [1] first")


def test_operator_that_onednn_cannot_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError) as raised:
        compared(tmp_path, "constant without dimensions")
    assert "oneDNN cannot run the FP32 model" in raised.value.found
    assert "native_ops" in raised.value.remedy


def test_small_release_s_baseline_is_native(small_release: SmallRelease, tmp_path: Path) -> None:
    request = NativeRequest(
        folder=small_release.model.folder,
        inputs=small_release.model.inputs,
        data=small_release.validation,
        batch_size=16,
        threads=1,
    )
    found = run_isolated(compare_with_native, request, step="compare", log=tmp_path / "log", timeout_s=120)
    assert all(output.sqnr_db is not None and output.sqnr_db > 100 for output in found.outputs)


def test_fewer_samples_than_a_batch_are_compared(small_release: SmallRelease, tmp_path: Path) -> None:
    request: Any = NativeRequest(
        folder=small_release.model.folder,
        inputs=small_release.model.inputs,
        data=small_release.validation,
        batch_size=64,
        threads=1,
    )
    found = run_isolated(
        compare_with_native, replace(request), step="compare", log=tmp_path / "log", timeout_s=120
    )
    assert found.samples == small_release.validation.samples
