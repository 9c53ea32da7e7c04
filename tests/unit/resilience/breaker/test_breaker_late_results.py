"""Outcomes that come after their state is over."""

from __future__ import annotations

import pytest

from agent.resilience.breaker import CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def settle(permit, is_success):
    if is_success:
        permit.succeed()
    else:
        permit.fail(OSError("late"))


def seen_but_for_stale(r):
    seen = r.breaker.snapshot()
    return (
        seen.state,
        seen.calls,
        seen.failures,
        seen.retry_in_s,
        seen.failed_rounds,
        seen.last_failure,
        seen.in_flight,
    )


@pytest.mark.parametrize("is_success", [True, False])
@pytest.mark.parametrize("later", [OPEN, HALF_OPEN, CLOSED])
def test_scenario_16_a_late_result_changes_nothing(rig, later, is_success):
    r = rig()
    late = [r.breaker.acquire() for _ in range(10)]
    r.trip()
    r.clock.advance(3)
    if later is not OPEN:
        r.wait()
        r.succeed()
    if later is CLOSED:
        r.succeed()
    assert r.state is later
    before = seen_but_for_stale(r)
    for permit in late:
        settle(permit, is_success)
    assert seen_but_for_stale(r) == before
    assert r.breaker.snapshot().totals.stale_results == 10


@pytest.mark.parametrize("is_success", [True, False])
def test_scenario_16_a_late_probe_does_not_count_in_the_next_half_open(rig, is_success):
    r = rig(concurrent_probes=2)
    late, failing = r.probe(), r.breaker.acquire()
    failing.fail(OSError("down"))
    r.wait()
    current = r.breaker.acquire()
    settle(late, is_success)
    assert r.state is HALF_OPEN
    current.succeed()
    assert r.state is HALF_OPEN
    r.succeed()
    assert r.state is CLOSED


def test_a_late_cancellation_counts_as_cancelled_not_as_a_result(rig):
    r = rig()
    late = r.breaker.acquire()
    r.trip()
    late.cancel()
    totals = r.breaker.snapshot().totals
    assert (totals.cancelled, totals.stale_results) == (1, 0)


@pytest.mark.parametrize("is_success", [True, False])
def test_scenario_22_results_from_before_a_reset_are_ignored(rig, is_success):
    r = rig()
    late = [r.breaker.acquire() for _ in range(10)]
    r.breaker.reset()
    for permit in late:
        settle(permit, is_success)
    seen = r.breaker.snapshot()
    assert (seen.state, seen.calls, seen.totals.stale_results) == (CLOSED, 0, 10)
