"""Keeps what earlier runs of the table measured, so that an unchanged model need not run again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.json import from_json, to_json
from paddle_int8.tasks.published.measured import Measured
from paddle_int8.tasks.training.entry import source_digest

WHERE = {"task_runner"}
"""Keys of a release that say only where the work is done, and so do not decide its result."""


def record_key(config: ReleaseConfig, host: HostProfile, code: str) -> str:
    """The key of a record: a digest of the configuration, the CPU, the code, the recipe and the user's files.

    A file counts by its size and time of change, because reading all of ImageNet would take too long. `code`
    is the digest of this project's code and the versions of its engines.
    Raises: DataError when the training recipe does not exist.
    """
    digest = hashlib.sha256(f"{code}\0{host.cpu_model}\0{host.isa}\0{host.usable_cores}".encode())
    digest.update(config.model_dump_json(exclude=WHERE).encode())
    if isinstance(config.model, TrainedModel):
        digest.update(source_digest(config.model).encode())
    for path in sorted(_paths(config)):
        digest.update(f"\0{path} {_stamp(path)}".encode())
    return digest.hexdigest()


def read_record(folder: Path, name: str, key: str) -> Measured | None:
    """The record of the release `name`; None when there is none with this `key` or it cannot be read."""
    try:
        stored = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return from_json(Measured, json.dumps(stored["measured"])) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def write_record(folder: Path, name: str, key: str, measured: Measured) -> None:
    """Writes or replaces the record of the release `name`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f".{name}.json"
    whole.write_text(json.dumps({"key": key, "measured": json.loads(to_json(measured))}), encoding="utf-8")
    whole.replace(folder / f"{name}.json")


def _paths(section: Section) -> set[Path]:
    found: set[Path] = set()
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path):
            found.add(value)
        elif isinstance(value, Section):
            found |= _paths(value)
    return found


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns}"
