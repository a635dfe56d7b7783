"""Releases of unusual models: of Paddle 3, in half precision, below odd paths, or to be converted first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.engines.paddle.conversion.save_quant_model import ConvertOptions, save_quant_model
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.e2e.ground import Ground
from tests.e2e.small_inputs import export
from tests.integration.paddle3.environment import OLDER_FORM, run_paddle3

pytestmark = pytest.mark.paddle

ODD = "my models #1?/50% 模型"


def released(ground: Ground, model: Path, taught: Path | None = None) -> Release:
    """As approvable a release as the ground has, of another model. taught: the data that it is right on."""
    from paddle_int8.flows.release import release

    path = ground.inputs.approvable(ground.folder / "release.yaml", ground.name)
    config = yaml.safe_load(path.read_text(encoding="utf-8")) | {"model": {"path": str(model)}}
    if taught is not None:
        config["data"]["validation"]["path"] = str(taught)
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return release(load_config(path))


def test_model_in_half_precision_below_an_odd_path_is_released_and_said_to_be_cast(ground: Ground) -> None:
    folder = ground.folder / ODD
    folder.mkdir(parents=True)
    log = ground.folder / "export.log"
    run_isolated(export, folder, "float16", step="export", log=log, timeout_s=100)
    found = released(ground, folder / "model")
    assert found.outcome is Outcome.APPROVED, [verdict.results for verdict in found.verdicts]
    assert found.model.source_format == "pdmodel, FP16"
    assert found.model.repairs["cast_to_fp32"] > 0
    assert {spec.dtype for spec in found.model.inputs + found.model.outputs} == {"float32"}
    assert found.report is not None
    assert "FP16" in found.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("dtype", "given_in"),
    [("float32", ""), ("float64", ", FP64")],  # Paddle 3 exports neither FP16 nor BF16 on a CPU
    ids=["FP32", "FP64"],
)
def test_program_of_paddle3_is_released_and_said_to_be_one(ground: Ground, dtype: str, given_in: str) -> None:
    model = ground.folder / "exported"
    run_paddle3("small_network.py", model, dtype)
    found = released(ground, model, model / "taught.npz")
    assert found.outcome is Outcome.APPROVED, [verdict.results for verdict in found.verdicts]
    assert found.model.source_format == f"PIR program of Paddle 3{given_in}"
    assert [spec.name for spec in found.model.inputs + found.model.outputs] == ["image", "fetch_name_0"]
    assert found.report is not None
    assert "PIR program of Paddle 3" in found.report.read_text(encoding="utf-8")
    audit = audit_isolated(model / "inference.json", None)
    assert audit.compute_primitives == found.model.census.compute


def test_program_of_paddle3_in_the_older_form_is_released(warm_ground: Ground) -> None:
    model = warm_ground.folder / "exported"
    run_paddle3("small_network.py", model, variables=OLDER_FORM)
    assert (model / "inference.pdmodel").is_file()
    found = released(warm_ground, model, model / "taught.npz")
    assert found.outcome is Outcome.APPROVED, [verdict.results for verdict in found.verdicts]
    assert found.model.source_format == "pdmodel, Paddle 3.3.1"


def test_model_that_convert_says_to_release_is_released(warm_ground: Ground) -> None:
    model = warm_ground.inputs.folder / "model"
    options = ConvertOptions(quant_model_path=model, int8_model_save_path=warm_ground.folder / "int8")
    with pytest.raises(ConversionError, match="never quantized") as error:
        save_quant_model(options, log=warm_ground.folder / "convert.log")
    assert re.search(r"`model\.path`.*`paddle-int8 release`", error.value.remedy)
    assert released(warm_ground, model).outcome is Outcome.APPROVED
