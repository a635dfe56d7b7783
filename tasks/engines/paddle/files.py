"""Finds a trained model on disk and says in which of Paddle's formats it is. Loads nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.data import packages
from paddle_int8.tasks.store.folder import file_digest, folder_digest

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
PROGRAM, PARAMS = ".pdmodel", ".pdiparams"
LEGACY_PAIRS = (("__model__", "__params__"), ("model", "params"))
ACCEPTED = (
    "a directory with one .pdmodel + .pdiparams pair or with __model__, or the path of a .pdmodel or "
    "__model__ file"
)
REEXPORT = (
    "export it again as .pdmodel: set FLAGS_enable_pir_api=0 in the environment before `import paddle` and "
    "call `paddle.jit.save` once more, or export with Paddle 2.6"
)


class ModelFormat(StrEnum):
    """The formats of Paddle's files for a program and its parameters."""

    COMBINED = "pdmodel"
    LEGACY_COMBINED = "legacy combined"
    LEGACY_SEPARATE = "legacy separate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model's files. `params` is None when each parameter has a file of its own beside `program`."""

    format: ModelFormat
    program: Path
    params: Path | None
    source_digest: str


def find_model(files: ModelFiles) -> ModelSource:
    """The files that `files` names, found but not yet read.

    Raises: ModelFormatError when they are missing, empty, ambiguous, or a Paddle 3 `.json` program.
    """
    try:
        program, params = _locate(files.path, files.model_filename, files.params_filename)
        for path in filter(None, (program, params)):
            require_content(path)
        return ModelSource(
            format=_format(program, params),
            program=program,
            params=params,
            source_digest=_source_digest(program, params),
        )
    except OSError as error:
        raise _error(str(error), "model files that can be read", "check path and permissions") from error


def require_content(path: Path) -> None:
    """Raises: ModelFormatError when `path` is empty, or a pointer to what Git LFS has not fetched yet."""
    with path.open("rb") as stream:
        beginning = stream.read(len(LFS_POINTER))
    if not beginning:
        raise _error(f"{path} is empty", "a file with content", "copy or export the model again")
    if beginning == LFS_POINTER:
        raise _error(
            f"{path} is a pointer of Git LFS, not the file itself",
            "the file that it points to",
            f"run `git lfs pull` in {path.parent}",
        )


def _locate(path: Path, model_filename: str | None, params_filename: str | None) -> tuple[Path, Path | None]:
    if path.is_dir():
        if model_filename:
            return _named(path / model_filename, params_filename)
        return _in_folder(path, params_filename)
    if path.suffix == ".json" and path.exists():
        raise _pir(path)
    if path.is_file():
        return _named(path, params_filename)
    program = path.with_name(path.name + PROGRAM)
    if program.is_file():
        return _named(program, params_filename)
    if (json := path.with_name(path.name + ".json")).is_file():
        raise _pir(json)
    raise _error(f"nothing at {path}", ACCEPTED, packages.command(path) or "correct `model.path`")


def _named(program: Path, params_filename: str | None) -> tuple[Path, Path | None]:
    """`program` with the named parameter file, or the one that its own name implies."""
    if program.suffix == ".json":
        raise _pir(program)
    _require(program, "`model.path` or `model.model_filename`")
    if params_filename:
        return program, _require(program.parent / params_filename, "`model.params_filename`")
    if program.suffix == PROGRAM:
        return program, _require(program.with_suffix(PARAMS), "`model.params_filename`")
    for model, params in LEGACY_PAIRS:
        if program.name == model and (program.parent / params).is_file():
            return program, program.parent / params
    return program, None


def _in_folder(folder: Path, params_filename: str | None) -> tuple[Path, Path | None]:
    programs = sorted(folder.glob("*" + PROGRAM))
    if len(programs) > 1:
        raise _error(
            f"{len(programs)} programs in {folder}: {', '.join(path.name for path in programs[:5])}",
            "exactly one",
            "name one with `model.model_filename`, or give its own path instead of the folder's",
        )
    legacy = [folder / model for model, _ in LEGACY_PAIRS if (folder / model).is_file()]
    if programs or legacy:
        return _named((programs + legacy)[0], params_filename)
    if jsons := _pir_programs(folder):
        raise _pir(jsons[0])
    names = sorted(path.name for path in folder.iterdir())
    raise _error(
        f"no Paddle program in {folder}, which holds {', '.join(names[:8]) or 'nothing'}",
        ACCEPTED,
        "correct `model.path`, or name the program file with `model.model_filename`",
    )


def _pir_programs(folder: Path) -> Sequence[Path]:
    return [path for path in sorted(folder.glob("*.json")) if path.with_suffix(PARAMS).exists()]


def _format(program: Path, params: Path | None) -> ModelFormat:
    if params is None:
        return ModelFormat.LEGACY_SEPARATE
    return ModelFormat.COMBINED if program.suffix == PROGRAM else ModelFormat.LEGACY_COMBINED


def _source_digest(program: Path, params: Path | None) -> str:
    if params is None:
        return folder_digest(program.parent)
    return hashlib.sha256(f"{file_digest(program)}{file_digest(params)}".encode()).hexdigest()


def _require(path: Path, key: str) -> Path:
    if not path.is_file():
        raise _error(f"no file {path}", "the program and its parameters", f"add it, or correct {key}")
    return path


def _pir(path: Path) -> ModelFormatError:
    return _error(f"{path} is a Paddle 3 (PIR) program, which ignores INT8", "a .pdmodel program", REEXPORT)


def _error(found: str, required: str, remedy: str) -> ModelFormatError:
    return ModelFormatError(found=found, required=required, remedy=remedy)
