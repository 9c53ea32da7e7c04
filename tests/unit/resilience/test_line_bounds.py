"""Scenario 53: the error bound that each kept point carries, against the real largest error."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contracts import Block, Kept
from agent.numeric.compaction import compact
from agent.resilience.line_bounds import line_bounds, rounded_up


def block_of(values: np.ndarray, ids: np.ndarray | None = None, time_s: np.ndarray | None = None) -> Block:
    size = len(values)
    return Block(
        np.arange(size, dtype=np.float64) if time_s is None else time_s,
        np.zeros(size, np.uint32) if ids is None else ids.astype(np.uint32),
        values.astype(np.float64),
        np.zeros(size, np.int64),
        np.zeros(size, bool),
        np.ones(size),
    )


def keeping(*index: int) -> Kept:
    return Kept(np.array(index, np.int64), np.ones(len(index)))


def bounds_of(values: list[float], *index: int, known: list[float] | None = None) -> list[float]:
    carried = np.zeros(len(values)) if known is None else np.array(known)
    return line_bounds(block_of(np.array(values)), keeping(*index), carried).tolist()


def test_a_bound_is_the_largest_miss_on_the_way_to_the_point() -> None:
    assert bounds_of([0.0, 3.0, 0.0, 0.0, 8.0, 4.0], 0, 3, 5) == [0.0, 3.0, 6.0]


def test_nothing_left_out_is_no_error() -> None:
    assert bounds_of([1.0, 5.0, 2.0], 0, 1, 2) == [0.0, 0.0, 0.0]


def test_what_is_left_out_before_the_first_or_after_the_last_kept_point_is_not_known() -> None:
    np.testing.assert_equal(bounds_of([1.0, 5.0, 2.0, 4.0], 1, 2), [np.nan, np.nan])
    np.testing.assert_equal(bounds_of([1.0, 5.0, 2.0, 4.0], 0, 1, 2), [0.0, 0.0, np.nan])
    np.testing.assert_equal(bounds_of([1.0, 5.0, 2.0, 4.0], 1, 2, 3), [np.nan, 0.0, 0.0])


def test_an_older_bound_adds_to_the_miss_of_the_line_it_belongs_to() -> None:
    assert bounds_of([0.0, 3.0, 0.0], 0, 2, known=[0.0, 0.5, 0.25]) == [0.0, 3.5]
    assert bounds_of([0.0, 3.0, 0.0], 0, 1, 2, known=[0.0, 0.5, 0.25]) == [0.0, 0.5, 0.25]


def test_what_is_not_known_stays_so_on_both_sides() -> None:
    np.testing.assert_equal(bounds_of([0.0] * 5, 0, 2, 4, known=[0, np.nan, 0, 0, 0]), [0.0, np.nan, 0.0])
    np.testing.assert_equal(bounds_of([0.0] * 5, 0, 2, 4, known=[0, 0, np.nan, 0, 0]), [0.0, np.nan, np.nan])


def test_values_that_were_replaced_are_measured_as_such() -> None:
    kept = Kept(np.array([1, 3]), np.full(2, 2.0), np.array([1.0, 5.0]))
    made = line_bounds(block_of(np.array([0.0, 2.0, 4.0, 6.0])), kept, np.zeros(4))
    np.testing.assert_equal(made, [np.nan, np.nan])


def test_series_do_not_touch_each_other() -> None:
    block = block_of(np.array([0.0, 9.0, 4.0, 9.0, 0.0, 9.0]), np.array([1, 2, 1, 2, 1, 2]))
    assert line_bounds(block, keeping(0, 1, 4, 5), np.zeros(6)).tolist() == [0.0, 0.0, 4.0, 0.0]


def test_nothing_kept_has_no_bounds() -> None:
    assert bounds_of([1.0, 2.0]) == []


@given(st.lists(st.floats(0, 1e300), max_size=20))
def test_half_the_bytes_never_make_a_bound_smaller(bounds: list[float]) -> None:
    given = np.array(bounds)
    made = rounded_up(given)
    assert made.dtype == np.float32
    assert (made.astype(np.float64) >= given).all()
    small = given < 1e38
    assert (made[small] <= given[small] * (1 + 2e-7) + 1.5e-45).all()


def real_misses(block: Block, index: np.ndarray) -> dict[int, float]:
    """The largest miss on the way to each kept point, the slow way; by position in the block."""
    found: dict[int, float] = {}
    for one in np.unique(block.ids):
        mine = np.flatnonzero(block.ids == one)
        kept = [place for place in mine.tolist() if place in set(index.tolist())]
        line = np.interp(block.monotonic_s[mine], block.monotonic_s[kept], block.values[kept])
        miss = np.abs(block.values[mine] - line)
        for left, right in pairwise(kept):
            found[right] = float(miss[(mine > left) & (mine < right)].max(initial=0.0))
    return found


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(10, 200))
def test_53_in_one_round_the_bound_is_the_real_largest_error_of_each_stretch(
    seed: int, series: int, budget: int
) -> None:
    rng = np.random.default_rng(seed)
    block = block_of(rng.normal(size=400).cumsum(), rng.integers(0, series, 400), np.sort(rng.uniform(0, 100, 400)))
    kept = compact(block, budget)
    made = line_bounds(block, kept, np.zeros(400))
    by_place = dict(zip(kept.index.tolist(), made.tolist(), strict=True))
    for place, miss in real_misses(block, kept.index).items():
        assert by_place[place] == pytest.approx(miss, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 6))
def test_53_over_any_number_of_rounds_the_bound_holds_at_every_original_point(
    seed: int, series: int, rounds: int
) -> None:
    rng = np.random.default_rng(seed)
    original = block_of(rng.normal(size=600).cumsum(), rng.integers(0, series, 600), np.sort(rng.uniform(0, 100, 600)))
    place, bounds = np.arange(600), np.zeros(600)
    for number in range(rounds):
        left = block_of(original.values[place], original.ids[place], original.monotonic_s[place])
        kept = compact(left, int(600 * 0.6 ** (number + 1)))
        bounds = rounded_up(line_bounds(left, kept, bounds)).astype(np.float64)
        place = place[kept.index]
    carried = dict(zip(place.tolist(), bounds.tolist(), strict=True))
    for one, miss in real_misses(original, place).items():
        assert not carried[one] < miss - 1e-9
