"""Stores the results of finished steps as plain JSON, so that no later run on any host computes them again.

A result record of Prefect names the serializer that reads it, and pickle is one of them. Whoever can write to
the results could therefore run code here. So only records of `ArtifactSerializer` are read; any other record
counts as missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

from prefect.filesystems import WritableFileSystem
from prefect.serializers import Serializer
from pydantic import Field, TypeAdapter

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.stored_path import PORTABLE
from paddle_int8.tasks.steps.prefect_private import host_independent, serializer_of
from paddle_int8.tasks.store.sharing import read_shared, write_shared

KIND = "artifact"
STEP = re.compile(r"paddle_int8\.tasks(\.\w+)*\.task:\w+")
"""The form of a step's name, `tasks.<package>.task:<function>`. Reading a record imports nothing else."""


class ArtifactSerializer(Serializer):  # Prefect would not register a subclass of a generic base
    """Writes what a step returns as JSON, and reads it back as the type in the step's annotation."""

    type: str = Field(default=KIND, frozen=True)
    step: str = Field(default="", pattern=f"^{STEP.pattern}$")
    """Name of the step. It is empty in states fetched from Prefect's server, which hold only a pointer."""

    def dumps(self, obj: object) -> bytes:
        if isinstance(obj, BaseException):  # for people only: the result of a failed step is never reused
            return json.dumps(f"{type(obj).__name__}: {obj}").encode()
        plain = _returned(self.step).dump_python(obj, mode="json", context=PORTABLE)
        return json.dumps(plain).encode()  # this keeps infinity, which pydantic's own JSON turns into null

    def loads(self, blob: bytes) -> object:
        return _returned(self.step).validate_json(blob, context=PORTABLE)


@cache
def _returned(step: str) -> TypeAdapter[object]:
    return TypeAdapter(get_type_hints(declared(step))["return"])


def declared(step: str) -> Callable[..., object]:
    """The step's function, imported from its module.

    A function that was pickled on another host would lack the names that its annotations need.
    """
    module, _, function = step.partition(":")
    found: Callable[..., object] = getattr(import_module(module), function).fn
    return found


@host_independent
class ResultFolder(WritableFileSystem):
    """The folder of result records on this host, and in the shared store if there is one."""

    _block_type_name = "paddle-int8 results"

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """The content of a record, fetched from the shared store when this host lacks it.

        Raises: OSError when there is no such record; ValueError when another serializer wrote it.
        """
        local = _folder() / path
        if not local.exists() and (shared := read_shared(f"results/{path}")):
            _replace(local, shared)
        content = local.read_bytes()
        if serializer_of(content) != KIND:
            raise ValueError(f"{local} is not a record of this project")
        return content

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> None:  # type: ignore[override]
        _replace(_folder() / path, content)
        write_shared(f"results/{path}", content)


def _folder() -> Path:
    return Settings().store / "results"


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
