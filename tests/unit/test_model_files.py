"""A model on disk is found, in every file layout that Paddle has written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.files import ModelFormat, ModelSource, find_model


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def find(path: Path, model: str | None = None, params: str | None = None) -> ModelSource:
    return find_model(ModelFiles(path=path, model_filename=model, params_filename=params))


@pytest.mark.parametrize(
    "relative", ["", "net.pdmodel", "net"], ids=["directory", "path of the program", "bare prefix"]
)
def test_combined_model_by_any_path_is_found(tmp_path: Path, relative: str) -> None:
    write(tmp_path, "net.pdmodel", "net.pdiparams", "net.pdiparams.info")
    found = find(tmp_path / relative)
    assert found.format is ModelFormat.COMBINED
    assert (found.program, found.params) == (tmp_path / "net.pdmodel", tmp_path / "net.pdiparams")


@pytest.mark.parametrize("relative", ["", "__model__"], ids=["directory", "path of the program"])
def test_legacy_directory_with_separate_parameters_is_found(tmp_path: Path, relative: str) -> None:
    found = find(write(tmp_path, "__model__", "fc.w_0", "fc.b_0") / relative)
    assert (found.format, found.params) == (ModelFormat.LEGACY_SEPARATE, None)


@pytest.mark.parametrize(("model", "params"), [("__model__", "__params__"), ("model", "params")])
def test_legacy_directory_with_one_parameter_file_is_found(tmp_path: Path, model: str, params: str) -> None:
    found = find(write(tmp_path, model, params))
    assert (found.format, found.params) == (ModelFormat.LEGACY_COMBINED, tmp_path / params)


def test_named_files_choose_among_several_models(tmp_path: Path) -> None:
    write(tmp_path, "a.pdmodel", "a.pdiparams", "b.pdmodel", "weights")
    found = find(tmp_path, "b.pdmodel", "weights")
    assert (found.program.name, found.params) == ("b.pdmodel", tmp_path / "weights")


def test_named_program_without_suffix_has_separate_parameters(tmp_path: Path) -> None:
    assert find(write(tmp_path, "program", "w"), "program").params is None


@pytest.mark.parametrize(
    ("names", "relative", "said"),
    [
        (["a.pdmodel", "b.pdmodel"], "", "2 programs"),
        (["readme.txt"], "", "no Paddle program"),
        ([], "", "holds nothing"),
        ([], "absent", "nothing at"),
        (["net.pdmodel"], "", "no file"),
        (["net.pdmodel"], "net", "no file"),
        (["a.json", "a.pdiparams", "b.json", "b.pdiparams"], "", "2 programs"),
        (["net.json"], "net.json", "no file"),
    ],
    ids=[
        *("two models", "no model", "empty directory", "missing", "no parameters", "prefix, no parameters"),
        *("two of Paddle 3", "of Paddle 3, no parameters"),
    ],
)
def test_unusable_path_says_what_is_there(tmp_path: Path, names: list[str], relative: str, said: str) -> None:
    with pytest.raises(ModelFormatError) as error:
        find(write(tmp_path, *names) / relative)
    assert said in error.value.found
    assert error.value.remedy


@pytest.mark.parametrize("relative", ["", "net.json", "net"], ids=["directory", "file", "bare prefix"])
def test_program_of_paddle3_by_any_path_is_found(tmp_path: Path, relative: str) -> None:
    found = find(write(tmp_path, "net.json", "net.pdiparams", "config.json") / relative)
    assert found.format is ModelFormat.PIR
    assert (found.program, found.params) == (tmp_path / "net.json", tmp_path / "net.pdiparams")
    assert found.readable == found.program


def test_program_of_paddle3_with_parameters_of_another_name_is_found(tmp_path: Path) -> None:
    found = find(write(tmp_path, "net.json", "weights"), "net.json", "weights")
    assert (found.format, found.params) == (ModelFormat.PIR, tmp_path / "weights")


def test_json_beside_a_program_is_not_a_model(tmp_path: Path) -> None:
    assert find(write(tmp_path, "net.pdmodel", "net.pdiparams", "config.json")).program.name == "net.pdmodel"


@pytest.mark.parametrize("empty", ["net.pdmodel", "net.pdiparams"])
def test_empty_file_is_refused(tmp_path: Path, empty: str) -> None:
    write(tmp_path, "net.pdmodel", "net.pdiparams")
    (tmp_path / empty).write_bytes(b"")
    with pytest.raises(ModelFormatError) as error:
        find(tmp_path)
    assert error.value.found == f"{tmp_path / empty} is empty"


@pytest.mark.parametrize("pointer", ["net.pdmodel", "net.pdiparams"])
def test_pointer_of_git_lfs_says_how_to_fetch_the_file(tmp_path: Path, pointer: str) -> None:
    write(tmp_path, "net.pdmodel", "net.pdiparams")
    (tmp_path / pointer).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 17000000\n"
    )
    with pytest.raises(ModelFormatError, match="pointer of Git LFS") as error:
        find(tmp_path)
    assert error.value.remedy == f"run `git lfs pull` in {tmp_path}"


ODD = ["a b", "a#b", "a?b", "100%", "a%20b", "模型", 'what\'s "it"', "a[b]*", "a;b&c", "-a", "a\\b"]


@pytest.mark.parametrize("name", ODD)
def test_model_in_a_folder_and_files_of_odd_names_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    write(tmp_path / name, f"{name}.pdmodel", f"{name}.pdiparams")
    for path in (tmp_path / name, tmp_path / name / f"{name}.pdmodel", tmp_path / name / name):
        assert find(path).params == tmp_path / name / f"{name}.pdiparams"


@pytest.mark.parametrize(
    ("names", "changed"),
    [
        (("net.pdmodel", "net.pdiparams"), "net.pdmodel"),
        (("net.pdmodel", "net.pdiparams"), "net.pdiparams"),
        (("__model__", "fc.w_0"), "fc.w_0"),
    ],
    ids=["program", "parameters", "one separate parameter"],
)
def test_source_digest_follows_the_content_alone(
    tmp_path: Path, names: tuple[str, ...], changed: str
) -> None:
    folders = [tmp_path / name for name in ("one", "same", "other")]
    for folder in folders:
        folder.mkdir()
        write(folder, *names)
    (folders[2] / changed).write_bytes(b"other content")
    one, same, other = (find(folder).source_digest for folder in folders)
    assert one == same != other


def test_steps_of_the_flow_process_do_not_load_paddle() -> None:
    engine = "paddle_int8.tasks.engines.paddle"
    names = ("load", "digest", "conversion.offline", "conversion.qdq", "conversion.save_quant_model")
    modules = ", ".join(f"{engine}.{name}" for name in names)
    code = f"import sys, {modules}; assert 'paddle' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
