"""What Prefect keeps of a finished step, so that no later run computes it again: plain JSON, on every host.

A result record of Prefect's names the serializer that reads it, and one of them is pickle: whoever can write
to the results could run code here. So only records of `ArtifactSerializer` are read, all others are absent.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from prefect.filesystems import WritableFileSystem
from prefect.serializers import Serializer
from pydantic import Field, TypeAdapter

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.stored_path import PORTABLE
from paddle_int8.tasks.steps.prefect_private import host_independent, serializer_of
from paddle_int8.tasks.store.sharing import read_shared, write_shared

KIND = "artifact"
STEP = re.compile(r"paddle_int8\.tasks(\.\w+)*\.task:\w+")
"""`tasks.<package>.task:<function>`: nothing else is imported to read a record."""


class ArtifactSerializer(Serializer):  # a generic base would not register
    """JSON of what a step returns, read as the type in its annotation and as no other."""

    type: str = Field(default=KIND, frozen=True)
    step: str = Field(default="", pattern=f"^{STEP.pattern}$")
    """Left out of the states that Prefect's server has, which only say that there is a record."""

    def dumps(self, obj: Any) -> bytes:
        if isinstance(obj, BaseException):  # for people: a failed step is never taken from the results
            return json.dumps(f"{type(obj).__name__}: {obj}").encode()
        plain = _returned(self.step).dump_python(obj, mode="json", context=PORTABLE)
        return json.dumps(plain).encode()  # which keeps infinity, that pydantic's own JSON makes null

    def loads(self, blob: bytes) -> Any:
        return _returned(self.step).validate_json(blob, context=PORTABLE)


@cache
def _returned(step: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(declared(step))["return"])


def declared(step: str) -> Callable[..., Any]:
    """The step's function as its module has it.

    One that came pickled from another host has left behind the names that its annotations need.
    """
    module, _, function = step.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function).fn
    return found


@host_independent
class ResultFolder(WritableFileSystem):
    """The records of this host, and of the shared store where there is one."""

    _block_type_name = "paddle-int8 results"

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Raises: OSError when there is no such record, ValueError when it is of another serializer."""
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
