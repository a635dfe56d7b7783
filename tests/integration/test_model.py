"""Real models in every format are loaded, and broken ones get a clear message."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ModelFormatError, StorageError
from paddle_int8.tasks.engines.paddle.census import count_operators
from paddle_int8.tasks.engines.paddle.conversion.save_quant_model import ConvertOptions, save_quant_model
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import ModelFormat, ModelSource
from paddle_int8.tasks.engines.paddle.load import PreparedModel, prepare_model
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.integration import small_models as models

pytestmark = pytest.mark.paddle


@pytest.fixture(scope="module")
def root() -> Path:
    return models.build()


def prepare(source: ModelSource, folder: Path) -> PreparedModel:
    return run_isolated(
        prepare_model, source, folder, step="load model", log=folder.with_suffix(".log"), timeout_s=60
    )


def test_prepared_model_is_described(root: Path, tmp_path: Path) -> None:
    prepared = prepare(models.source(root / "vgg"), tmp_path / "out")
    assert prepared.inputs == (
        TensorSpec(name="image", shape=(-1, 3, models.SIDE, models.SIDE), dtype="float32"),
    )
    assert [(spec.shape, spec.dtype) for spec in prepared.outputs] == [((-1, 10), "float32")]
    assert (prepared.census.quantizable, prepared.census.compute, prepared.census.never) == (5, 5, {})
    assert prepared.size_bytes == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model.pdmodel", "model.pdiparams"}


def test_preparing_twice_changes_nothing_and_repairs_nothing(root: Path, tmp_path: Path) -> None:
    once = prepare(models.source(root / "vgg"), tmp_path / "once")
    twice = prepare(models.source(tmp_path / "once"), tmp_path / "twice")
    assert twice.digest == once.digest
    assert twice.outputs == once.outputs
    assert not any(count for name, count in twice.repairs.items() if name != "keep_uneven_pooling_fp32")


def write_legacy(exported: Path, separate: Path, combined: Path) -> None:
    """`exported` as Paddle 1.x saved it: `mul` operators, version 0, no operator versions."""
    from paddle.static.io import is_persistable, save_vars

    from paddle_int8.tasks.engines.paddle.program import load_program, paddle, parse_program

    loaded = load_program(models.source(exported))
    desc = parse_program((exported / "model.pdmodel").read_bytes(), exported)
    for op in desc.blocks[0].ops:
        if op.type == "matmul_v2":
            op.type = "mul"
            del op.attrs[:]
            for name in ("x_num_col_dims", "y_num_col_dims"):
                op.attrs.add(name=name, type=0, i=1)
    desc.version.version = 0
    desc.ClearField("op_version_map")
    executor = paddle.static.Executor(paddle.CPUPlace())
    for folder, filename in ((separate, None), (combined, "__params__")):
        with paddle.static.scope_guard(loaded.scope):
            save_vars(executor, str(folder), loaded.program, predicate=is_persistable, filename=filename)
        (folder / "__model__").write_bytes(desc.SerializeToString())


def test_legacy_directories_give_the_outputs_of_the_combined_model(root: Path, tmp_path: Path) -> None:
    separate, combined, log = tmp_path / "separate", tmp_path / "combined", tmp_path / "log.txt"
    run_isolated(write_legacy, root / "vgg", separate, combined, step="write", log=log, timeout_s=60)
    found = models.source(separate), models.source(combined)
    assert [source.format for source in found] == [ModelFormat.LEGACY_SEPARATE, ModelFormat.LEGACY_COMBINED]
    digests = [prepare(source, tmp_path / f"{index}").digest for index, source in enumerate(found)]
    assert digests[0] == digests[1]
    folders = (root / "vgg", tmp_path / "0", tmp_path / "1")
    modern, *legacy = run_isolated(models.predict_native, folders, step="run", log=log, timeout_s=60)
    for outputs in legacy:
        assert np.abs(outputs - modern).max() <= 1e-5 * np.abs(modern).max()


def cut(path: Path, size: Callable[[int], int]) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: size(len(data))])


def swap_dimensions(folder: Path) -> None:
    """Rewrites the header of the first two-dimensional parameter with its dimensions exchanged."""
    path = folder / "model.pdiparams"
    data = path.read_bytes()
    rows, columns = 16 * 49, 64
    wanted = bytes([0x08, 5, 0x10, rows & 127 | 128, rows >> 7, 0x10, columns])
    assert wanted in data
    swapped = bytes([0x08, 5, 0x10, columns, 0x10, rows & 127 | 128, rows >> 7])
    path.write_bytes(data.replace(wanted, swapped, 1))


def add_unknown_operator(folder: Path) -> None:
    path = folder / "model.pdmodel"
    path.write_bytes(path.read_bytes().replace(b"matmul_v2", b"matmul_v9"))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "program cut in half": (
        lambda f: cut(f / "model.pdmodel", lambda n: n // 2),
        "truncated or not a Paddle",
    ),
    "program one byte short": (lambda f: cut(f / "model.pdmodel", lambda n: n - 1), "truncated or not a"),
    "text file": (lambda f: (f / "model.pdmodel").write_text("hello\n" * 99), "not a Paddle program"),
    "zip file": (lambda f: (f / "model.pdmodel").write_bytes(b"PK\3\4" + bytes(999)), "not a Paddle program"),
    "parameters cut in half": (lambda f: cut(f / "model.pdiparams", lambda n: n // 2), "truncated"),
    "parameters one byte short": (
        lambda f: cut(f / "model.pdiparams", lambda n: n - 1),
        "1 bytes are missing",
    ),
    "parameters cut in a header": (lambda f: cut(f / "model.pdiparams", lambda n: 7), "truncated"),
    "parameters are a program": (
        lambda f: shutil.copy(f / "model.pdmodel", f / "model.pdiparams"),
        "not a Paddle parameter file",
    ),
    "parameters of a longer model": (
        lambda f: shutil.copy(f.parent / "resnet18.pdiparams", f / "model.pdiparams"),
        "holds 102 parameters",
    ),
    "parameter of another shape": (swap_dimensions, "FP32 tensor [64, 784]"),
    "unknown operator": (add_unknown_operator, "lacks: matmul_v9"),
}


def messages(folder: Path) -> dict[str, str]:
    """What each broken model's error says; "no error" for none. A crash ends the process."""
    said = {}
    for name in BROKEN:
        try:
            prepare_model(models.source(folder / name), folder / "out")
            said[name] = "no error"
        except ModelFormatError as error:
            said[name] = str(error)
    return said


@pytest.fixture(scope="module")
def said(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("broken")
    shutil.copy(root / "resnet18" / "model.pdiparams", folder / "resnet18.pdiparams")
    for name, (damage, _) in BROKEN.items():
        shutil.copytree(root / "vgg", folder / name)
        damage(folder / name)
    return run_isolated(messages, folder, step="broken", log=folder / "log.txt", timeout_s=100)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_model_says_which_file_and_what_to_do(said: dict[str, str], name: str) -> None:
    assert BROKEN[name][1] in said[name]
    assert name in said[name]  # the folder of the file
    assert "remedy: " in said[name]


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a%20b", "模型", "a[b]*"])
def test_model_of_odd_names_is_loaded_converted_and_audited(root: Path, tmp_path: Path, name: str) -> None:
    for form in ("vgg", "vgg_fake"):
        (tmp_path / name / form).mkdir(parents=True)
        for end in ("pdmodel", "pdiparams"):
            shutil.copy(root / form / f"model.{end}", tmp_path / name / form / f"{name}.{end}")
    assert prepare(models.source(tmp_path / name / "vgg"), tmp_path / "out").census.quantizable == 5
    target = tmp_path / name / "int8"
    options = ConvertOptions(
        quant_model_path=tmp_path / name / "vgg_fake", int8_model_save_path=target, save_model_filename=name
    )
    save_quant_model(options, log=tmp_path / "log.txt")
    assert audit_isolated(target, None).int8_primitives == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull")],
    ids=["empty", "pointer of Git LFS"],
)
def test_separate_parameter_without_content_is_named(
    root: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    separate, log = tmp_path / "separate", tmp_path / "log.txt"
    run_isolated(write_legacy, root / "vgg", separate, tmp_path / "c", step="write", log=log, timeout_s=60)
    spoilt = next(path for path in sorted(separate.iterdir()) if path.name.startswith("linear"))
    spoilt.write_bytes(content)
    with pytest.raises(ModelFormatError, match=spoilt.name) as error:
        prepare(models.source(separate), tmp_path / "out")
    assert said in str(error.value)


def test_missing_separate_parameter_is_named(root: Path, tmp_path: Path) -> None:
    separate, log = tmp_path / "separate", tmp_path / "log.txt"
    run_isolated(write_legacy, root / "vgg", separate, tmp_path / "c", step="write", log=log, timeout_s=60)
    gone = next(path for path in sorted(separate.iterdir()) if path.name.startswith("linear"))
    gone.unlink()
    with pytest.raises(ModelFormatError, match=gone.name):
        prepare(models.source(separate), tmp_path / "out")


def test_quantized_model_is_refused_as_fp32_model(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="quantized already"):
        prepare(models.source(root / "vgg_fake"), tmp_path / "out")


def prepare_with_little_room(source: ModelSource, folder: Path, limit_bytes: int) -> PreparedModel:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    return prepare_model(source, folder)


@pytest.mark.parametrize(
    "limit_bytes", [1_000, 60_000], ids=["program does not fit", "parameters do not fit"]
)
def test_model_that_cannot_be_written_whole_is_a_storage_error(
    root: Path, tmp_path: Path, limit_bytes: int
) -> None:
    source, log = models.source(root / "vgg"), tmp_path / "log.txt"
    with pytest.raises(StorageError):
        run_isolated(
            prepare_with_little_room,
            source,
            tmp_path / "out",
            limit_bytes,
            step="load model",
            log=log,
            timeout_s=60,
        )


def digest_after(folder: Path, change: str) -> tuple[str, str]:
    """The digest of a model before and after `change` to it."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    before = program_digest(folder)
    loaded = load_program(models.source(folder))
    operators = {op.type: op for op in loaded.program.global_block().ops}
    if change == "call stack":
        operators["pool2d"]._set_attr("op_callstack", ["elsewhere"])
    elif change == "attribute":
        operators["pool2d"]._set_attr("ceil_mode", True)
    else:
        tensor = loaded.scope.find_var(operators["conv2d"].input("Filter")[0]).get_tensor()
        weight: Any = np.array(tensor)
        weight.flat[0] += 1e-3
        tensor.set(weight, models_place())
    save_program(loaded, folder)
    return before, program_digest(folder)


def models_place() -> Any:
    from paddle_int8.tasks.engines.paddle.program import paddle

    return paddle.CPUPlace()


@pytest.mark.parametrize(
    ("change", "differs"), [("call stack", False), ("attribute", True), ("one weight", True)]
)
def test_digest_is_of_what_the_model_computes(root: Path, tmp_path: Path, change: str, differs: bool) -> None:
    folder = shutil.copytree(root / "vgg_fp32", tmp_path / "model")
    before, after = run_isolated(
        digest_after, folder, change, step="digest", log=tmp_path / "log.txt", timeout_s=60
    )
    assert (before != after) is differs


def test_census_names_recurrent_operators_and_the_way_out() -> None:
    census = count_operators(["feed", "rnn", "matmul_v2", "softmax", "rnn", "fetch"])
    assert (census.quantizable, census.compute) == (1, 3)
    assert census.counts == {"matmul_v2": 1, "rnn": 2, "softmax": 1}
    assert "gru or lstm" in census.never["rnn"]


def save_both_ways(exported: Path, ours: Path, paddles: Path) -> None:
    """The same parameters as this project writes them and as Paddle does. Types other than FP32 too."""
    from paddle.static.io import is_persistable, save_vars

    from paddle_int8.tasks.engines.paddle.blocks import put_parameter
    from paddle_int8.tasks.engines.paddle.program import load_program, paddle, save_program

    loaded = load_program(models.source(exported))
    for dtype in ("int8", "int32", "int64", "float16", "float64", "bool"):
        put_parameter(loaded, f"of_{dtype}", np.arange(6).reshape(2, 3).astype(dtype))
    save_program(loaded, ours)
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(loaded.scope):
        save_vars(
            executor, str(paddles), loaded.program, predicate=is_persistable, filename="model.pdiparams"
        )


def test_parameters_are_written_to_the_byte_as_paddle_writes_them(root: Path, tmp_path: Path) -> None:
    ours, paddles = tmp_path / "ours", tmp_path / "paddles"
    log = tmp_path / "log.txt"
    run_isolated(save_both_ways, root / "vgg", ours, paddles, step="save", log=log, timeout_s=60)
    found, wanted = (folder / "model.pdiparams" for folder in (ours, paddles))
    assert found.read_bytes() == wanted.read_bytes()
