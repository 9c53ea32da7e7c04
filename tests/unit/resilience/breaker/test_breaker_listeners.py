"""Listeners: in order, off the call's path, and harmless."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading

import pytest
from structlog.testing import capture_logs

from agent.errors import BreakerOpen
from agent.resilience.breaker import Breaker, BreakerEvent, BreakerSettings, CircuitState, deliver_now
from agent.resilience.breaker_events import MAX_WAITING_EVENTS, EventRelay

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
ONE = BreakerSettings(min_calls=1, probes=1, jitter_ratio=0)


@pytest.fixture
def breaker(clock):
    return Breaker("b", ONE, clock=clock, rng=random.Random(1))


def trip(breaker):
    breaker.acquire().fail(OSError("down"))


def test_scenario_24_a_raising_listener_changes_nothing_and_is_logged(rig):
    r = rig()

    def raises(_event):
        raise ZeroDivisionError("mine")

    late = []
    r.breaker.add_listener(raises)
    r.breaker.add_listener(late.append)
    with capture_logs() as logs:
        r.trip()
    assert r.state is OPEN
    assert len(late) == 1
    assert r.breaker.snapshot().listener_errors == 1
    assert logs == [
        {
            "event": "breaker.listener_failed",
            "log_level": "warning",
            "breaker": "target",
            "error": "ZeroDivisionError('mine')",
        }
    ]


async def test_scenario_24_a_raising_coroutine_listener_changes_nothing_and_is_logged(breaker):
    done = asyncio.Event()

    async def raises(_event):
        done.set()
        raise ZeroDivisionError("mine")

    breaker.add_listener(raises)
    with capture_logs() as logs:
        trip(breaker)
        await done.wait()
        await asyncio.sleep(0)
    assert breaker.state is OPEN
    assert [log["event"] for log in logs] == ["breaker.listener_failed"]


async def test_scenario_24_on_a_loop_listeners_run_after_the_call_has_gone_on(breaker):
    told = []
    breaker.add_listener(told.append)
    with pytest.raises(OSError, match="down"):
        await breaker.execute(_fails)
    assert told == []
    await asyncio.sleep(0)
    assert [event.new_state for event in told] == [OPEN]


async def _fails():
    raise OSError("down")


async def test_scenario_24_a_listener_that_waits_holds_up_no_call(breaker):
    started, release = asyncio.Event(), asyncio.Event()

    async def waits(_event):
        started.set()
        await release.wait()

    breaker.add_listener(waits)
    trip(breaker)
    await started.wait()
    breaker.reset()
    assert await breaker.execute(abs, -1) == 1
    release.set()
    await asyncio.sleep(0)


def test_scenario_24_without_a_loop_a_slow_listener_holds_up_no_call(breaker):
    started, release, done = threading.Event(), threading.Event(), threading.Event()
    told, daemons = [], []

    def blocks(event):
        daemons.append(threading.current_thread().daemon)
        started.set()
        release.wait(10)
        told.append(event.new_state)
        if event.new_state is CLOSED:
            done.set()

    breaker.add_listener(blocks)
    trip(breaker)
    assert started.wait(10)
    breaker.reset()
    assert breaker.call(abs, -1) == 1
    assert told == []
    release.set()
    assert done.wait(10)
    assert told == [OPEN, CLOSED]
    assert daemons == [True, True]


def test_scenario_24_without_a_loop_a_coroutine_listener_runs_too(breaker):
    done = threading.Event()

    async def listens(event):
        await asyncio.sleep(0)
        if event.new_state is OPEN:
            done.set()

    breaker.add_listener(listens)
    trip(breaker)
    assert done.wait(10)


def test_scenario_24_a_listener_may_use_the_breaker(rig):
    r = rig()
    seen = []

    def uses(event):
        seen.append((event.new_state.name, r.breaker.snapshot().state.name))
        if event.new_state is OPEN:
            r.breaker.reset()

    r.breaker.add_listener(uses)
    r.fail(4)
    assert r.state is CLOSED
    assert seen == [("OPEN", "OPEN"), ("CLOSED", "CLOSED")]
    assert r.steps == [("CLOSED", "OPEN"), ("OPEN", "CLOSED")]


def test_scenario_24_a_refusal_says_the_state_that_refused_whatever_a_listener_does_about_it(rig):
    r = rig()
    r.probe()
    r.clock.advance(5)
    r.breaker.add_listener(lambda event: r.breaker.reset() if event.new_state is OPEN else None)
    with pytest.raises(BreakerOpen) as info:
        r.breaker.acquire()
    assert (info.value.state, info.value.last_failure) == ("OPEN", "no answer in 5 s")
    assert r.state is CLOSED


def test_scenario_24_the_order_of_events_is_the_order_of_transitions(rig):
    r = rig()

    def meddles(event):
        if event.new_state is OPEN and len(r.events) < 9:
            r.breaker.force_open()
            r.breaker.reset()

    r.breaker.add_listener(meddles)
    late = []
    r.breaker.add_listener(late.append)
    r.fail(4)
    r.fail(4)
    assert all(before.new_state is after.old_state for before, after in itertools.pairwise(r.events))
    assert late == r.events
    assert r.steps[:3] == [("CLOSED", "OPEN"), ("OPEN", "FORCED_OPEN"), ("FORCED_OPEN", "CLOSED")]


@pytest.mark.parametrize("look", ["snapshot", "export_state", "reset", "trip", "force_open", "state", "retry_in_s"])
def test_whoever_finds_that_something_fell_due_has_it_told(rig, look):
    r = rig()
    r.probe()
    r.clock.advance(5)
    found = getattr(r.breaker, look)
    if callable(found):
        found()
    assert ("HALF_OPEN", "OPEN") in r.steps


def test_an_error_text_in_the_log_is_bounded(rig):
    r = rig()

    def raises(_event):
        raise ValueError("x" * 10_000)

    r.breaker.add_listener(raises)
    with capture_logs() as logs:
        r.trip()
    assert len(logs[0]["error"]) == 500


def test_an_event_opens_for_no_time_unless_it_says_so():
    assert BreakerEvent("b", OPEN, HALF_OPEN, "probe due", 0.0).open_s == 0


def test_a_listener_can_be_removed(rig):
    r = rig()
    r.breaker.remove_listener(r.events.append)
    r.breaker.remove_listener(print)
    r.trip()
    assert r.events == []


def test_waiting_events_are_bounded_and_the_dropped_ones_counted(clock):
    held = []
    breaker = Breaker("b", ONE, clock=clock, rng=random.Random(1), deliver=held.append)
    told = []
    breaker.add_listener(told.append)
    for _ in range(MAX_WAITING_EVENTS):
        trip(breaker)
        breaker.reset()
    assert breaker.snapshot().dropped_events == MAX_WAITING_EVENTS
    held[0]()
    assert len(told) == MAX_WAITING_EVENTS
    held[-1]()
    assert len(told) == MAX_WAITING_EVENTS


async def test_events_scheduled_on_a_loop_that_died_come_with_the_next_ones(clock):
    lost = []
    breaker = Breaker("b", ONE, clock=clock, rng=random.Random(1), deliver=lost.append)
    told = []
    breaker.add_listener(told.append)
    trip(breaker)
    breaker.reset()
    lost[-1]()
    assert [event.new_state for event in told] == [OPEN, CLOSED]


def test_scenario_24_two_deliverers_at_once_keep_the_order():
    relay = EventRelay("b", deliver_now)
    entered, release = threading.Event(), threading.Event()
    told = []

    def blocks_once(event):
        entered.set()
        release.wait(10)
        told.append(event.reason)

    relay.add(blocks_once)
    events = [BreakerEvent("b", CLOSED, OPEN, str(number), 0.0) for number in range(3)]
    relay.put(events[0])
    worker = threading.Thread(target=relay.flush)
    worker.start()
    assert entered.wait(10)
    relay.put(events[1])
    relay.put(events[2])
    relay.flush()
    assert told == []
    release.set()
    worker.join(10)
    assert told == ["0", "1", "2"]


def test_an_event_says_when_why_and_for_how_long(rig):
    r = rig()
    r.at(3)
    r.trip()
    assert r.events == [BreakerEvent("target", CLOSED, OPEN, "4 of 4 calls failed", r.start_s + 3, 10.0)]
    r.wait()
    r.breaker.acquire()
    assert r.events[-1] == BreakerEvent("target", OPEN, HALF_OPEN, "probe due", r.start_s + 13, 0.0)
