"""The pictures of a folder or list, and what was understood of it: classes, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddle_int8.tasks.contracts.errors import DataError

SHOWN = 5
"""Names that a message gives of many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """`labels` has one class number a file, or is None. `left_out` are names by the reason.

    `class_names` are those of class folders, by number. `notes` say what was understood and is not obvious.
    """

    files: Sequence[Path]
    labels: Sequence[int] | None
    class_names: tuple[str, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many are left out, by reason."""
        return {reason: len(names) for reason, names in sorted(self.left_out.items()) if names}

    def said(self) -> tuple[str, ...]:
        """The notes, and what is left out with its first names."""
        return (
            *self.notes,
            *(
                f"left out: {reason} ({len(names)}): {some(names)}"
                for reason, names in sorted(self.left_out.items())
                if names
            ),
        )


def some(names: Sequence[str]) -> str:
    """The first names, and how many there are beyond."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def require_files(missing: Sequence[str], total: int, place: str, hint: str) -> None:
    """Raises: DataError when files are missing, naming the first."""
    if missing:
        raise DataError(
            found=f"{len(missing)} of {total} files of {place} are not there: {some(missing)}",
            required="every file of the source on disk",
            remedy=hint,
        )
