"""`with breaker` and `async with breaker`."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from agent.errors import BreakerOpen
from agent.resilience.breaker import CircuitState

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN


async def test_scenario_25_interleaved_blocks_keep_their_own_durations(rig, clock):
    r = rig(slow_call_s=5.0)
    first_may_end, second_may_end = asyncio.Event(), asyncio.Event()

    async def block(may_end):
        async with r.breaker:
            await may_end.wait()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(block(first_may_end))
        await asyncio.sleep(0)
        clock.advance(4)
        second = group.create_task(block(second_may_end))
        await asyncio.sleep(0)
        clock.advance(2)
        first_may_end.set()
        await first
        assert r.breaker.snapshot().totals.slow == 1
        clock.advance(2)
        second_may_end.set()
        await second
    seen = r.breaker.snapshot()
    assert (seen.totals.slow, seen.totals.successes, seen.in_flight) == (1, 2, 0)


@pytest.mark.parametrize("kind", ["sync", "async", "permit", "async permit"])
async def test_scenario_25_an_exception_in_the_block_goes_through_unchanged(rig, kind):
    r = rig()
    original = OSError("original")

    async def block():
        guard = r.breaker.acquire() if "permit" in kind else r.breaker
        if "async" in kind:
            async with guard:
                raise original
        with guard:
            raise original

    with pytest.raises(OSError, match="original") as info:
        await block()
    assert info.value is original
    assert r.breaker.snapshot().totals.failures == 1


def test_scenario_25_blocks_nest(rig):
    outer, inner = rig(name="outer", slow_call_s=3.0), rig(name="inner", slow_call_s=3.0)
    with outer.breaker, inner.breaker, outer.breaker as entered:
        assert entered is outer.breaker
        outer.clock.advance(1)
    assert outer.breaker.snapshot().totals.successes == 2
    assert inner.breaker.snapshot().totals.successes == 1


def test_scenario_25_blocks_may_end_in_the_order_they_began(rig):
    first, second = rig(name="first", slow_call_s=3.0), rig(name="second", slow_call_s=3.0)
    first.breaker.__enter__()
    first.clock.advance(2)
    second.breaker.__enter__()
    first.clock.advance(2)
    first.breaker.__exit__(None, None, None)
    second.breaker.__exit__(None, None, None)
    assert first.breaker.snapshot().totals.slow == 1
    assert second.breaker.snapshot().totals.slow == 0
    assert second.breaker.snapshot().totals.successes == 1


async def test_scenario_25_a_block_of_a_child_task_is_its_own(rig):
    r = rig()

    async def child():
        async with r.breaker:
            raise OSError("child")

    async with r.breaker:
        with pytest.raises(OSError, match="child"):
            await asyncio.ensure_future(child())
        assert r.breaker.snapshot().in_flight == 1
    totals = r.breaker.snapshot().totals
    assert (totals.failures, totals.successes) == (1, 1)


def test_an_open_breaker_refuses_the_block(rig):
    r = rig()
    r.trip()
    with pytest.raises(BreakerOpen), r.breaker:
        raise AssertionError("the block ran")


def test_a_block_left_elsewhere_says_what_to_use_instead(rig):
    r = rig()
    contextvars.copy_context().run(r.breaker.__enter__)
    with pytest.raises(RuntimeError, match=r"acquire\(\)"):
        r.breaker.__exit__(None, None, None)


def test_a_permit_may_be_settled_in_another_thread(rig):
    r = rig()
    permit = r.breaker.acquire()
    thread = threading.Thread(target=permit.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    seen = r.breaker.snapshot()
    assert (seen.totals.successes, seen.in_flight) == (1, 0)
