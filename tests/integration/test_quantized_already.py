"""Models that are quantized already: each command works on them, or names a command that does."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from paddle_int8.flows.cli.main import app
from paddle_int8.tasks.contracts.errors import ConversionError, ModelFormatError
from paddle_int8.tasks.engines.paddle.conversion.save_quant_model import ConvertOptions, save_quant_model
from paddle_int8.tasks.engines.paddle.form import Form, recognise
from paddle_int8.tasks.engines.paddle.given.model import take_given
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.integration import quantized_forms
from tests.integration import small_models as models
from tests.integration.quantized_forms import FLOAT, FORMS

pytestmark = pytest.mark.paddle

RIGHT_DB, DESTROYED_DB = 5.0, 3.0
"""Seen were 6.4 to 37 dB, least where products saturate, and 0 with weights that lack their scales."""
LAYERS = {"vgg": 5, "own": 4}
LAYER_KINDS = ("conv2d", "matmul_v2", "fused_conv2d", "fc")
FROM_VGG = {"slim_fake": "fake", "slim_qdq": "qdq", "offline": "offline", "deployable_qdq": "deployable_qdq"}
KNOWN = {
    FLOAT: Form.FLOAT,
    "slim_fake": Form.FAKE_QUANT,
    "slim_qdq": Form.QDQ,
    "offline": Form.OFFLINE,
    "offline_7bit": Form.OFFLINE,
    "deployable_qdq": Form.DEPLOYABLE_QDQ,
    "aware_fake": Form.FAKE_QUANT,
    "aware_qdq": Form.QDQ,
    "dygraph_qat": Form.QDQ,
    "dygraph_ptq": Form.QDQ,
    "dygraph_channels": Form.QDQ,
    "weights": Form.WEIGHTS,
    "weights_restored": Form.WEIGHTS,
}
CONVERTIBLE = [name for name, form in KNOWN.items() if form in (Form.FAKE_QUANT, Form.QDQ)]
CONVERTED = [name for name, form in KNOWN.items() if form.converted]
DYGRAPH = [name for name in KNOWN if name.startswith("dygraph")]
PER_TENSOR = ["dygraph_qat", "dygraph_ptq"]
OF_VGG = [*FROM_VGG, "offline_7bit"]
RUNS_IN_FP32 = [FLOAT, "slim_fake", "aware_fake", "weights_restored"]


@pytest.fixture(scope="module")
def small() -> Path:
    return models.build()


@pytest.fixture(scope="module")
def root(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every form, below a folder whose name a command line must quote."""
    folder = tmp_path_factory.mktemp("forms") / "what I've got"
    log = folder.with_suffix(".log")
    run_isolated(quantized_forms.build, folder, small, step="build", log=log, timeout_s=200)
    for name, suffix in FROM_VGG.items():
        shutil.copytree(small / f"vgg_{suffix}", folder / name)
    shutil.copytree(small / "vgg", folder / "vgg")
    return folder


def refused_by_release(folder: Path, target: Path) -> ModelFormatError:
    source, log = models.source(folder), target.with_suffix(".log")
    with pytest.raises(ModelFormatError) as error:
        run_isolated(prepare_model, source, target, step="load model", log=log, timeout_s=60)
    return error.value


def refused_by_convert(folder: Path, target: Path) -> ConversionError:
    options = ConvertOptions(quant_model_path=folder, int8_model_save_path=target)
    with pytest.raises(ConversionError) as error:
        save_quant_model(options, log=target.with_suffix(".log"))
    return error.value


def follow(remedy: str, home: Path) -> list[str]:
    """Runs every command that `remedy` writes out, in this process; returns the commands' names.

    A process for each would import Paddle once more.
    """
    commands = [shlex.split(text) for text in re.findall(r"`(paddle-int8 (?:convert|audit) [^`]*)`", remedy)]
    for command in commands:
        ended = CliRunner().invoke(app, command[1:], env={"PADDLE_INT8_HOME": str(home)})
        assert ended.exit_code == 0, (command, ended.output, ended.exception)
    return [command[1] for command in commands]


@pytest.mark.parametrize("name", KNOWN)
def test_form_is_recognised_from_the_program_alone(root: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(root / name, tmp_path / "model")
    params = next((tmp_path / "model").glob("*.pdiparams"))
    params.write_bytes(b"not read")
    source, log = models.source(tmp_path / "model"), tmp_path / "log.txt"
    found = run_isolated(recognise, source, step="recognise", log=log, timeout_s=60)
    assert found.form is KNOWN[name]
    assert bool(found.evidence) is (found.form is not Form.FLOAT)


@pytest.mark.parametrize("name", FORMS)
def test_quantized_model_given_to_release_is_named_and_its_remedy_works(
    root: Path, tmp_path: Path, name: str
) -> None:
    error = refused_by_release(root / name, tmp_path / "out")
    assert f"quantized already: {KNOWN[name]}" in error.found
    named = {"convert"} if name in CONVERTIBLE else {"audit"} if name in CONVERTED else set()
    assert set(follow(error.remedy, tmp_path / "home")) == named
    shutil.rmtree(f"{root / name}-int8", ignore_errors=True)


def test_model_from_before_quantization_is_what_a_release_takes(root: Path, tmp_path: Path) -> None:
    source, log = models.source(root / FLOAT), tmp_path / "log.txt"
    prepared = run_isolated(prepare_model, source, tmp_path / "out", step="load", log=log, timeout_s=60)
    assert prepared.census.quantizable == LAYERS["own"]


@pytest.mark.parametrize("name", FORMS)
def test_model_of_every_form_is_a_candidate_unless_its_weights_alone_are_quantized(
    root: Path, tmp_path: Path, name: str
) -> None:
    original = root / FLOAT if name not in OF_VGG else root / "vgg"
    log = tmp_path / "log.txt"
    prepared = run_isolated(
        prepare_model, models.source(original), tmp_path / "fp32", step="load", log=log, timeout_s=60
    )
    model = prepared.artifact(models.source(original), original, tmp_path / "fp32")
    arguments = models.source(root / name), name, model, tmp_path / "taken"
    if KNOWN[name] is Form.WEIGHTS:
        with pytest.raises(ModelFormatError, match="on x86 every layer of it computes in FP32"):
            run_isolated(take_given, *arguments, step="take", log=log, timeout_s=60)
        return
    taken = run_isolated(take_given, *arguments, step="take", log=log, timeout_s=60)
    assert (taken.given.quantized, taken.given.layers) == (prepared.census.quantizable,) * 2
    assert taken.layout == ("qdq" if KNOWN[name] in (Form.QDQ, Form.DEPLOYABLE_QDQ) else "offline")
    assert taken.given.converted is KNOWN[name].converted
    said = " ".join(taken.given.findings)
    assert ("whole weight" in said) is (name in PER_TENSOR)
    assert ("without their scales" in said) is (name in DYGRAPH)
    assert ("fake-quant" in said) is (KNOWN[name] is Form.FAKE_QUANT)


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_quantized_model_given_to_convert_becomes_int8_that_is_right(
    root: Path, tmp_path: Path, name: str
) -> None:
    options = ConvertOptions(
        quant_model_path=root / name,
        int8_model_save_path=tmp_path / "int8",
        save_model_filename="model",
    )
    converted = save_quant_model(options, log=tmp_path / "log.txt")
    layers = LAYERS["vgg" if name in FROM_VGG else "own"]
    assert sum(converted.int8_ops.get(kind, 0) for kind in LAYER_KINDS) == layers
    assert audit_isolated(tmp_path / "int8", None).int8_primitives == layers
    simulated = (root / name,)
    (wanted,) = run_isolated(models.predict_native, simulated, step="run", log=tmp_path / "l", timeout_s=60)
    predict = models.predict_qdq if KNOWN[name] is Form.QDQ else models.predict_onednn
    (found,) = run_isolated(predict, (tmp_path / "int8",), step="run", log=tmp_path / "l", timeout_s=60)
    assert models.sqnr_db(wanted, found) > RIGHT_DB


@pytest.mark.parametrize("name", [FLOAT, *CONVERTED, "weights", "weights_restored"])
def test_model_that_convert_does_not_take_is_named_and_its_remedy_works(
    root: Path, tmp_path: Path, name: str
) -> None:
    error = refused_by_convert(root / name, tmp_path / "int8")
    assert ("never quantized" in error.found) is (name == FLOAT)
    assert ("already" in error.found) is (name in CONVERTED)
    assert follow(error.remedy, tmp_path / "home") == (["audit"] if name in CONVERTED else [])
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "weights" and name not in DYGRAPH])
def test_any_form_that_runs_is_audited(root: Path, name: str) -> None:
    found = audit_isolated(root / name, None)
    layers = LAYERS["vgg" if name in FROM_VGG or name == "offline_7bit" else "own"]
    assert found.int8_primitives == (0 if name in RUNS_IN_FP32 else layers)


def test_integer_weights_alone_are_refused_by_audit_before_anything_native(root: Path) -> None:
    with pytest.raises(ModelFormatError, match="quantization_type post_weight") as error:
        audit_isolated(root / "weights", None)
    assert "model.path" in error.value.remedy


@pytest.mark.parametrize("name", DYGRAPH)
def test_weights_that_the_predictor_takes_wrongly_are_refused_by_audit_and_its_remedy_works(
    root: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ModelFormatError, match="without their scales") as error:
        audit_isolated(root / name, None)
    assert follow(error.value.remedy, tmp_path / "home") == ["convert"]
    converted = Path(f"{root / name}-int8")
    assert audit_isolated(converted, None).int8_primitives == LAYERS["own"]
    shutil.rmtree(converted)


def test_files_of_other_names_are_written_into_the_remedies(root: Path, tmp_path: Path) -> None:
    for form in ("slim_qdq", "offline"):
        shutil.copy(root / form / "model.pdmodel", tmp_path / f"{form}.pdmodel")
        shutil.copy(root / form / "model.pdiparams", tmp_path / f"{form} weights")
    source, log = models.named(tmp_path, "slim_qdq.pdmodel", "slim_qdq weights"), tmp_path / "log.txt"
    with pytest.raises(ModelFormatError) as error:
        run_isolated(prepare_model, source, tmp_path / "out", step="load", log=log, timeout_s=60)
    assert follow(error.value.remedy, tmp_path / "home") == ["convert"]
    source = models.named(tmp_path, "offline.pdmodel", "offline weights")
    with pytest.raises(ModelFormatError) as error:
        run_isolated(prepare_model, source, tmp_path / "out", step="load", log=log, timeout_s=60)
    assert follow(error.value.remedy, tmp_path / "home") == ["audit"]


def test_option_without_a_use_for_a_qdq_model_is_refused_by_name(root: Path, tmp_path: Path) -> None:
    options = ConvertOptions(
        quant_model_path=root / "slim_qdq", int8_model_save_path=tmp_path / "int8", ops_to_quantize="conv2d"
    )
    with pytest.raises(ConversionError, match="leave out --ops_to_quantize"):
        save_quant_model(options, log=tmp_path / "log.txt")


def test_integers_kept_as_fp32_are_garbage_without_the_repair(root: Path, tmp_path: Path) -> None:
    """Weights of `paddle.quantization`: audited as INT8, and 127 times too large."""
    log = tmp_path / "log.txt"
    (wanted,) = run_isolated(
        models.predict_native, (root / "dygraph_channels",), step="run", log=log, timeout_s=60
    )
    (found,) = run_isolated(
        models.predict_qdq, (root / "dygraph_channels",), step="run", log=log, timeout_s=60
    )
    assert models.sqnr_db(wanted, found) < DESTROYED_DB
