"""Where an artifact is: an absolute path on this host, and the same artifact on any other."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any

from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from paddle_int8.tasks.contracts.home import Home

PORTABLE = "portable"
"""The pydantic context in which paths of the store are written relative to it, and must be so to be read."""


class StoredPath(PosixPath):
    """A path in the content-addressed store, absolute wherever it is used.

    Where it travels to another host, pickled to a Dask worker or as JSON in the `PORTABLE` context, it is
    relative to the store, and names the same artifact in that host's store. JSON for people stays absolute.
    """

    @classmethod
    def located(cls, relative: str) -> StoredPath:
        """This host's path. Raises: ValueError when it would lie outside the store."""
        parts = PurePosixPath(relative).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(f"{relative!r} is not a path inside the store")
        return cls(Home().store.joinpath(*parts))

    def relative(self) -> str | None:
        """Relative to the store, or None outside it."""
        root = Home().store
        return self.relative_to(root).as_posix() if root in self.parents else None

    def artifact(self) -> StoredPath:
        """The artifact that holds this path: `<store>/<kind>/<digest>`."""
        relative = self.relative()
        return self if relative is None else type(self).located("/".join(relative.split("/")[:2]))

    def __reduce__(self) -> tuple[Any, ...]:
        relative = self.relative()
        return (StoredPath, (str(self),)) if relative is None else (StoredPath.located, (relative,))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True),
        )

    @classmethod
    def _validate(cls, value: Any, info: ValidationInfo) -> StoredPath:
        return cls.located(str(value)) if info.context == PORTABLE else cls(value)


def _serialize(path: Path, info: SerializationInfo) -> str:
    portable = StoredPath(path).relative() if info.context == PORTABLE else None
    return portable or str(path)


# An isolated process shares this host's disk, and may have been forked before the settings were made.
ForkingPickler.register(StoredPath, lambda path: (Path, (str(path),)))
