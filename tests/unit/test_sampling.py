"""The draw of samples is seeded, stratified, and disjoint by content."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.sampling import DrawnSample, check_disjoint, draw, shares

label_lists = st.lists(st.integers(0, 6), min_size=1, max_size=120)


@given(labels=label_lists, part=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_draw_any_labels_gives_distinct_samples_in_fair_shares(
    labels: list[int], part: float, seed: int
) -> None:
    array = np.array(labels)
    count = max(1, round(part * len(labels)))
    chosen = draw(array, total=len(labels), count=count, seed=seed)
    assert len(chosen) == count
    assert len(set(chosen.tolist())) == count
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, draw(array, total=len(labels), count=count, seed=seed))
    classes = set(labels)
    drawn = set(array[chosen].tolist())
    assert drawn == classes if count >= len(classes) else drawn < classes


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=12), part=st.floats(0, 1))
def test_shares_are_within_one_of_exact_unless_a_class_would_be_empty(sizes: list[int], part: float) -> None:
    array = np.array(sizes)
    count = max(1, round(part * sum(sizes)))
    given_shares = shares(array, count)
    assert given_shares.sum() == count
    assert (given_shares <= array).all()
    exact = array * count / array.sum()
    lifted = (exact < 1).sum()
    assert (np.abs(given_shares - exact) <= 1 + lifted).all()


@pytest.mark.parametrize("labels", [pytest.param(None, id="unlabelled"), pytest.param("two", id="labelled")])
def test_draw_another_seed_gives_another_draw(labels: str | None) -> None:
    array = None if labels is None else np.arange(200) % 2
    first = draw(array, total=200, count=50, seed=0)
    assert not np.array_equal(first, draw(array, total=200, count=50, seed=1))


def test_draw_unlabelled_reaches_the_whole_range() -> None:
    chosen = draw(None, total=1000, count=300, seed=0)
    assert chosen.min() < 50
    assert chosen.max() >= 950


@pytest.mark.parametrize("count", [None, 7])
def test_draw_of_all_keeps_everything_in_order(count: int | None) -> None:
    np.testing.assert_array_equal(draw(np.zeros(7, np.int64), total=7, count=count, seed=3), np.arange(7))


def test_draw_one_more_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(DataError) as caught:
        draw(None, total=7, count=8, seed=0)
    assert "7" in caught.value.found
    assert "8" in caught.value.required


@pytest.mark.parametrize("count", [10, 150])
def test_draw_equal_classes_share_what_does_not_divide_by_chance(count: int) -> None:
    """Which of 100 equal classes get the remaining samples depends on the seed, not on the label."""
    labels = np.arange(300) % 100
    favoured: set[int] = set()
    for seed in range(20):
        drawn = np.bincount(labels[draw(labels, total=300, count=count, seed=seed)], minlength=100)
        favoured |= set(np.flatnonzero(drawn == drawn.max()).tolist())
    assert len(favoured) > 70


def named(*digests: str, source: str = "file") -> list[DrawnSample]:
    return [DrawnSample(digest=digest, name=f"{source}[{row}]") for row, digest in enumerate(digests)]


def test_check_disjoint_without_overlap_passes() -> None:
    check_disjoint(named("a", "b"), named("c", "d"))


def test_check_disjoint_overlap_says_how_many_and_which() -> None:
    with pytest.raises(DataError) as caught:
        check_disjoint(named("a", "b", "c", source="train.npz"), named("x", "c", "a", source="test.npz"))
    assert "2 validation samples" in caught.value.found
    assert "train.npz[2] = test.npz[1]" in caught.value.found
    assert "train.npz[0] = test.npz[2]" in caught.value.found


def test_check_disjoint_large_overlap_stays_readable() -> None:
    samples = named(*(str(index) for index in range(1000)))
    with pytest.raises(DataError) as caught:
        check_disjoint(samples, samples)
    assert "1000 validation samples" in caught.value.found
    assert "and 995 more" in caught.value.found
