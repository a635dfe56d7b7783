"""Packages with entry points, as pip would have installed them."""

from __future__ import annotations

from pathlib import Path

import pytest


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **groups: str) -> None:
    """Puts a package on the path whose entry points are those of `groups`.

    groups: by kind, such as `layouts`, one entry point, such as `mine = my_package.my_layout:LAYOUT`.
    """
    metadata = folder / "drill-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: drill\nVersion: 1.0\n", encoding="utf-8")
    sections = [f"[paddle_int8.{kind}]\n{entry}\n" for kind, entry in groups.items()]
    (metadata / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
