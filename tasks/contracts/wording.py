"""Numbers in words: counts with what is counted, and durations."""

from __future__ import annotations

MINUTES_FROM_S, HOURS_FROM_S = 90, 5400


def counted(number: int, one: str, many: str = "") -> str:
    """`1 sample`, `2,000 samples`. `many` is for words that do not just take an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def points(number: str) -> str:
    """`1 point`, `0.85 points`, of a number of percentage points as it is written."""
    return f"{number} {'point' if number.lstrip('+-−') == '1' else 'points'}"


def duration(seconds: float) -> str:
    """`40 s`, `7 min` or `1.5 h`."""
    if seconds < MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    if seconds < HOURS_FROM_S:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"


def so_far(seconds: float, limit_s: float | None) -> str:
    """How long something lasts already and how long at most: `22 s so far, at most 60 min`."""
    return f"{seconds:.0f} s so far, {'no limit' if limit_s is None else f'at most {duration(limit_s)}'}"
