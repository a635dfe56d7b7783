"""Paths in the artifact store, which name the same artifact on every host."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from os import PathLike
from pathlib import Path, PosixPath, PurePosixPath

from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from paddle_int8.tasks.contracts.home import Home

PORTABLE = "portable"
"""The pydantic context for JSON that travels: paths in the store are written and read relative to it."""


class StoredPath(PosixPath):
    """An absolute path in the content-addressed store of this host.

    When it is pickled for a Dask worker, or written as JSON in the `PORTABLE` context, it becomes relative to
    the store; the receiving host turns it into the path of the same artifact in its own store. Any other
    JSON, which people read, keeps the absolute path.
    """

    @classmethod
    def located(cls, relative: str) -> StoredPath:
        """The path on this host for one relative to the store.

        Raises: ValueError when it would lie outside the store.
        """
        parts = PurePosixPath(relative).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(f"{relative!r} is not a path inside the store")
        return cls(Home().store.joinpath(*parts))

    def relative(self) -> str | None:
        """This path relative to the store, or None when it is outside."""
        root = Home().store
        return self.relative_to(root).as_posix() if root in self.parents else None

    def artifact(self) -> StoredPath:
        """The folder of the artifact that this path is in: `<store>/<kind>/<digest>`."""
        relative = self.relative()
        return self if relative is None else type(self).located("/".join(relative.split("/")[:2]))

    def __reduce__(self) -> tuple[object, ...]:
        relative = self.relative()
        return (StoredPath, (str(self),)) if relative is None else (StoredPath.located, (relative,))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True),
        )

    @classmethod
    def _validate(cls, value: str | PathLike[str], info: ValidationInfo) -> StoredPath:
        return cls.located(str(value)) if info.context == PORTABLE else cls(value)


def _serialize(path: Path, info: SerializationInfo) -> str:
    portable = StoredPath(path).relative() if info.context == PORTABLE else None
    return portable or str(path)


# An isolated process shares this host's disk, so it is sent the absolute path. It may have been forked before
# PADDLE_INT8_HOME was set, and would then look for a relative path in another store.
ForkingPickler.register(StoredPath, lambda path: (Path, (str(path),)))
