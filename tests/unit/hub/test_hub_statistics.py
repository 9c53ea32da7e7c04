"""Statistics of kept points against exact ones, reckoned point by point in fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hub.chunk import Chunk
from agent.hub.records import Points
from agent.hub.rollup import COLUMNS, rolled_up
from agent.hub.statistics import of_points, of_stretches

S = 10**9
VALUES = st.floats(-1e6, 1e6, allow_subnormal=False)
KEPT = st.lists(st.tuples(st.integers(1, 40), VALUES, st.integers(1, 20)), min_size=1, max_size=40)
"""Of each point: seconds since the one before, value, weight."""


def points(kept, start_s=1000):
    """Points as a store gives them."""
    times_s = np.cumsum([start_s, *(apart for apart, _, _ in kept[1:])])
    values, weights = [value for _, value, _ in kept], [weight for _, _, weight in kept]
    return Points(times_s * S, np.array(values), np.array(weights, float), np.zeros(len(kept), np.uint8))


def straight(seconds, weights=None, slope=2.0):
    """Points of a straight line at these seconds."""
    times = np.array(seconds, np.int64)
    ones = np.ones(len(times)) if weights is None else np.array(weights, float)
    return Points(times * S, slope * times, ones, np.zeros(len(times), np.uint8))


def exact_mean(kept):
    """The mean over time and the seconds that it covers, in fractions: each way between two points is a trapezium as wide as
    the time between them, or, where that is more than three times what they stand for, as wide as they stand for."""
    ways = list(pairwise(kept))
    stood_for = [Fraction(one[2] + next_one[2], 2) for one, next_one in ways]
    apart = [Fraction(next_one[0]) for _, next_one in ways]
    period = median(way / weight for way, weight in zip(apart, stood_for, strict=True))
    wide = [weight * period if way > 3 * weight * period else way for way, weight in zip(apart, stood_for, strict=True)]
    levels = [(Fraction(one[1]) + Fraction(next_one[1])) / 2 for one, next_one in ways]
    return sum(map(lambda width, level: width * level, wide, levels)) / sum(wide), sum(wide)


@given(KEPT)
def test_count_and_mean_by_weight_are_exact(kept):
    found = of_points(points(kept))
    weight = sum(weight for _, _, weight in kept)
    by_weight = sum(Fraction(value) * weight for _, value, weight in kept) / weight
    assert (found.count, found.stored) == (weight, len(kept))
    assert found.weighted_mean == pytest.approx(float(by_weight), rel=1e-9, abs=1e-6)
    values = [value for _, value, _ in kept]
    assert (found.min, found.max, found.first, found.last) == (min(values), max(values), values[0], values[-1])


@given(KEPT.filter(lambda kept: len(kept) > 1))
def test_the_mean_over_time_is_exact(kept):
    found, (mean, covered_s) = of_points(points(kept)), exact_mean(kept)
    assert found.covered_s == pytest.approx(float(covered_s), rel=1e-9)
    assert found.mean == pytest.approx(float(mean), rel=1e-9, abs=1e-6)


@given(st.integers(1, 50), st.lists(st.floats(2, 3), min_size=1, max_size=40), st.floats(-1e3, 1e3))
def test_of_a_straight_line_the_kept_points_give_the_mean_of_all(every, spread, slope):
    """Whatever was left out between them, if it is told in the weights and about as much everywhere."""
    apart = [round(every * one * 10) for one in spread]
    seconds = np.cumsum([0, *apart])
    found = of_points(straight(seconds, [apart[0], *apart], slope))
    assert found.mean == pytest.approx(slope * seconds[-1] / 2, rel=1e-9, abs=1e-6)
    assert found.covered_s == seconds[-1]
    assert found.count == apart[0] + seconds[-1]


def test_points_kept_where_much_happens_do_not_pull_the_mean_over_time():
    """Ten minutes at 1 with every tenth point kept, one at 100 with all of them: by weight and over time alike."""
    calm = [(10, 1.0, 10)] * 60
    busy = [(1, 100.0, 1)] * 60
    found = of_points(points([*calm, *busy]))
    assert found.mean == pytest.approx((590 * 1 + 1 * 50.5 + 59 * 100) / 650)
    assert found.weighted_mean == pytest.approx((600 * 1 + 60 * 100) / 660)


def test_a_silence_counts_no_longer_than_the_points_beside_it():
    found = of_points(straight([0, 1, 2, 3, 1000, 1001, 1002]))
    assert found.covered_s == 6
    assert found.mean == pytest.approx((1 + 3 + 5 + 1003 + 2001 + 2003) / 6)


def test_a_hole_that_the_weights_explain_is_no_silence():
    found = of_points(straight([0, 1, 2, 62, 63, 64], [1, 1, 1, 60, 1, 1]))
    assert found.covered_s == 64


@given(KEPT, st.sets(st.integers(0, 60)), st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_values_that_are_not_finite_count_for_nothing(kept, places, odd):
    clean = points(kept)
    cut = sorted(min(place, len(kept)) for place in places)
    dirty = Points(
        np.insert(clean.times_ns, cut, 0),
        np.insert(clean.values, cut, odd),
        np.insert(clean.weights, cut, 7.0),
        np.insert(clean.flags, cut, 0),
    )
    assert of_points(dirty) == of_points(clean)


def test_of_nothing_there_is_nothing_to_say():
    for nothing in (straight([]), points([(1, float("nan"), 1)])):
        found = of_points(nothing)
        assert (found.count, found.stored, found.mean, found.min, found.covered_s) == (0.0, 0, None, None, 0.0)


def test_one_point_is_its_own_mean_and_covers_no_time():
    found = of_points(points([(1, 5.0, 8)]))
    assert (found.mean, found.weighted_mean, found.count, found.covered_s) == (5.0, 5.0, 8.0, 0.0)


def test_points_of_the_same_time_are_weighed():
    found = of_points(straight([7, 7, 7], [1, 2, 5]))
    assert (found.mean, found.covered_s, found.count) == (14.0, 0.0, 8.0)


def stretches(whole, step_s):
    """The columns of a roll-up of these points, of one series."""
    columns = {"values": whole.values[None], "weights": whole.weights[None], "flags": whole.flags[None].astype(float)}
    if whole.bounds is not None:
        columns["bounds"] = whole.bounds[None]
    rolled = rolled_up([Chunk(np.array([1], np.uint32), whole.times_ns, columns)], step_s * S)
    return {name: rolled.column(name)[0] for name in COLUMNS}


@given(KEPT, st.sampled_from([60, 3600]))
def test_stretches_say_the_same_as_the_points_that_they_are_made_of(kept, step_s):
    whole = points(kept)
    found, exact = of_stretches(stretches(whole, step_s)), of_points(whole)
    assert (found.count, found.min, found.max, found.last) == (exact.count, exact.min, exact.max, exact.last)
    assert found.weighted_mean == pytest.approx(exact.weighted_mean, rel=1e-9, abs=1e-6)
    assert (found.error_bound, found.max_error) == (exact.error_bound, exact.max_error)
    assert found.stored == len({second // step_s for second in (whole.times_ns // S).tolist()})


BOUNDED = st.lists(
    st.tuples(st.integers(1, 40), VALUES, st.integers(1, 20), st.sampled_from([0, 8, 16, 64]), st.floats(0, 1e3)),
    min_size=2,
    max_size=40,
).filter(lambda kept: any(weight > 1 and flags for _, _, weight, flags, _ in kept))


@given(BOUNDED, st.sampled_from([30, 60, 3600]))
def test_stretches_of_kept_points_bound_the_same_mean_over_time(kept, step_s):
    """Whatever stretches the ways begin and end in."""
    bare = points([one[:3] for one in kept])
    flags = np.array([one[3] for one in kept], np.uint8)
    bounds = np.array([one[4] if one[2] > 1 else 0.0 for one in kept])
    whole = Points(bare.times_ns, bare.values, bare.weights, flags, bounds)
    found, exact = of_stretches(stretches(whole, step_s)), of_points(whole)
    assert (found.mean_by, found.methods) == (exact.mean_by, exact.methods)
    for name in ("mean", "covered_s", "error_bound", "max_error"):
        expected = getattr(exact, name)
        assert getattr(found, name) == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-6))


def test_the_mean_of_stretches_counts_each_by_the_time_that_it_covers():
    found = of_stretches({name: np.array(one) for name, one in _STRETCHES.items()})
    assert (found.mean, found.weighted_mean, found.first, found.last) == ((60 * 1.5 + 20 * 9) / 80, 1.9, 1.0, 12.0)
    assert (found.count, found.stored, found.min, found.max, found.covered_s) == (100.0, 2, 0.0, 12.0, 80.0)
    assert (found.error_bound, found.max_error) == ((60 * 0.5 + 20 * 0.1) / 80, 3.0)
    assert (found.methods, found.mean_by) == (("shape",), "time")


@pytest.mark.parametrize("unknown", ["error", "max_error"])
def test_one_stretch_of_which_an_error_is_not_known_leaves_none_known(unknown):
    columns = {name: np.array(one) for name, one in _STRETCHES.items()}
    columns[unknown][2] = np.nan
    found = of_stretches(columns)
    assert (found.error_bound, found.max_error) == (None, None)


def test_stretches_of_a_fair_draw_are_averaged_by_weight():
    drawn = {**_STRETCHES, "marks": [8.0, 0.0, 8.0]}
    found = of_stretches({name: np.array(one) for name, one in drawn.items()})
    assert (found.mean, found.mean_by, found.methods, found.error_bound) == (1.9, "weight", ("drawn",), None)


def test_stretches_without_points_are_left_out():
    nothing = of_stretches({name: np.zeros(3) for name in _STRETCHES})
    assert (nothing.count, nothing.stored, nothing.mean, nothing.covered_s) == (0.0, 0, None, 0.0)


_STRETCHES = {
    "count": [90.0, 0.0, 10.0],
    "min": [0.0, -99.0, 8.0],
    "max": [2.0, 99.0, 12.0],
    "mean": [1.0, 50.0, 10.0],
    "last": [2.0, 50.0, 12.0],
    "over_time": [1.5, 50.0, 9.0],
    "covered_s": [60.0, 60.0, 20.0],
    "error": [0.5, 99.0, 0.1],
    "max_error": [3.0, 99.0, 1.0],
    "marks": [16.0, 64.0, 0.0],
}
