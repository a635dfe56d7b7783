"""Counts, percentage points and waits in words."""

from __future__ import annotations

import pytest

from paddle_int8.tasks.contracts.wording import counted, points, so_far


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 classes"), (1, "1 class"), (2, "2 classes"), (2000, "2,000 classes")]
)
def test_count_agrees_with_what_is_counted(number: int, said: str) -> None:
    assert counted(number, "class", "classes") == said


@pytest.mark.parametrize(
    ("number", "said"),
    [("1", "1 point"), ("-1", "-1 point"), ("0.5", "0.5 points"), ("1.000", "1.000 points")],
)
def test_one_point_is_one_point(number: str, said: str) -> None:
    assert points(number) == said


@pytest.mark.parametrize(
    ("limit_s", "said"),
    [(None, "no limit"), (89, "at most 89 s"), (3600, "at most 60 min"), (86400, "at most 24 h")],
)
def test_wait_is_told_with_its_limit(limit_s: float | None, said: str) -> None:
    assert so_far(22.4, limit_s) == f"22 s so far, {said}"
