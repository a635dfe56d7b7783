"""Lists the releases that run on this host, and finds those whose process was killed.

Each running release holds a lock on a file of its own. The operating system frees the lock when the process
ends, however it ends. A file that is there but not locked therefore belongs to a killed release.
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
    """A running release. `name` is also the name of its MLflow experiment; `flow_run_id` is Prefect's."""

    name: str
    flow_run_id: str


@contextmanager
def under_way(root: Path, release: OpenRelease) -> Iterator[None]:
    """Lists the release below `root` as running until the context ends or the process dies.

    When the file cannot be written, for example on a full disk, the release goes on: its own steps report
    such an error better.
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
    """Gives the releases below `root` whose process is dead.

    Their files are deleted when the context ends without an error.
    """
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
