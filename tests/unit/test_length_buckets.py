"""Length buckets hold every sequence once, in few shapes, which fillers complete."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_int8.tasks.contracts import sequences
from paddle_int8.tasks.engines.paddle import serving
from paddle_int8.tasks.engines.paddle.serving import STEPS_APART, filled
from paddle_int8.tasks.engines.paddle.switches import CACHED_LENGTHS, LENGTH_BUCKETS

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


@given(st.data())
def test_sum_of_a_filled_group_tells_its_number_of_sequences(data: st.DataObject) -> None:
    """Paddle finds prepared kernels by the sum, and dies of kernels for another number."""
    known: dict[int, int] = {}
    for place in data.draw(st.lists(st.integers(0, len(LENGTH_BUCKETS) - 1), min_size=1, max_size=8)):
        shortest = LENGTH_BUCKETS[place - 1] + 1 if place else 1
        lengths = st.lists(st.integers(shortest, LENGTH_BUCKETS[place]), min_size=2, max_size=24)
        group = data.draw(lengths)
        ((_, fillers),) = filled(np.array(group), LENGTH_BUCKETS)
        sequences, longest, steps = shape(group, fillers)
        assert longest == LENGTH_BUCKETS[place]
        assert known.setdefault(steps % STEPS_APART, sequences) == sequences


def test_batches_of_a_corpus_share_shapes() -> None:
    random = np.random.default_rng(0)
    shapes, groups = set(), 0
    for _ in range(1000):
        lengths = np.minimum(1 + random.lognormal(4, 1, size=50).astype(np.int64), 2000)
        for rows, fillers in filled(lengths, LENGTH_BUCKETS):
            groups += 1
            shapes.add(shape(lengths[rows].tolist(), fillers))
    assert len(shapes) < min(CACHED_LENGTHS, groups / 8)


def test_large_bucket_runs_in_groups_that_kernels_handle_well() -> None:
    groups = filled(np.full(100, 50), LENGTH_BUCKETS)
    assert [len(rows) for rows, _ in groups] == [24, 24, 24, 24, 4]


def test_one_sequence_and_one_beyond_all_buckets_run_as_they_are() -> None:
    groups = filled(np.array([30, 10_000, 9_000]), LENGTH_BUCKETS)
    assert [(rows.tolist(), fillers) for rows, fillers in groups] == [([0], []), ([1], []), ([2], [])]


@pytest.mark.parametrize("lengths", [[1], [3], [1, 3, 2], [2, 2]], ids=str)
def test_shipped_sequences_are_those_of_the_project(lengths: list[int]) -> None:
    each = np.array(lengths)
    values = np.arange(len(each) * each.max() * 2).reshape(len(each), each.max(), 2)
    rows = sequences.packed(values, each)
    assert np.array_equal(rows, serving.packed(values, each))
    assert np.array_equal(sequences.padded(rows, each, -1), serving.padded(rows, each, -1))
    assert sequences.offsets(each) == serving.offsets(each)
    assert sequences.LENGTHS == serving.LENGTHS
