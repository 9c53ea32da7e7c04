"""Scenario 53 at the hub: statistics of sampled points, by how they were kept, with exact values and a bound that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contracts import Block
from agent.hub.chunk import Chunk
from agent.hub.records import Points
from agent.hub.rollup import COLUMNS, rolled_up
from agent.hub.statistics import Statistics, of_points, of_stretches
from agent.model import PointFlag
from agent.numeric.compaction import compact
from agent.resilience.line_bounds import line_bounds, rounded_up

S = 10**9
DRAWN, SHAPED, MERGED, CHOSEN = (
    PointFlag.DRAWN.value,
    PointFlag.SHAPED.value,
    PointFlag.MERGED.value,
    PointFlag.CHOSEN.value,
)


def kept(rows: list[tuple[float, float, float, int, float]]) -> Points:
    """Points of these seconds, values, weights, flags and bounds."""
    times, values, weights, flags, bounds = zip(*rows, strict=True)
    return Points(
        (np.array(times) * S).astype(np.int64),
        np.array(values),
        np.array(weights),
        np.array(flags, np.uint8),
        np.array(bounds),
    )


def by_minutes(points: Points) -> Statistics:
    """What roll-ups over a minute say of these points."""
    columns = {"values": points.values, "weights": points.weights, "flags": points.flags, "bounds": points.bounds}
    matrices = {name: np.asarray(column, np.float64)[None] for name, column in columns.items()}
    rolled = rolled_up([Chunk(np.array([1], np.uint32), points.times_ns, matrices)], 60 * S)
    return of_stretches({name: rolled.column(name)[0] for name in COLUMNS})


NAN = float("nan")


def test_a_fair_draw_is_averaged_by_weight() -> None:
    found = of_points(kept([(0, 1.0, 5, DRAWN, NAN), (1, 3.0, 15, DRAWN, NAN), (100, 5.0, 20, DRAWN, NAN)]))
    assert (found.mean, found.mean_by) == ((1.0 * 5 + 3.0 * 15 + 5.0 * 20) / 40, "weight")
    assert (found.count, found.methods) == (40.0, ("drawn",))
    assert (found.error_bound, found.max_error) == (None, None)


def test_means_of_stretches_give_the_exact_mean_of_all() -> None:
    produced = np.arange(12.0) ** 2
    rows = [(end, float(produced[end - 2 : end + 1].mean()), 3.0, MERGED, NAN) for end in (2, 5, 8, 11)]
    found = of_points(kept(rows))
    assert found.mean == pytest.approx(produced.mean())
    assert (found.mean_by, found.methods) == ("weight", ("merged",))


def test_points_kept_for_their_shape_are_averaged_over_time_within_a_stated_bound() -> None:
    """Of 0..10 s three points stay: the peak at 2 s, and the ends; no point was farther than 0.5 from the first line, 2 from
    the second."""
    rows = [(0, 0.0, 1.5, SHAPED, 0.0), (2, 8.0, 5.0, SHAPED, 0.5), (10, 0.0, 4.5, SHAPED, 2.0)]
    found = of_points(kept(rows))
    assert (found.mean, found.mean_by, found.covered_s) == (4.0, "time", 10.0)
    assert (found.error_bound, found.max_error) == ((2 * 0.5 + 8 * 2.0) / 10, 2.0)
    assert found.methods == ("shape",)


def test_where_nothing_was_left_out_nothing_can_be_wrong() -> None:
    found = of_points(kept([(0, 1.0, 1, 0, 0.0), (1, 2.0, 1, PointFlag.ANOMALOUS.value, 0.0), (2, 6.0, 1, 0, 0.0)]))
    assert (found.mean, found.error_bound, found.max_error, found.methods) == (2.75, 0.0, 0.0, ())


def test_a_bound_that_is_not_known_on_one_way_is_not_known_for_the_whole() -> None:
    rows = [(0, 0.0, 1, 0, 0.0), (1, 1.0, 1, CHOSEN, NAN), (2, 2.0, 1, 0, 0.0), (3, 3.0, 1, 0, 0.0)]
    found = of_points(kept(rows))
    assert (found.mean, found.mean_by, found.error_bound, found.max_error) == (1.5, "time", None, None)
    later = of_points(kept(rows[2:]))
    assert (later.error_bound, later.methods) == (0.0, ())


def test_points_of_an_agent_that_does_not_say_how_they_were_kept_have_no_bound() -> None:
    times = np.array([0, 10, 20]) * S
    found = of_points(Points(times, np.array([1.0, 2.0, 3.0]), np.full(3, 10.0), np.zeros(3, np.uint8)))
    assert (found.mean, found.error_bound, found.max_error, found.methods) == (2.0, None, None, ())


def test_a_draw_among_points_kept_for_their_shape_is_averaged_over_time() -> None:
    rows = [(0, 0.0, 1, 0, 0.0), (2, 4.0, 2, DRAWN, NAN), (4, 0.0, 2, SHAPED, 1.0)]
    found = of_points(kept(rows))
    assert (found.mean, found.mean_by, found.methods, found.error_bound) == (2.0, "time", ("drawn", "shape"), None)


def test_long_straight_ways_between_close_bends_are_no_silences() -> None:
    """Steps as a shape-preserving choice keeps them: two points close together, then nothing for a hundred seconds."""
    rows, second = [], 0
    for level in range(6):
        rows += [
            (second, float(level), 50.5, SHAPED, 0.0),
            (second + 100, float(level), 50.5, SHAPED, 0.0),
        ]
        second += 101
    found = of_points(kept(rows))
    assert found.covered_s == second - 1
    assert found.mean == pytest.approx((sum(100 * n for n in range(6)) + sum(n + 0.5 for n in range(5))) / 605)


def test_a_silence_among_shaped_points_is_left_out_of_mean_and_bound() -> None:
    rows = [(second, 1.0, 2.0, SHAPED, 0.25) for second in range(0, 20, 2)]
    rows += [(second, 3.0, 2.0, SHAPED, 0.25) for second in range(1000, 1020, 2)]
    found = of_points(kept(rows))
    assert found.covered_s == 18 + 2 + 18
    assert found.mean == pytest.approx((18 * 1.0 + 2 * 2.0 + 18 * 3.0) / 38)
    assert found.error_bound == pytest.approx(36 * 0.25 / 38)


def test_a_single_point_that_stands_for_others_bounds_nothing() -> None:
    assert of_points(kept([(1, 5.0, 8.0, SHAPED, NAN)])).error_bound is None
    assert of_points(kept([(1, 5.0, 1.0, 0, 0.0)])).error_bound == 0.0


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(4, 80))
def test_53_the_mean_over_all_that_was_produced_is_within_the_stated_bound(seed: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    seconds, produced = np.arange(400.0), rng.normal(size=400).cumsum()
    block = Block(
        seconds, np.zeros(400, np.uint32), produced, np.zeros(400, np.int64), np.zeros(400, bool), np.ones(400)
    )
    choice = compact(block, budget)
    bounds = rounded_up(line_bounds(block, choice, np.zeros(400))).astype(np.float64)
    rows = np.column_stack((seconds, produced))[choice.index]
    flags = np.full(len(rows), SHAPED)
    points = kept([(*row, *more) for row, *more in zip(rows, choice.weights, flags, bounds, strict=True)])
    truth = float(np.trapezoid(produced, seconds) / 399)
    for found in (of_points(points), by_minutes(points)):
        assert found.covered_s == pytest.approx(399)
        assert abs(found.mean - truth) <= found.error_bound + 1e-9
        assert found.max_error == pytest.approx(np.abs(np.interp(seconds, *rows.T) - produced).max(), rel=1e-6)
        assert produced.min() >= found.min - found.max_error - 1e-9
        assert produced.max() <= found.max + found.max_error + 1e-9


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_53_the_mean_of_a_fair_draw_is_right_on_average(seed: int) -> None:
    rng = np.random.default_rng(seed)
    produced = rng.normal(size=500).cumsum()
    means = []
    for _ in range(200):
        index = np.sort(rng.choice(500, 50, replace=False))
        drawn = [(second, produced[second], 10.0, DRAWN, NAN) for second in index.tolist()]
        means.append(of_points(kept(drawn)).mean)
    spread = produced.std() / np.sqrt(50 * 200)
    assert abs(np.mean(means) - produced.mean()) < 5 * spread
