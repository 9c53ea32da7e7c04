"""Small promises that no scenario needs: what is returned, cut, kept alive, counted at the bound."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref

import pytest
from structlog.testing import capture_logs

from agent.errors import BreakerOpen
from agent.resilience.backoff import Backoff
from agent.resilience.breaker import BreakerEvent, BreakerSettings, CircuitState, deliver_now
from agent.resilience.breaker_events import MAX_WAITING_EVENTS, EventRelay
from agent.resilience.websocket_breaker import WebSocketCircuitBreaker

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN
EVENT = BreakerEvent("hub", CLOSED, OPEN, "3 failures in a row", 1.0, 5.0)


async def test_a_permit_is_what_its_block_is_given(rig):
    r = rig()
    with r.breaker.acquire() as permit:
        assert permit is not None
    async with r.breaker.acquire() as permit:
        assert permit is not None
    assert r.breaker.snapshot().totals.successes == 2


async def test_a_decorated_coroutine_function_that_raises_trips_and_is_refused_and_probed(rig):
    r = rig()

    @r.breaker
    async def fail():
        raise OSError("down")

    for _ in range(4):
        with pytest.raises(OSError, match="down"):
            await fail()
    assert (r.state, r.breaker.snapshot().totals.failures) == (OPEN, 4)
    with pytest.raises(BreakerOpen):
        await fail()
    r.wait()
    with pytest.raises(OSError, match="down"):
        await fail()
    assert r.steps == [("CLOSED", "OPEN"), ("OPEN", "HALF_OPEN"), ("HALF_OPEN", "OPEN")]


def test_a_broken_predicate_is_logged_once_and_cut_to_five_hundred_characters(rig):
    def break_down(_result):
        raise ValueError("x" * 1000)

    r = rig(record_result=break_down)
    with capture_logs() as logs:
        for _ in range(2):
            r.breaker.call(str)
            assert [len(entry["error"]) for entry in logs] == [500]
    assert r.breaker.snapshot().predicate_errors == 2


@pytest.mark.parametrize("text", ["x" * 1000, "x" * 500])
def test_the_last_failure_is_remembered_in_five_hundred_characters(rig, text):
    r = rig(record_result=lambda result: result == text)
    r.breaker.acquire().fail(OSError(text))
    assert len(r.breaker.snapshot().last_failure) == 500
    r.breaker.acquire().succeed(text)
    assert r.breaker.snapshot().last_failure == f"result '{text}"[:500]


def test_events_beyond_the_bound_are_counted_and_the_oldest_go():
    assert MAX_WAITING_EVENTS == 1000
    seen: list[BreakerEvent] = []
    relay = EventRelay("hub", deliver_now)
    relay.add(seen.append)
    for _ in range(1000):
        relay.put(EVENT)
    assert relay.dropped == 0
    relay.put(EVENT)
    assert relay.dropped == 1
    relay.flush()
    assert len(seen) == 1000


def test_a_listener_that_is_removed_hears_no_more_and_the_others_do():
    first: list[BreakerEvent] = []
    second: list[BreakerEvent] = []
    relay = EventRelay("hub", deliver_now)
    hear_first, hear_second = first.append, second.append
    relay.add(hear_first)
    relay.add(hear_second)
    relay.remove(hear_first)
    relay.put(EVENT)
    relay.flush()
    assert (len(first), len(second)) == (0, 1)


async def test_a_listener_that_waits_is_kept_alive_until_it_is_done_and_no_longer():
    """Nobody but the listener knows what it waits for."""
    waiting, heard = [], []

    async def listen(event):
        go = asyncio.get_running_loop().create_future()
        waiting.extend([weakref.ref(go), weakref.ref(asyncio.current_task())])
        await go
        heard.append(event)

    relay = EventRelay("hub", deliver_now)
    relay.add(listen)
    relay.put(EVENT)
    relay.flush()
    await asyncio.sleep(0)
    gc.collect()
    go, task = (ref() for ref in waiting)
    assert go is not None
    go.set_result(None)
    await task
    assert heard == [EVENT]
    del go, task
    await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in waiting] == [None, None]


def test_a_snapshot_lets_go_of_calls_that_are_too_old_by_itself(rig, clock):
    r = rig(window_s=60.0)
    r.fail(2)
    clock.advance(61.0)
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.failures, seen.retry_in_s) == (0, 0, 0.0)


@pytest.mark.parametrize(("older_by_ns", "is_taken"), [(60_000_000_000, True), (60_000_000_001, False)])
def test_a_saved_state_counts_up_to_the_longest_wait_after_it_was_saved(rig, clock, older_by_ns, is_taken):
    saved = rig()
    saved.trip()
    state = saved.breaker.export_state()
    clock.set_wall_ns(clock.wall_ns() + older_by_ns)
    later = rig()
    assert later.breaker.restore_state(state) is is_taken
    assert [event.reason for event in later.events] == ["restored"] * is_taken


def test_a_restored_failure_is_cut_to_five_hundred_characters(rig):
    saved = rig()
    saved.trip()
    state = {**saved.breaker.export_state(), "last_failure": "x" * 1000}
    later = rig()
    assert later.breaker.restore_state(state)
    assert later.breaker.snapshot().last_failure == "x" * 500


def test_waits_grow_by_the_factor_up_to_the_cap_and_stay_inside_the_jitter():
    settings = BreakerSettings(open_s=10.0, backoff_factor=2.0, max_open_s=60.0, jitter_ratio=0.2)
    backoff = Backoff(settings, random.Random(3))
    waits = [[backoff.next_s() for _ in range(5)]]
    for _ in range(300):
        backoff.recovered()
        waits.append([backoff.next_s() for _ in range(5)])
    for place, middle_s in enumerate([10.0, 20.0, 40.0, 60.0, 60.0]):
        column = [row[place] for row in waits]
        assert min(column) >= 0.8 * middle_s
        assert max(column) <= 1.2 * middle_s
        assert max(column) - min(column) > 0.35 * middle_s
        assert sum(column) / len(column) == pytest.approx(middle_s, rel=0.03)


def test_no_round_is_forgotten_before_a_whole_interval_of_health_and_never_more_than_there_are():
    backoff = Backoff(BreakerSettings(soft_reset_s=300.0, jitter_ratio=0.0, open_s=10.0), random.Random(1))
    backoff.restore(3)
    backoff.healthy(299.9)
    assert backoff.rounds == 3
    backoff.healthy(600.0)
    assert backoff.rounds == 1
    backoff.healthy(9000.0)
    assert backoff.rounds == 0


def test_no_more_rounds_are_remembered_than_make_the_wait_longer():
    """10, 20, 40, 60 s: from the fourth round on the wait is the cap."""
    backoff = Backoff(BreakerSettings(open_s=10.0, max_open_s=60.0, soft_reset_s=300.0), random.Random(1))
    backoff.restore(1000)
    assert backoff.rounds == 4


def test_a_constant_wait_has_no_rounds_to_remember():
    backoff = Backoff(BreakerSettings(backoff_factor=1.0, open_s=10.0, jitter_ratio=0.0), random.Random(1))
    backoff.restore(50)
    assert backoff.rounds == 1
    assert [backoff.next_s() for _ in range(3)] == [10.0] * 3


def test_as_shipped_a_websocket_breaker_opens_at_the_third_failure_for_thirty_seconds():
    breaker = WebSocketCircuitBreaker("as shipped")
    for _ in range(2):
        breaker.record_failure()
    assert breaker.can_attempt_connection()
    breaker.record_failure()
    assert not breaker.can_attempt_connection()
    assert 29.0 < breaker.get_wait_time() <= 30.0
