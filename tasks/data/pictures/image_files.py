"""The images found in a folder or a list, with their labels, and notes on how the source was understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddle_int8.tasks.contracts.errors import DataError

SHOWN = 5
"""How many names a message gives when there are many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """The images of a source.

    labels: one class number for each file, or None.
    class_names: names of the class folders, by number.
    left_out: names of what was not taken, by reason.
    notes: sentences on what was assumed and is not obvious.
    """

    files: Sequence[Path]
    labels: Sequence[int] | None
    class_names: tuple[str, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many files are left out, by reason."""
        return {reason: len(names) for reason, names in sorted(self.left_out.items()) if names}

    def said(self) -> tuple[str, ...]:
        """The notes, followed by a sentence for each reason why files are left out."""
        return (
            *self.notes,
            *(
                f"left out: {reason} ({len(names)}): {some(names)}"
                for reason, names in sorted(self.left_out.items())
                if names
            ),
        )


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are, for a message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def require_files(missing: Sequence[str], total: int, source: str, hint: str) -> None:
    """Checks that no file is missing. Raises: DataError when some are, with the names of the first ones."""
    if missing:
        raise DataError(
            found=f"{len(missing)} of {total} files of {source} are not there: {some(missing)}",
            required="every file of the source on disk",
            remedy=hint,
        )
