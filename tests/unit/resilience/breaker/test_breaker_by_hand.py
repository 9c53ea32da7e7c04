"""States set by hand, and trips by hand."""

from __future__ import annotations

import pytest

from agent.errors import BreakerOpen
from agent.resilience.breaker import CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
FORCED_OPEN, DISABLED, METRICS_ONLY = CircuitState.FORCED_OPEN, CircuitState.DISABLED, CircuitState.METRICS_ONLY


def bring_to(r, state):
    if state in (OPEN, HALF_OPEN):
        r.trip()
    if state is HALF_OPEN:
        r.wait()
        r.breaker.acquire().cancel()
    by_hand = {FORCED_OPEN: r.breaker.force_open, DISABLED: r.breaker.disable, METRICS_ONLY: r.breaker.metrics_only}
    by_hand.get(state, lambda: None)()
    assert r.state is state


@pytest.mark.parametrize("start", list(CircuitState))
def test_scenario_22_forced_open_refuses_for_any_time_until_reset(rig, start):
    r = rig()
    bring_to(r, start)
    r.breaker.force_open()
    for seconds in (0, 10, 1e6):
        r.clock.advance(seconds)
        with pytest.raises(BreakerOpen) as info:
            r.breaker.acquire()
        assert (info.value.state, info.value.retry_in_s) == ("FORCED_OPEN", 60)
    assert r.breaker.retry_in_s == 60
    r.breaker.reset()
    assert r.state is CLOSED
    r.succeed()
    assert r.events[-1].reason == "reset"


@pytest.mark.parametrize("start", list(CircuitState))
def test_scenario_22_disabled_admits_all_and_judges_none(rig, start):
    r = rig(slow_call_s=1.0)
    bring_to(r, start)
    r.breaker.disable()
    before = r.breaker.snapshot().totals
    slow = [r.breaker.acquire() for _ in range(20)]
    r.clock.advance(50)
    r.fail(100)
    for permit in slow:
        permit.succeed()
    seen = r.breaker.snapshot()
    assert (seen.state, seen.calls, seen.failures, seen.overdue) == (DISABLED, 0, 0, 0)
    assert (seen.totals.failures, seen.totals.successes) == (before.failures + 100, before.successes + 20)
    r.breaker.reset()
    r.fail(3)
    assert r.state is CLOSED


@pytest.mark.parametrize("start", list(CircuitState))
def test_scenario_22_metrics_only_counts_what_would_have_opened_and_never_refuses(rig, start):
    r = rig()
    bring_to(r, start)
    r.breaker.metrics_only()
    r.fail(3)
    assert r.breaker.snapshot().totals.would_have_opened == 0
    assert r.breaker.snapshot().failures == 3
    r.fail(1)
    seen = r.breaker.snapshot()
    assert (seen.state, seen.totals.would_have_opened, seen.calls) == (METRICS_ONLY, 1, 0)
    r.fail(4)
    assert r.breaker.snapshot().totals.would_have_opened == 2
    assert r.events[-1].new_state in (METRICS_ONLY, start)
    r.breaker.reset()
    assert r.state is CLOSED


def test_scenario_22_metrics_only_watches_calls_in_flight(rig):
    r = rig(slow_call_s=1.0)
    r.breaker.metrics_only()
    for _ in range(4):
        r.breaker.acquire()
    r.clock.advance(1.5)
    seen = r.breaker.snapshot()
    assert (seen.state, seen.totals.would_have_opened, seen.in_flight) == (METRICS_ONLY, 1, 0)
    r.succeed()
    assert not r.is_refusing()


@pytest.mark.parametrize("start", list(CircuitState))
def test_scenario_22_no_wait_or_lease_fires_after_a_reset(rig, start):
    r = rig()
    bring_to(r, start)
    if start is HALF_OPEN:
        r.breaker.acquire()
    r.breaker.reset()
    told = len(r.events)
    r.clock.advance(1e6)
    assert r.state is CLOSED
    assert len(r.events) == told
    r.trip()
    assert r.waits[-1] == 10


def test_reset_forgets_rounds_window_and_last_failure_but_no_total(rig):
    r = rig()
    r.probe().fail(OSError("down"))
    r.breaker.reset()
    r.fail(3)
    r.breaker.reset()
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.failed_rounds, seen.last_failure) == (0, 0, "")
    assert (seen.totals.failures, seen.totals.trips) == (8, 2)
    assert r.steps[-1] == ("OPEN", "CLOSED")


def test_reset_forgets_a_trip_that_nobody_had_seen_yet_too(rig):
    r = rig()
    r.probe()
    r.clock.advance(5)
    r.breaker.reset()
    seen = r.breaker.snapshot()
    assert (seen.failed_rounds, seen.last_failure, seen.state) == (0, "", CLOSED)
    r.trip()
    assert r.waits[-1] == 10


def test_trip_opens_from_closed_and_half_open_only(rig):
    r = rig()
    r.breaker.trip("recovery")
    assert (r.state, r.events[-1].reason, r.waits) == (OPEN, "recovery", [10])
    r.clock.advance(5)
    r.breaker.trip()
    assert r.waits == [10]
    r.wait()
    r.breaker.trip()
    assert (r.events[-1].reason, r.waits) == ("tripped by hand", [10, 20])


@pytest.mark.parametrize("state", [FORCED_OPEN, DISABLED, METRICS_ONLY])
def test_trip_leaves_what_was_set_by_hand(rig, state):
    r = rig()
    bring_to(r, state)
    r.breaker.trip()
    assert r.state is state


def test_setting_a_state_twice_is_one_event(rig):
    r = rig()
    r.breaker.force_open()
    r.breaker.force_open()
    assert r.steps == [("CLOSED", "FORCED_OPEN")]
