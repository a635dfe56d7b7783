"""The model that the user gave, where it was rewritten into another with equal outputs."""

from __future__ import annotations

from pathlib import Path

ORIGINAL = "original"


def baseline_folder(folder: Path) -> Path:
    """The folder of the FP32 baseline: as the user gave it, so that a slow rewrite flatters no candidate."""
    original = folder / ORIGINAL
    return original if original.is_dir() else folder
