"""Length buckets: every sequence once, few shapes, and fillers that make them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.inference.layouts import LENGTH_BUCKETS
from tasks.inference.serving import filled

LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=80)


def shape(lengths: list[int], fillers: list[int]) -> tuple[int, int, int]:
    """What kernels are built for: sequences, the longest, and steps in all."""
    every = [*lengths, *fillers]
    return len(every), max(every), sum(every)


@given(LENGTHS)
def test_every_sequence_runs_once_and_fillers_fit_the_bucket(lengths: list[int]) -> None:
    groups = filled(np.array(lengths), LENGTH_BUCKETS)
    assert sorted(np.concatenate([rows for rows, _ in groups]).tolist()) == list(range(len(lengths)))
    for rows, fillers in groups:
        own = [lengths[row] for row in rows]
        bound = next((bucket for bucket in LENGTH_BUCKETS if bucket >= max(own)), None)
        assert all(1 <= filler <= (bound or 0) for filler in fillers)
        assert len(own) == 1 or bound is not None


@given(st.integers(0, len(LENGTH_BUCKETS) - 1), st.integers(2, 64), st.data())
def test_groups_of_one_bucket_and_size_have_one_shape(place: int, count: int, data: st.DataObject) -> None:
    shortest = LENGTH_BUCKETS[place - 1] + 1 if place else 1
    lengths = st.lists(st.integers(shortest, LENGTH_BUCKETS[place]), min_size=count, max_size=count)
    shapes = set()
    for _ in range(3):
        drawn = data.draw(lengths)
        ((_, fillers),) = filled(np.array(drawn), LENGTH_BUCKETS)
        shapes.add(shape(drawn, fillers))
    assert len(shapes) == 1


def test_group_sizes_share_shapes() -> None:
    shapes = {
        shape([50] * count, filled(np.array([50] * count), LENGTH_BUCKETS)[0][1]) for count in range(2, 65)
    }
    assert len(shapes) <= 24


def test_one_sequence_and_one_beyond_all_buckets_run_as_they_are() -> None:
    groups = filled(np.array([30, 10_000, 9_000]), LENGTH_BUCKETS)
    assert [(rows.tolist(), fillers) for rows, fillers in groups] == [([0], []), ([1], []), ([2], [])]
