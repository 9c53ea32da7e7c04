"""CLOSED: what is counted, and what trips."""

from __future__ import annotations

import asyncio

import pytest

from agent.resilience.breaker import CircuitState, Totals

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN


def test_scenario_1_trips_at_the_call_that_reaches_min_calls_and_hands_on_the_original_error(rig):
    r = rig()
    errors = [OSError(number) for number in range(4)]
    caught = []
    for error in errors:
        assert r.state is CLOSED

        def raises(error=error):
            raise error

        with pytest.raises(OSError, match=r"\d") as info:
            r.breaker.call(raises)
        caught.append(info.value)
    assert r.state is OPEN
    assert all(got is error for got, error in zip(caught, errors, strict=True))
    assert r.events[0].reason == "4 of 4 calls failed"


async def test_scenario_1_execute_hands_on_the_original_error_too(rig):
    r = rig()
    r.fail(3)
    error = OSError("fourth")

    async def raises():
        raise error

    with pytest.raises(OSError, match="fourth") as info:
        await r.breaker.execute(raises)
    assert info.value is error
    assert info.value.__cause__ is None
    assert info.value.__context__ is None
    assert r.state is OPEN


def test_scenario_2_half_failed_of_a_full_window_trips_exactly_on_the_tenth(rig):
    r = rig()
    r.succeed(5)
    r.fail(4)
    assert r.state is CLOSED
    r.fail()
    assert r.state is OPEN


def test_scenario_2_less_than_half_does_not_trip(rig):
    r = rig()
    r.succeed(6)
    r.fail(4)
    assert r.state is CLOSED
    assert r.breaker.snapshot().failure_ratio == 0.4


def test_scenario_2_the_oldest_outcome_leaves_when_the_eleventh_enters(rig):
    r = rig()
    r.succeed(6)
    r.fail(4)
    r.succeed(6)
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.failures) == (10, 4)
    r.succeed()
    assert r.breaker.snapshot().failures == 3
    r.succeed(3)
    assert r.breaker.snapshot().failures == 0
    r.fail(4)
    assert r.state is CLOSED
    r.fail()
    assert r.state is OPEN


def test_scenario_2_a_success_that_completes_min_calls_over_the_ratio_trips(rig):
    r = rig()
    r.fail(3)
    r.succeed()
    assert r.state is OPEN
    assert r.events[0].reason == "3 of 4 calls failed"


def test_scenario_3_a_streak_is_broken_by_one_success(rig):
    r = rig(failure_ratio=None, consecutive_failures=3)
    r.fail(2)
    r.succeed()
    r.fail(2)
    assert r.state is CLOSED
    r.fail()
    assert r.state is OPEN
    assert r.events[0].reason == "3 failures in a row"


def test_scenario_3_nine_of_ten_failing_trips_by_ratio_and_never_by_a_streak_of_ten(rig):
    by_ratio = rig()
    by_streak = rig(failure_ratio=None, consecutive_failures=10)
    for number in range(1000):
        is_fine = number % 10 == 0
        (by_streak.succeed if is_fine else by_streak.fail)()
        if by_ratio.state is CLOSED:
            (by_ratio.succeed if is_fine else by_ratio.fail)()
    assert by_ratio.state is OPEN
    assert by_streak.state is CLOSED
    assert by_streak.breaker.snapshot().totals.failures == 900


def test_scenario_4_failures_older_than_the_window_are_forgotten(rig):
    """With a minimum of four calls the fourth failure would trip at once (scenario 1); a fifth within the window would here."""
    r = rig(window_s=60.0, min_calls=5)
    r.fail(4)
    r.at(61)
    assert r.breaker.snapshot().calls == 0
    r.fail()
    assert r.state is CLOSED
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.failures) == (1, 1)


def test_scenario_4_failures_within_the_window_trip(rig):
    r = rig(window_s=60.0)
    for second in (0, 15, 30):
        r.at(second)
        r.fail()
    r.at(45)
    assert r.state is CLOSED
    r.fail()
    assert r.state is OPEN


async def _takes(clock, seconds, result=None):
    clock.advance(seconds)
    return result


async def test_scenario_5_a_call_exactly_at_the_threshold_is_slow_and_keeps_its_result(rig, clock):
    r = rig(slow_call_s=1.0, slow_ratio=0.5)
    results = [await r.breaker.execute(_takes, clock, 1.0, number) for number in range(4)]
    assert results == [0, 1, 2, 3]
    assert r.state is OPEN
    assert r.events[0].reason == "4 of 4 calls slow"
    totals = r.breaker.snapshot().totals
    assert (totals.slow, totals.successes, totals.failures) == (4, 4, 0)


async def test_scenario_5_a_call_just_below_is_not(rig, clock):
    r = rig(slow_call_s=1.0, slow_ratio=0.5)
    results = [await r.breaker.execute(_takes, clock, 0.999, number) for number in range(20)]
    assert results == list(range(20))
    assert r.state is CLOSED
    assert r.breaker.snapshot().slow == 0


async def test_scenario_5_slow_calls_below_their_ratio_do_not_trip(rig, clock):
    r = rig(slow_call_s=1.0, slow_ratio=0.5)
    r.succeed(3)
    for _ in range(4):
        await r.breaker.execute(_takes, clock, 5.0)
        r.succeed()
    assert r.breaker.snapshot().slow == 4
    assert r.state is CLOSED
    await r.breaker.execute(_takes, clock, 5.0)
    assert r.state is OPEN


def test_scenario_6_calls_in_flight_trip_as_they_become_slow(rig):
    r = rig(slow_call_s=2.0)
    permits = [r.breaker.acquire() for _ in range(20)]
    r.at(2.0)
    assert r.state is CLOSED
    r.at(2.1)
    assert r.state is OPEN
    assert r.events[0].reason == "4 of 4 calls slow"
    for permit in permits:
        permit.succeed()
    assert r.state is OPEN
    seen = r.breaker.snapshot()
    assert (seen.totals.stale_results, seen.in_flight) == (20, 0)
    assert r.steps == [("CLOSED", "OPEN")]


def test_scenario_6_some_slow_calls_in_flight_count_once_and_leave_with_their_call(rig):
    r = rig(slow_call_s=2.0)
    slow = [r.breaker.acquire() for _ in range(3)]
    r.at(5)
    r.succeed(2)
    seen = r.breaker.snapshot()
    assert (seen.in_flight, seen.overdue, seen.calls, seen.slow) == (3, 3, 2, 0)
    slow[0].succeed()
    assert r.breaker.snapshot().overdue == 2
    slow[1].cancel()
    assert r.breaker.snapshot().overdue == 1
    slow[2].fail(OSError("late"))
    seen = r.breaker.snapshot()
    assert (seen.in_flight, seen.overdue, seen.calls, seen.slow, seen.failures) == (0, 0, 4, 2, 1)
    assert (seen.totals.slow, seen.totals.cancelled) == (2, 1)


def test_scenario_6_overdue_calls_count_with_the_window_whichever_completes_the_ratio(rig):
    r = rig(slow_call_s=2.0, slow_ratio=0.8)
    for _ in range(3):
        r.breaker.acquire()
    r.at(3)
    assert r.state is CLOSED
    r.succeed()
    assert r.state is CLOSED
    seen = r.breaker.snapshot()
    assert (seen.overdue, seen.calls) == (3, 1)
    r.breaker.acquire()
    r.at(5)
    assert r.state is CLOSED
    r.at(5.1)
    assert r.state is OPEN
    assert r.events[0].at_monotonic_s == pytest.approx(r.start_s + 5)


def test_scenario_6_the_trip_is_dated_to_the_moment_whoever_looks_first(rig):
    r = rig(slow_call_s=2.0)
    for _ in range(4):
        r.breaker.acquire()
    r.at(8)
    assert r.breaker.retry_in_s == pytest.approx(4)
    r.at(12.1)
    assert r.state is CircuitState.HALF_OPEN


def test_scenario_6_an_old_window_is_forgotten_before_calls_in_flight_are_judged(rig):
    r = rig(slow_call_s=2.0, window_s=60.0)
    slow = [r.breaker.acquire() for _ in range(3)]
    r.at(2)
    for permit in slow:
        permit.succeed()
    r.at(61)
    r.breaker.acquire()
    assert r.breaker.snapshot().slow == 3
    r.at(63.1)
    assert r.state is CLOSED
    seen = r.breaker.snapshot()
    assert (seen.slow, seen.overdue) == (0, 1)


def test_scenario_6_calls_in_flight_are_watched_again_after_each_look(rig):
    r = rig(slow_call_s=2.0)
    r.at(100)
    first = r.breaker.acquire()
    r.at(101)
    second = r.breaker.acquire()
    r.at(102.5)
    assert r.breaker.snapshot().overdue == 1
    r.at(103.5)
    assert r.breaker.snapshot().overdue == 2
    first.succeed()
    second.succeed()
    assert r.breaker.snapshot().overdue == 0


def test_scenario_6_calls_are_watched_beside_a_stream_that_never_is_slow(rig):
    r = rig(slow_call_s=2.0)

    @r.breaker
    def stream():
        yield 1

    items = stream()
    next(items)
    r.at(100)
    assert r.state is CLOSED
    permits = [r.breaker.acquire() for _ in range(4)]
    r.at(102.1)
    assert r.state is OPEN
    assert r.events[0].reason == "4 of 4 calls slow"
    assert len(permits) == 4
    items.close()


async def test_scenario_12_cancelled_calls_count_neither_way(rig):
    r = rig()
    started = 0

    async def hangs():
        nonlocal started
        started += 1
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(r.breaker.execute(hangs)) for _ in range(100)]
        while started < 100:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.totals.failures, seen.totals.successes) == (0, 0, 0)
    assert (seen.totals.cancelled, seen.in_flight, seen.state) == (100, 0, CLOSED)


async def test_scenario_12_a_time_out_of_our_own_inside_the_guard_is_a_failure(rig):
    r = rig()

    async def limited():
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    for _ in range(4):
        with pytest.raises(TimeoutError):
            await r.breaker.execute(limited)
    assert r.state is OPEN


async def test_scenario_12_a_time_out_outside_the_guard_is_not(rig):
    r = rig()
    for _ in range(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await r.breaker.execute(asyncio.Event().wait)
    seen = r.breaker.snapshot()
    assert (seen.state, seen.totals.cancelled, seen.totals.failures) == (CLOSED, 10, 0)


def test_scenario_17_the_wait_starts_when_the_failure_is_recorded(rig):
    r = rig()
    long_call = r.breaker.acquire()
    r.fail(3)
    r.at(30)
    long_call.fail(OSError("at last"))
    assert r.state is OPEN
    r.at(39.999)
    assert r.is_refusing()
    r.at(40)
    assert r.state is CircuitState.HALF_OPEN


def test_a_permit_settles_once(rig):
    r = rig()
    permit = r.breaker.acquire()
    permit.succeed()
    permit.succeed()
    permit.fail(OSError("too late"))
    permit.cancel()
    seen = r.breaker.snapshot()
    assert (seen.totals.successes, seen.totals.failures, seen.totals.cancelled, seen.totals.stale_results) == (
        1,
        0,
        0,
        0,
    )
    assert seen.in_flight == 0


async def test_execute_takes_plain_functions_and_anything_awaitable(rig):
    r = rig()

    def future_of(value):
        future = asyncio.get_running_loop().create_future()
        future.set_result(value)
        return future

    assert await r.breaker.execute(max, 1, 2) == 2
    assert await r.breaker.execute(future_of, "later") == "later"
    assert await r.breaker.execute(dict, function=1) == {"function": 1}
    assert r.breaker.snapshot().calls == 3


def test_call_refuses_a_coroutine_function_instead_of_counting_an_unawaited_success(rig):
    r = rig()

    async def forgotten():
        return None

    with pytest.raises(TypeError, match="await execute"):
        r.breaker.call(forgotten)
    seen = r.breaker.snapshot()
    assert (seen.totals.successes, seen.totals.cancelled, seen.in_flight) == (0, 1, 0)


def test_a_snapshot_without_calls_has_no_failures(rig):
    r = rig()
    seen = r.breaker.snapshot()
    assert (seen.failure_ratio, seen.calls, seen.state, seen.since_s) == (0.0, 0, CLOSED, r.start_s)
    assert seen.totals == Totals()
    assert repr(r.breaker) == "<Breaker 'target' CLOSED>"
