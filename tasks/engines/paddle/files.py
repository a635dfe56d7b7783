"""Finds a trained model on disk and says in which of Paddle's formats it is. Loads nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.data import packages
from paddle_int8.tasks.store.folder import file_digest, folder_digest

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
PROGRAM, PARAMS, PIR_PROGRAM = ".pdmodel", ".pdiparams", ".json"
FILES = MODEL_FILENAME, PARAMS_FILENAME = "model.pdmodel", "model.pdiparams"
"""The files of every model that a step writes: its program and its parameters."""
LEGACY_PAIRS = (("__model__", "__params__"), ("model", "params"))
ACCEPTED = (
    "a directory with one .pdmodel or .json program and its .pdiparams or with __model__, or the path of a "
    ".pdmodel, .json or __model__ file"
)


class ModelFormat(StrEnum):
    """The formats of Paddle's files for a program and its parameters."""

    COMBINED = "pdmodel"
    LEGACY_COMBINED = "legacy combined"
    LEGACY_SEPARATE = "legacy separate"
    PIR = "PIR program of Paddle 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model's files. `params` is None when each parameter has a file of its own beside `program`.

    translated: the program as Paddle 2.6 reads it, where `program` is one of Paddle 3.
    """

    format: ModelFormat
    program: Path
    params: Path | None
    source_digest: str
    translated: Path | None = None

    @property
    def readable(self) -> Path:
        """The file of the program that Paddle 2.6 reads."""
        return self.translated or self.program


def find_model(files: ModelFiles) -> ModelSource:
    """The files that `files` names, found but not yet read.

    Raises: ModelFormatError when they are missing, empty or ambiguous.
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
    """Requires a file with content.

    Raises: ModelFormatError when `path` is empty, or a pointer to what Git LFS has not fetched yet.
    """
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
    if path.is_file():
        return _named(path, params_filename)
    for suffix in (PROGRAM, PIR_PROGRAM):
        if (program := path.with_name(path.name + suffix)).is_file():
            return _named(program, params_filename)
    raise _error(f"nothing at {path}", ACCEPTED, packages.command(path) or "correct `model.path`")


def _named(program: Path, params_filename: str | None) -> tuple[Path, Path | None]:
    """`program` with the named parameter file, or the one that its own name implies."""
    _require(program, "`model.path` or `model.model_filename`")
    if params_filename:
        return program, _require(program.parent / params_filename, "`model.params_filename`")
    if program.suffix in (PROGRAM, PIR_PROGRAM):
        return program, _require(program.with_suffix(PARAMS), "`model.params_filename`")
    for model, params in LEGACY_PAIRS:
        if program.name == model and (program.parent / params).is_file():
            return program, program.parent / params
    return program, None


def _in_folder(folder: Path, params_filename: str | None) -> tuple[Path, Path | None]:
    programs = sorted(folder.glob("*" + PROGRAM)) or _pir_programs(folder)
    if len(programs) > 1:
        raise _error(
            f"{len(programs)} programs in {folder}: {', '.join(path.name for path in programs[:5])}",
            "exactly one",
            "name one with `model.model_filename`, or give its own path instead of the folder's",
        )
    legacy = [folder / model for model, _ in LEGACY_PAIRS if (folder / model).is_file()]
    if programs or legacy:
        return _named((programs + legacy)[0], params_filename)
    names = sorted(path.name for path in folder.iterdir())
    raise _error(
        f"no Paddle program in {folder}, which holds {', '.join(names[:8]) or 'nothing'}",
        ACCEPTED,
        "correct `model.path`, or name the program file with `model.model_filename`",
    )


def _pir_programs(folder: Path) -> list[Path]:
    """Folders of models hold other JSON too, so a program is known by its parameters."""
    return [path for path in sorted(folder.glob("*" + PIR_PROGRAM)) if path.with_suffix(PARAMS).exists()]


def _format(program: Path, params: Path | None) -> ModelFormat:
    if program.suffix == PIR_PROGRAM:
        return ModelFormat.PIR
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


def _error(found: str, required: str, remedy: str) -> ModelFormatError:
    return ModelFormatError(found=found, required=required, remedy=remedy)
