"""Which layers cost most, as a user asks for it, and layers that a configuration keeps in FP32."""

from __future__ import annotations

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.ground import Ground
from tests.e2e.records import read_run

pytestmark = pytest.mark.paddle

OPERATORS = {"conv2d_0": "conv2d", "conv2d_1": "conv2d", "linear_0": "matmul_v2"}
"""The layers of the small network and the types of their operators."""


def test_sensitivity_names_each_layer_and_is_recorded(warm_ground: Ground) -> None:
    from paddle_int8.flows.sensitivity import sensitivity

    path = warm_ground.inputs.approvable(warm_ground.folder / "release.yaml", warm_ground.name)
    found = sensitivity(load_config(path))
    assert {each.layer: each.type for each in found.operators} == OPERATORS
    assert sum(each.noise_share for each in found.operators) == pytest.approx(1)
    assert all(15 < found.together_db < each.output_sqnr_db < 80 for each in found.operators)
    run = read_run(warm_ground.tracking_uri, warm_ground.name)
    with connection(warm_ground.tracking_uri) as client:
        table = client.download_artifacts(run.info.run_id, "sensitivity.csv")
        plots = {item.path for item in client.list_artifacts(run.info.run_id, "plots")}
    with open(table, encoding="utf-8") as lines:  # noqa: PTH123 - MLflow gives a text
        rows = [line.split(",")[1] for line in lines][1:]
    assert rows == [each.layer for each in found.operators]
    assert plots == {"plots/sensitivity.svg"}


@pytest.mark.parametrize("layer", ["conv2d_1", "linear_0"])
@pytest.mark.parametrize("layout", ["offline", "qdq"])
def test_release_keeps_the_named_layer_in_fp32(warm_ground: Ground, layout: str, layer: str) -> None:
    from paddle_int8.flows.release import release

    kept = {"algorithms": ["abs_max"], "layouts": [layout], "keep_fp32": [layer]}
    path = warm_ground.inputs.approvable(
        warm_ground.folder / "release.yaml", warm_ground.name, quantization=kept
    )
    (evidence,) = release(load_config(path)).evidence
    audit = evidence.per_isa[0].audit
    assert (audit.int8_primitives, audit.compute_primitives) == (2, 3)


def test_release_with_an_unknown_layer_ends_while_the_model_is_loaded(warm_ground: Ground) -> None:
    error = warm_ground.failure(quantization={"keep_fp32": ["conv2d_7"]})
    assert isinstance(error, ConfigError)
    assert "`conv2d_1`" in error.found
    assert "conv2d_0" in error.required
    warm_ground.require_failed(error, task="load model", tags=set())
