"""The strategies that keep the course: `change`, and `hybrid`, which is built on it."""

from __future__ import annotations

import random
from bisect import insort
from functools import partial
from itertools import pairwise, starmap

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.builtin import load_builtin
from agent.contracts import Block, Sampler
from agent.numeric import compaction
from agent.numeric.compaction import compact, course_of, reconstructed


def block_of(values: np.ndarray, ids: np.ndarray | None = None, exceptional: np.ndarray | None = None, **more) -> Block:
    size = len(values)
    return Block(
        more.get("monotonic_s", np.arange(size, dtype=np.float64)),
        np.zeros(size, np.uint32) if ids is None else ids.astype(np.uint32),
        values.astype(np.float64),
        more.get("priority", np.zeros(size, np.int64)),
        np.zeros(size, bool) if exceptional is None else exceptional,
        np.ones(size),
        more.get("is_last", True),
    )


def hybrid(**config) -> Sampler:
    class Context:
        rng = random.Random(1)

    registration = load_builtin("sampling", "hybrid")
    return registration.factory(registration.config(**config), Context())


def slow_greedy(values: np.ndarray, budget: int) -> list[tuple[float, int, int, int]]:
    """The same greedy choice, one bend at a time: how bad each line was, its ends, and where it was bent."""
    ends, bends = [0, len(values) - 1], []
    while len(ends) < budget:
        worst = max(starmap(partial(worst_miss, values), pairwise(ends)))
        if worst[0] < 1e-18:
            break
        bends.append(worst)
        insort(ends, worst[3])
    return bends


def worst_miss(values: np.ndarray, left: int, right: int) -> tuple[float, int, int, int]:
    inner = np.arange(left + 1, right)
    if not len(inner):
        return 0.0, left, right, left
    line = values[left] + (values[right] - values[left]) * (inner - left) / (right - left)
    miss = np.abs(values[inner] - line)
    return float(miss.max() * np.sqrt((miss**2).sum())), left, right, int(inner[miss.argmax()])


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 30))
@example(981, 13)
@example(1265, 17)
def test_bends_are_those_of_the_slow_greedy_form(seed: int, budget: int) -> None:
    """All but those that came after the least of them, which held them back: of these the worst, and others of the same line."""
    course = course_of(block_of(np.random.default_rng(seed).normal(size=120).cumsum()))
    frame = np.zeros(120, bool)
    frame[[0, -1]] = True
    fast = set(np.flatnonzero(compaction._bends(course, frame, budget - 2)).tolist())
    slow = slow_greedy(course.y, budget)
    assert len(fast) == len(slow)
    least = min(range(len(slow)), key=lambda number: slow[number][0])
    _, left, right, _ = slow[least]
    sure = {middle for *_, middle in slow[: least + 2]}
    assert sure <= fast
    assert all(left < middle < right for middle in fast - sure)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(10, 60))
def test_points_slide_only_where_that_pays_and_only_on_slopes(seed: int, series: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    course = course_of(block_of(rng.normal(size=200).cumsum(), np.sort(rng.integers(0, series, 200))))
    frame = np.zeros(200, bool)
    frame[course.starts[:-1]] = frame[course.starts[1:] - 1] = True
    kept = np.flatnonzero(frame | compaction._bends(course, frame, budget))
    slid = compaction._slid(course, kept, frame)
    squares = compaction._Squares(course)
    ways = np.isin(kept[1:], course.starts, invert=True)
    before, after = (squares.of(points[:-1], points[1:])[ways].sum() for points in (kept, slid))
    assert after <= before - compaction.SLIDE_GAIN * (slid != kept).sum() + 1e-9
    assert (np.diff(slid) > 0).all()
    assert (slid[frame[kept]] == kept[frame[kept]]).all()
    assert (np.abs(slid - kept) <= 2).all()
    assert (np.abs(course.y[slid] - course.y[kept]) <= compaction.SLIDE_RATIO * course.span[kept]).all()
    for at in range(2, len(kept) - 1, 2):  # those that slid last
        left, right = slid[at - 1], slid[at + 1]
        places = np.arange(max(left, kept[at] - 3) + 1, min(right, kept[at] + 3))
        is_like = np.abs(course.y[places] - course.y[kept[at]]) <= compaction.SLIDE_RATIO * course.span[kept[at]]
        ways = [squares.of(np.array([left, place]), np.array([place, right])).sum() for place in places[is_like]]
        mine = squares.of(np.array([left, slid[at]]), np.array([slid[at], right])).sum()
        assert frame[kept[at]] or mine <= min(ways) + compaction.SLIDE_GAIN + 1e-9


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_53_first_and_last_point_of_each_series_stay_when_there_is_room(seed: int, series: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, series, 600)
    kept = compact(block_of(rng.normal(size=600), ids), 2 * series)
    for one in np.unique(ids):
        places = np.flatnonzero(ids == one)
        assert places[0] in kept.index
        assert places[-1] in kept.index


def test_53_more_budget_never_makes_the_largest_miss_much_larger() -> None:
    values = np.random.default_rng(5).normal(size=2000).cumsum()
    block = block_of(values)
    misses = [np.abs(reconstructed(block, compact(block, budget)) - values).max() for budget in (20, 100, 400, 2000)]
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] == pytest.approx(0.0, abs=1e-6)


def test_54_a_constant_series_costs_two_points() -> None:
    kept = compact(block_of(np.full(1000, 1e9 + 0.1)), 500)
    assert kept.index.tolist() == [0, 999]
    assert kept.weights.tolist() == [500.0, 500.0]


def test_no_budget_and_no_points_keep_nothing() -> None:
    for block, budget in ((block_of(np.arange(5.0)), 0), (block_of(np.zeros(0)), 5)):
        for kept in (compact(block, budget), hybrid().keep(block, budget)):
            assert (len(kept.index), len(kept.weights)) == (0, 0)


def test_a_straight_ramp_costs_two_points_and_a_corner_three() -> None:
    ramp = np.arange(1000.0)
    assert compact(block_of(ramp), 500).index.tolist() == [0, 999]
    assert compact(block_of(np.abs(ramp - 300)), 500).index.tolist() == [0, 300, 999]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_54_values_that_are_not_numbers_harm_nothing(bad: float) -> None:
    values = np.sin(np.arange(1000) / 50)
    values[100:110] = bad
    values[500] = 5.0
    kept = compact(block_of(values), 50)
    assert 500 in kept.index
    flags = np.zeros(1000, bool)
    flags[100:110] = True
    kept = hybrid().keep(block_of(values, exceptional=flags), 50)
    assert np.isfinite(values[kept.index]).sum() >= len(kept.index) - 1


def test_54_one_percent_of_anomalies_stays_with_a_neighbour_on_each_side() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(size=20_000)
    exceptional = np.zeros(20_000, bool)
    exceptional[rng.choice(20_000, 200, replace=False)] = True
    kept = hybrid().keep(block_of(values, exceptional=exceptional), 2000)
    stays = np.zeros(20_000, bool)
    stays[kept.index] = True
    places = np.flatnonzero(exceptional)
    assert stays[places].all()
    assert stays[np.maximum(places - 1, 0)].all()
    assert stays[np.minimum(places + 1, 19_999)].all()


def test_54_blocks_of_a_thousand_keep_nearly_all_anomalies_with_their_neighbours() -> None:
    rng = np.random.default_rng(8)
    kept_count = 0
    for _ in range(20):
        exceptional = rng.random(1000) < 0.01
        kept = hybrid().keep(block_of(rng.normal(size=1000), exceptional=exceptional), 100)
        places = np.flatnonzero(exceptional)
        whole = [np.isin(np.clip(places + step, 0, 999), kept.index) for step in (-1, 0, 1)]
        kept_count += np.logical_and.reduce(whole).sum() / len(places)
    assert kept_count / 20 >= 0.95


def test_too_many_exceptional_points_leave_room_for_the_rest_and_the_important_go_first() -> None:
    exceptional = np.arange(1000) % 2 == 0
    priority = np.zeros(1000, np.int64)
    priority[::100] = 2
    kept = hybrid().keep(
        block_of(np.random.default_rng(9).normal(size=1000), exceptional=exceptional, priority=priority), 100
    )
    assert set(range(0, 1000, 100)) <= set(kept.index.tolist())
    assert len(kept.index) == 100


def test_hybrid_keeps_the_newest_only_where_the_newest_are() -> None:
    values = np.zeros(1000)
    newest = hybrid(newest_ratio=0.5).keep(block_of(values), 100)
    assert set(range(950, 1000)) <= set(newest.index.tolist())
    older = hybrid(newest_ratio=0.5).keep(block_of(values, is_last=False), 100)
    assert len(older.index) < 20


def test_a_decaying_oscillation_does_not_run_away() -> None:
    steps = np.arange(20_000)
    values = np.cos(np.pi * steps) * np.exp(-steps / 2000)
    kept = compact(block_of(values), 2000)
    assert 100 <= len(kept.index) <= 2000


def test_lanes_series_and_every_part_of_an_outage_survive_a_fiftieth() -> None:
    rng = np.random.default_rng(11)
    popularity = 1 / np.arange(1, 201)
    ids = rng.choice(200, 50_000, p=popularity / popularity.sum())
    time_s = np.sort(np.concatenate([rng.uniform(0, 1000, 40_000), rng.uniform(400, 420, 10_000)]))
    critical = rng.random(50_000) < 0.002
    block = block_of(rng.normal(size=50_000), ids, critical, monotonic_s=time_s, priority=critical.astype(np.int64))
    kept = hybrid().keep(block, 1000)
    assert np.isin(np.flatnonzero(critical), kept.index).all()
    assert len(np.unique(ids[kept.index])) >= 195
    assert np.histogram(time_s[kept.index], bins=20, range=(0, 1000))[0].min() > 0
    assert kept.index[-1] == 49_999
