"""HALF_OPEN: probes, their leases, and the end of the stay."""

from __future__ import annotations

import asyncio

import pytest

from agent.errors import BreakerOpen
from agent.resilience.breaker import CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


async def test_scenario_9_of_twenty_at_once_one_runs_and_nineteen_are_refused_at_once(rig):
    r = rig()
    r.trip()
    r.wait()
    go = asyncio.Event()
    running = 0

    async def target():
        nonlocal running
        running += 1
        await go.wait()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_outcome(r.breaker.execute(target))) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = [task for task in tasks if task.done()]
        assert running == 1
        assert len(refused) == 19
        go.set()
    assert sum(isinstance(task.result(), BreakerOpen) for task in tasks) == 19
    assert r.state is HALF_OPEN
    await r.breaker.execute(target)
    seen = r.breaker.snapshot()
    assert (seen.state, seen.calls) == (CLOSED, 0)
    assert r.events[-1].reason == "2 of 2 probes succeeded"


async def _outcome(awaitable):
    try:
        return await awaitable
    except BreakerOpen as error:
        return error


def test_scenario_9_no_more_probes_at_once_than_are_still_needed(rig):
    r = rig(probes=3, concurrent_probes=5)
    first = r.probe()
    others = [r.breaker.acquire() for _ in range(2)]
    assert r.is_refusing()
    first.succeed()
    assert r.is_refusing()
    others[0].cancel()
    assert not r.is_refusing()
    others[1].succeed()
    r.succeed()
    assert r.state is CLOSED


def test_scenario_10_a_failed_probe_reopens_at_once_with_a_longer_wait(rig):
    r = rig()
    r.probe().fail(OSError("still down"))
    assert r.state is OPEN
    assert r.breaker.retry_in_s == 20
    assert r.steps == [("CLOSED", "OPEN"), ("OPEN", "HALF_OPEN"), ("HALF_OPEN", "OPEN")]
    assert (r.events[-1].reason, r.events[-1].open_s) == ("a probe failed", 20)


def test_scenario_10_a_failure_after_a_success_reopens_too(rig):
    r = rig()
    r.probe().succeed()
    r.fail()
    assert r.state is OPEN
    assert r.breaker.snapshot().totals.trips == 2


def test_scenario_10_two_probes_failing_together_are_one_event(rig):
    r = rig(concurrent_probes=2)
    first, second = r.probe(), r.breaker.acquire()
    first.fail(OSError("down"))
    second.fail(OSError("down"))
    assert r.steps.count(("HALF_OPEN", "OPEN")) == 1
    assert r.breaker.retry_in_s == 20
    assert r.breaker.snapshot().totals.stale_results == 1


def test_a_slow_probe_reopens(rig):
    r = rig(slow_call_s=1.0)
    probe = r.probe()
    r.clock.advance(1.5)
    probe.succeed()
    assert r.state is OPEN
    assert r.events[-1].reason == "a probe was slow"


async def test_scenario_11_a_cancelled_probe_frees_its_place_at_once(rig):
    r = rig()
    r.trip()
    r.wait()
    task = asyncio.ensure_future(r.breaker.execute(asyncio.Event().wait))
    await asyncio.sleep(0)
    r.clock.advance(1)
    assert r.is_refusing()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert r.state is HALF_OPEN
    assert r.breaker.snapshot().totals.cancelled == 1
    r.succeed(2)
    assert r.state is CLOSED


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
async def test_scenario_11_so_does_a_probe_ended_by_what_is_no_exception(rig, kind):
    r = rig()
    r.trip()
    r.wait()

    def interrupted():
        raise kind

    with pytest.raises(kind):
        r.breaker.call(interrupted)
    assert r.state is HALF_OPEN
    with pytest.raises(kind):
        await r.breaker.execute(interrupted)
    seen = r.breaker.snapshot()
    assert (seen.totals.cancelled, seen.totals.failures, seen.in_flight) == (2, 4, 0)
    r.succeed(2)
    assert r.state is CLOSED


def test_scenario_13_fifty_ignored_probes_neither_close_nor_block(rig):
    r = rig(ignore_errors=KeyError)
    r.trip()
    r.wait()
    for _ in range(50):
        r.breaker.acquire().fail(KeyError("not the target's fault"))
        assert r.state is HALF_OPEN
    assert r.breaker.snapshot().totals.ignored == 50
    r.succeed()
    assert r.state is HALF_OPEN
    r.succeed()
    assert r.state is CLOSED


def test_scenario_14_a_hung_probe_is_reclaimed_at_its_lease_and_fenced(rig):
    r = rig()
    hung = r.probe()
    r.at(14.999)
    assert r.state is HALF_OPEN
    assert r.is_refusing()
    r.at(15)
    assert r.state is OPEN
    assert r.events[-1].reason == "a probe gave no answer"
    assert r.breaker.retry_in_s == pytest.approx(20)
    assert r.breaker.snapshot().last_failure == "no answer in 5 s"
    r.at(30)
    hung.succeed()
    assert r.state is OPEN
    seen = r.breaker.snapshot()
    assert (seen.totals.stale_results, seen.totals.successes) == (1, 0)
    r.at(35)
    r.succeed(2)
    assert r.state is CLOSED


def test_scenario_14_the_reopening_is_dated_to_the_lease_whoever_looks_first(rig):
    r = rig()
    r.probe()
    r.at(1000)
    assert r.state is HALF_OPEN
    assert r.events[-1].at_monotonic_s == pytest.approx(r.start_s + 15)


def test_scenario_14_a_hung_probe_may_also_just_lose_its_place(rig):
    r = rig(expired_probe_fails=False, concurrent_probes=2)
    hung = r.probe()
    r.at(12)
    second = r.breaker.acquire()
    r.at(15)
    assert r.state is HALF_OPEN
    assert r.breaker.snapshot().in_flight == 1
    third = r.breaker.acquire()
    hung.fail(OSError("late"))
    assert r.breaker.snapshot().totals.stale_results == 1
    second.succeed()
    third.succeed()
    assert r.state is CLOSED


def test_scenario_14_the_lease_is_twice_the_slow_threshold_unless_given(rig):
    assert rig(probe_lease_s=None).settings.lease_s == 5
    assert rig(probe_lease_s=None, slow_call_s=2.0).settings.lease_s == 5
    assert rig(probe_lease_s=None, slow_call_s=10.0).settings.lease_s == 20
    assert rig(probe_lease_s=7.0, slow_call_s=10.0).settings.lease_s == 7


def test_scenario_15_half_open_without_traffic_ends_open_with_the_same_wait(rig):
    r = rig()
    r.probe().succeed()
    r.at(39.999)
    assert r.state is HALF_OPEN
    r.at(40)
    assert r.state is OPEN
    assert (r.events[-1].reason, r.events[-1].open_s) == ("no verdict in 30 s", 10)
    r.at(50)
    r.fail()
    assert r.waits == [10, 10, 20]


def test_scenario_15_it_may_end_closed_instead(rig):
    r = rig(after_half_open=CLOSED)
    r.probe().succeed()
    r.at(41)
    assert r.state is CLOSED
    assert r.events[-1].at_monotonic_s == pytest.approx(r.start_s + 40)
    assert r.breaker.snapshot().failed_rounds == 0


def test_scenario_15_without_a_limit_it_stays(rig):
    r = rig(max_half_open_s=0.0)
    r.probe().succeed()
    r.at(1_000_000)
    assert r.state is HALF_OPEN
    r.succeed()
    assert r.state is CLOSED


def test_scenario_15_the_end_of_the_stay_comes_before_a_later_lease(rig):
    r = rig(concurrent_probes=2)
    r.probe().cancel()
    r.at(36)
    late = r.breaker.acquire()
    r.at(60)
    assert r.breaker.retry_in_s == 0
    assert r.steps[-1] == ("HALF_OPEN", "OPEN")
    assert r.events[-1].at_monotonic_s == pytest.approx(r.start_s + 40)
    late.succeed()
    assert r.breaker.snapshot().totals.stale_results == 1


def test_scenario_15_a_lease_that_ends_before_the_stay_decides(rig):
    r = rig()
    r.probe().cancel()
    r.at(34)
    r.breaker.acquire()
    r.at(60)
    assert r.breaker.retry_in_s == 0
    assert r.events[-1].reason == "a probe gave no answer"
    assert r.events[-1].at_monotonic_s == pytest.approx(r.start_s + 39)
