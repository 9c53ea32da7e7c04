"""Clocks that are set, and clocks that step back."""

from __future__ import annotations

import pytest

from agent.resilience.breaker import CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


@pytest.mark.parametrize("by_s", [-3600, 86_400])
def test_scenario_21_setting_the_wall_clock_does_not_move_the_recovery(rig, by_s):
    r = rig()
    r.trip()
    r.clock.set_wall_ns(r.clock.wall_ns() + by_s * 1_000_000_000)
    r.at(9.999)
    assert r.state is OPEN
    r.at(10)
    r.succeed(2)
    assert r.state is CLOSED


@pytest.mark.parametrize("back_s", [5.0, 1e6])
def test_scenario_21_a_clock_that_steps_back_while_open_costs_no_more_than_the_wait(rig, back_s):
    r = rig()
    r.trip()
    r.clock.advance(3)
    assert r.breaker.retry_in_s == pytest.approx(7)
    r.clock.advance(-back_s)
    assert r.breaker.retry_in_s == pytest.approx(7)
    r.clock.advance(7)
    assert r.state is HALF_OPEN
    r.succeed(2)
    assert r.state is CLOSED


@pytest.mark.parametrize("back_s", [5.0, 1e6])
def test_scenario_21_nor_does_it_wedge_a_probe(rig, back_s):
    r = rig()
    r.probe()
    r.clock.advance(-back_s)
    assert 0 < r.breaker.retry_in_s <= 5
    r.clock.advance(5)
    assert r.state is OPEN


def test_scenario_21_calls_in_flight_are_still_found_slow(rig):
    r = rig(slow_call_s=2.0)
    r.at(1.0)
    r.succeed()
    r.clock.advance(-1e6)
    for _ in range(4):
        r.breaker.acquire()
    r.clock.advance(1.9)
    assert r.state is CLOSED
    r.clock.advance(0.2)
    assert r.state is OPEN


def test_scenario_21_a_call_during_which_the_clock_steps_back_takes_no_negative_time(rig):
    r = rig(slow_call_s=2.0)
    permit = r.breaker.acquire()
    r.clock.advance(-50)
    permit.succeed()
    seen = r.breaker.snapshot()
    assert (seen.totals.successes, seen.slow, seen.overdue, seen.in_flight) == (1, 0, 0, 0)


def test_scenario_21_a_window_in_time_goes_on_forgetting(rig):
    r = rig(window_s=60.0, min_calls=5)
    r.at(59)
    r.fail(2)
    r.clock.advance(-1e6)
    r.fail(2)
    assert r.breaker.snapshot().calls == 4
    r.clock.advance(61)
    assert r.breaker.snapshot().calls == 0
