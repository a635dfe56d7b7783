"""Which releases of this host are under way: one locked file each, which tells a killed one from a live one.

The operating system frees the lock when a process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

FOLDER = "open-releases"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRelease:
    """A release by its name, which is its experiment's in MLflow, and the id of its flow run in Prefect."""

    name: str
    flow_run_id: str


@contextmanager
def under_way(root: Path, release: OpenRelease) -> Iterator[None]:
    """The release is known below `root` as under way until the context ends, or the process does.

    Where that cannot be written, on a full disk, the release goes on: its own steps say it better.
    """
    path = root / FOLDER / f"{release.flow_run_id}.json"
    part = path.with_suffix(".part")
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = held.enter_context(FileIO(part, "w"))  # unbuffered: closing it cannot fail
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(json.dumps(asdict(release)).encode())
            part.replace(path)
        try:
            yield
        finally:
            for each in (part, path):
                each.unlink(missing_ok=True)


@contextmanager
def lost(root: Path) -> Iterator[tuple[OpenRelease, ...]]:
    """The releases below `root` whose process is dead; forgotten when the context ends without an error."""
    found: dict[Path, OpenRelease] = {}
    for path in sorted((root / FOLDER).glob("*.json")):
        with path.open(encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            found[path] = OpenRelease(**json.load(stream))
    yield tuple(found.values())
    for path in found:
        path.unlink(missing_ok=True)
