"""Which releases of this host are under way: one locked file each, which tells a killed one from a live one.

The operating system frees the lock when a process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "open-releases"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRelease:
    """A release by its name, which is its experiment's in MLflow, and the id of its flow run in Prefect."""

    name: str
    flow_run_id: str


@contextmanager
def under_way(root: Path, release: OpenRelease) -> Iterator[None]:
    """The release is known below `root` as under way until the context ends, or the process does."""
    path = root / FOLDER / f"{release.flow_run_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        json.dump(asdict(release), stream)
        stream.flush()
        part.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


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
