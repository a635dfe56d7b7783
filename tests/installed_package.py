"""A package of somebody else as `pip` leaves it: entry points in a `dist-info` folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, name: str, entries: Mapping[str, Mapping[str, str]]) -> None:
    """Writes the metadata of the package into `folder`, which is on `sys.path` or will be.

    entries: by group, such as `paddle_int8.metrics`, the place of each record by its name.
    """
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, records in entries.items():
        lines += [f"[{group}]", *(f"{record} = {place}" for record, place in records.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
