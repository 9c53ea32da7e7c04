"""Time to exhaustion: what is predicted, what is recognised as harmless, and that the interval means something."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.numeric.exhaustion import NEVER, exhaustion, time_to_exhaustion_s
from agent.numeric.swings import noise_of, swings_of
from benchmarks.adapters import forecaster
from benchmarks.failures import LIMIT, STEP_S, make_cases
from benchmarks.forecast_bench import WINDOW, first_alarm

MINUTE_S = 60.0


def minutes(count):
    return 1.7e9 + MINUTE_S * np.arange(count)


def teeth(count, period, top, bottom=10.0):
    return bottom + (top - bottom) * (np.arange(count) % period) / period


def test_a_steady_rise_is_timed():
    found = exhaustion(minutes(240), np.linspace(20, 60, 240), 100.0)
    assert found.eta_s == pytest.approx(239 * MINUTE_S, rel=1e-6)
    assert found.low_s <= found.eta_s <= found.high_s
    assert found.confidence == 1.0
    assert found.reason == "it rises steadily"
    assert found.seen_s == 240 * MINUTE_S


def test_a_fall_to_a_lower_limit_is_timed_too():
    assert time_to_exhaustion_s(minutes(240), np.linspace(80, 40, 240), 0.0) == pytest.approx(239 * MINUTE_S, rel=1e-6)


def test_noise_widens_the_interval_and_keeps_the_truth_in_it():
    random = np.random.default_rng(1)
    truths, widths = [], []
    for noise in (0.2, 2.0):
        found = [
            exhaustion(minutes(240), np.linspace(20, 60, 240) + noise * random.standard_normal(240), 100.0)
            for _ in range(60)
        ]
        truths.append(np.mean([one.low_s <= 239 * MINUTE_S <= one.high_s for one in found]))
        widths.append(np.median([one.high_s - one.low_s for one in found]))
    assert min(truths) >= 0.8
    assert widths[1] > 3 * widths[0]


def test_a_limit_that_is_reached_is_zero_seconds_away():
    values = np.append(np.full(60, 50.0), 100.0)
    assert time_to_exhaustion_s(minutes(61), values, 100.0) == 0.0


def test_a_limit_that_was_passed_long_ago_is_zero_seconds_away():
    assert time_to_exhaustion_s(minutes(300), np.linspace(0, 400, 300), 100.0) == 0.0
    assert time_to_exhaustion_s(minutes(3), np.array([98.0, 99.0, 101.0]), 100.0) == 0.0


def test_a_rise_in_coarse_steps_is_timed():
    values = 5.0 * np.floor(np.linspace(20, 45, 240) / 5)
    assert time_to_exhaustion_s(minutes(240), values, 100.0) == pytest.approx(9 * 3600, rel=0.15)


def test_a_rise_that_became_steeper_is_timed_by_what_it_is_now():
    values = np.append(np.linspace(20, 30, 200), 30 + 0.15 * np.arange(1, 61))
    assert time_to_exhaustion_s(minutes(260), values, 100.0) == pytest.approx(61 / 0.15 * MINUTE_S, rel=0.15)


def test_values_at_the_edge_of_the_range_are_no_reason_to_warn():
    values = 1e308 * np.where(np.arange(100) % 3, 1.0, -1.0)
    assert time_to_exhaustion_s(minutes(100), values, 0.0) >= 0.0


@pytest.mark.parametrize(
    "values",
    [
        np.full(240, 42.0),
        np.linspace(60, 20, 240),
        np.append(np.full(200, 20.0), np.full(40, 80.0)),
        np.concatenate((np.full(100, 20.0), np.full(30, 80.0), np.full(110, 20.0))),
        np.append(np.linspace(20, 60, 120), np.full(120, 60.0)),
        np.repeat([50.0, 53, 52, 55, 54, 57, 56, 59], 30),
        teeth(240, 70, 90.0),
        teeth(240, 23, 90.0),
    ],
    ids=["flat", "falling", "step", "burst", "levelled off", "staggering", "slow teeth", "fast teeth"],
)
def test_what_is_harmless_is_never(values):
    assert exhaustion(minutes(len(values)), values, 100.0) == NEVER


def test_a_saw_tooth_is_harmless_at_every_moment_once_it_was_cleared_twice():
    values = teeth(700, 97, 80.0) + 0.05 * np.random.default_rng(2).standard_normal(700)
    assert all(time_to_exhaustion_s(minutes(now), values[:now], 100.0) == inf for now in range(200, 700, 7))


def test_small_saw_teeth_on_large_ones_are_harmless_once_the_large_were_cleared():
    values = teeth(700, 97, 60.0) + teeth(700, 11, 12.0, bottom=0.0)
    assert all(time_to_exhaustion_s(minutes(now), values[:now], 100.0) == inf for now in range(220, 700, 7))


def test_saw_teeth_that_rise_from_one_to_the_next_are_not_harmless():
    values = teeth(480, 80, 30.0) + np.arange(480) / 480 * 40
    found = exhaustion(minutes(480), values, 100.0)
    assert 0.3 * 480 < found.eta_s / MINUTE_S < 2.0 * 480


def test_a_saw_tooth_that_is_not_cleared_this_time_is_not_harmless():
    values = np.append(teeth(300, 100, 60.0), np.linspace(10, 85, 150))
    assert exhaustion(minutes(450), values, 100.0).eta_s < 3600


def test_nothing_is_believed_further_than_six_times_what_was_seen():
    slow = np.linspace(20.0, 25.0, 240)
    assert exhaustion(minutes(240), slow, 100.0) == NEVER
    assert exhaustion(minutes(240), slow, 50.0).eta_s < inf


def test_too_little_is_no_trend():
    assert exhaustion(minutes(23), np.linspace(10, 90, 23), 100.0) == NEVER
    assert exhaustion(minutes(0), np.empty(0), 100.0) == NEVER


def test_gaps_are_no_reason_for_doubt():
    values = np.linspace(20, 60, 240)
    values[::5] = np.nan
    assert time_to_exhaustion_s(minutes(240), values, 100.0) == pytest.approx(239 * MINUTE_S, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(0, 100) | st.just(float("nan")), max_size=200),
    limit=st.floats(-10, 200) | st.just(inf),
)
def test_whatever_comes_the_answer_makes_sense(values, limit):
    found = exhaustion(minutes(len(values)), np.array(values), limit)
    assert 0 <= found.low_s <= found.eta_s <= found.high_s
    assert 0 <= found.confidence <= 1


def test_generated_failures_are_seen_in_time_and_the_harmless_left_alone():
    """A few of each shape, from a seed of their own; the benchmark has more."""
    alarms = [(case, first_alarm(case, forecaster().eta, WINDOW)) for case in make_cases(4, seed=1)]
    leads_h = [(case.crosses_at - at) * STEP_S / 3600 for case, at in alarms if case.crosses_at and at]
    assert len(leads_h) == 8
    assert np.median(np.minimum(leads_h, 4.0)) >= 3.0
    assert sum(at is not None for case, at in alarms if case.crosses_at is None) <= 1
    assert LIMIT == 100.0


def test_swings_are_found_where_they_are():
    swings = swings_of(teeth(250, 100, 60.0), 0.0)
    assert [one.peak for one in swings] == [99, 199]
    assert swings[0].height == pytest.approx(49.5)


def test_noise_is_measured_whatever_the_trend():
    random = np.random.default_rng(3)
    values = np.linspace(0, 1000, 2000) + 2.0 * random.standard_normal(2000)
    assert noise_of(values) == pytest.approx(2.0, rel=0.1)
    assert noise_of(values[:2]) == 0.0
    assert len(swings_of(random.standard_normal(1000), 1.0)) <= 3
