"""Forecasts: what they must get right on series whose future is known, and what they must never give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.numeric.forecast import forecast
from benchmarks.adapters import forecaster

DAY_STEPS = 96
STEP_S = 86_400 / DAY_STEPS


def times(count):
    return 1.7e9 + STEP_S * np.arange(count)


def daily(count, random, noise=1.0):
    return 50 + 20 * np.sin(2 * np.pi * np.arange(count) / DAY_STEPS) + noise * random.standard_normal(count)


def test_a_constant_goes_on_with_an_interval_of_no_width():
    made = forecast(times(200), np.full(200, 7.5), 24)
    for found in (made.point, made.low, made.high):
        np.testing.assert_array_equal(found, np.full(24, 7.5))


def test_a_straight_rise_goes_on():
    made = forecast(times(600), 5.0 + 0.25 * np.arange(600), 24)
    np.testing.assert_allclose(made.point, 5.0 + 0.25 * np.arange(600, 624), atol=0.01)


def test_a_rise_that_levels_off_is_not_drawn_out():
    random = np.random.default_rng(7)
    values = np.minimum(0.5 * np.arange(600), 200.0) + random.standard_normal(600)
    made = forecast(times(600), values, 24)
    assert abs(made.point[-1] - 200.0) < 1.0


def test_a_daily_season_is_followed_once_two_days_are_known():
    random = np.random.default_rng(1)
    values = daily(4 * DAY_STEPS, random)
    made = forecast(times(3 * DAY_STEPS), values[: 3 * DAY_STEPS], DAY_STEPS)
    truth = values[3 * DAY_STEPS :]
    assert np.abs(made.point - truth).mean() < 2.0
    assert np.abs(values[3 * DAY_STEPS - 1] - truth).mean() > 10.0


def test_one_day_is_not_enough_for_a_season():
    values = daily(DAY_STEPS, np.random.default_rng(2), noise=0.0)
    made = forecast(times(DAY_STEPS), values, 48)
    assert made.point.max() - made.point.min() < 5.0


def test_a_level_with_noise_beats_the_last_value():
    random = np.random.default_rng(3)
    ours, naive = [], []
    for _ in range(10):
        values = random.standard_normal(324)
        made = forecast(times(300), values[:300], 24)
        ours.append(np.abs(made.point - values[300:]).mean())
        naive.append(np.abs(values[299] - values[300:]).mean())
    assert np.mean(ours) < 0.85 * np.mean(naive)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_the_interval_covers_as_often_as_asked(coverage):
    random = np.random.default_rng(4)
    covered = []
    for _ in range(40):
        values = random.standard_normal(424)
        made = forecast(times(400), values[:400], 24, coverage)
        covered.append(((made.low <= values[400:]) & (values[400:] <= made.high)).mean())
    assert np.mean(covered) == pytest.approx(coverage, abs=0.05)


def test_gaps_and_infinities_are_skipped():
    values = np.full(300, 4.0)
    values[::7] = np.nan
    values[5] = np.inf
    made = forecast(times(300), values, 12)
    np.testing.assert_array_equal(made.point, np.full(12, 4.0))


def test_steps_are_the_median_step_of_the_times():
    kept = np.delete(np.arange(300), [10, 11, 50])
    assert forecast(times(300)[kept], np.ones(len(kept)), 3).step_s == pytest.approx(STEP_S)


def test_a_horizon_beyond_what_can_be_judged_gets_wider_intervals():
    random = np.random.default_rng(5)
    made = forecast(times(30), random.standard_normal(30), 90)
    width = made.high - made.low
    assert width[89] > 2 * width[9] > 0


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_too_little_history_has_no_interval(count):
    made = forecast(times(count), np.arange(count, dtype=float), 5)
    assert np.isnan(made.point).all() == (count == 0)
    assert np.isnan(made.low).all()
    assert np.isnan(made.high).all()


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-1e12, 1e12) | st.just(float("nan")), min_size=4, max_size=80),
    steps=st.integers(1, 40),
)
def test_point_lies_in_an_interval_that_is_the_right_way_round(values, steps):
    made = forecast(times(len(values)), np.array(values), steps)
    assert made.point.shape == made.low.shape == made.high.shape == (steps,)
    known = ~np.isnan(made.low)
    assert (made.low[known] <= made.point[known]).all()
    assert (made.point[known] <= made.high[known]).all()
    if sum(value == value for value in values) >= 4:
        assert np.isfinite(made.point).all()
    if len(values) >= 4 and not np.isnan(values).any():
        assert known.all()


def test_moving_and_stretching_a_series_moves_and_stretches_its_forecast():
    random = np.random.default_rng(6)
    values = np.cumsum(random.standard_normal(250))
    plain, moved = forecast(times(250), values, 10), forecast(times(250), 1000 + 8 * values, 10)
    np.testing.assert_allclose(moved.point, 1000 + 8 * plain.point, rtol=1e-9)
    np.testing.assert_allclose(moved.high - moved.low, 8 * (plain.high - plain.low), rtol=1e-6)


def test_the_door_for_benchmarks_gives_arrays():
    point, low, high = forecaster().forecast(times(50), np.arange(50.0), 24)
    assert point.shape == low.shape == high.shape == (24,)
