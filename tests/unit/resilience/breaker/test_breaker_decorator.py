"""The breaker as a decorator, on functions of every kind."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from agent.errors import BreakerOpen
from agent.resilience.breaker import CircuitState

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN


def totals(r):
    seen = r.breaker.snapshot().totals
    return (seen.successes, seen.failures, seen.cancelled)


async def test_scenario_26_a_coroutine_function_stays_one(rig):
    r = rig()

    @r.breaker
    async def fetch(url: str, *, limit: int = 3) -> list[str]:
        """Get it."""
        return [url] * limit

    assert inspect.iscoroutinefunction(fetch)
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Get it.")
    assert fetch.__qualname__.endswith("<locals>.fetch")
    assert str(inspect.signature(fetch)) == "(url: 'str', *, limit: 'int' = 3) -> 'list[str]'"
    assert await fetch("a", limit=2) == ["a", "a"]
    assert totals(r) == (1, 0, 0)


def test_scenario_26_a_plain_function_stays_plain(rig):
    r = rig()

    @r.breaker
    def double(number: int) -> int:
        return 2 * number

    assert not inspect.iscoroutinefunction(double)
    assert double(4) == 8
    with pytest.raises(TypeError):
        double(None)
    assert totals(r) == (1, 1, 0)


async def test_scenario_26_partials_and_callable_objects_are_seen_through(rig):
    r = rig()

    class Fetch:
        async def __call__(self, number):
            return number

    class Double:
        def __call__(self, number):
            return 2 * number

    async def add(left, right):
        return left + right

    partial = r.breaker(functools.partial(functools.partial(add, 1)))
    fetch = r.breaker(Fetch())
    double = r.breaker(Double())
    as_method = r.breaker(Fetch().__call__)
    assert inspect.iscoroutinefunction(partial)
    assert inspect.iscoroutinefunction(fetch)
    assert inspect.iscoroutinefunction(as_method)
    assert not inspect.iscoroutinefunction(double)
    assert (await partial(2), await fetch(3), double(4), await as_method(5)) == (3, 3, 8, 5)
    assert r.breaker(dict)(a=1) == {"a": 1}
    assert r.breaker(abs)(-1) == 1
    assert totals(r) == (6, 0, 0)


def test_scenario_26_a_decorated_method_shares_one_breaker_over_all_objects(rig):
    r = rig()

    class Client:
        def __init__(self, name):
            self.name = name

        @r.breaker
        def get(self):
            raise OSError(self.name)

    for name in "abcd":
        with pytest.raises(OSError, match=name):
            Client(name).get()
    with pytest.raises(BreakerOpen):
        Client("e").get()


async def test_scenario_27_an_async_generator_that_fails_counts_once_and_delivers_what_it_had(rig):
    r = rig()

    @r.breaker
    async def stream():
        for number in range(3):
            yield number
        raise OSError("cut")

    assert inspect.isasyncgenfunction(stream)
    items = stream()
    assert [await anext(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="cut"):
        await anext(items)
    assert totals(r) == (0, 1, 0)


async def test_scenario_27_a_consumer_that_closes_early_cancels(rig):
    r = rig()
    closed = []

    @r.breaker
    async def stream():
        try:
            for number in range(1000):
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    items = stream()
    assert await anext(items) == 0
    await items.aclose()
    assert closed == [True]
    assert totals(r) == (0, 0, 1)
    assert r.breaker.snapshot().in_flight == 0


async def test_scenario_27_a_closed_probe_gives_its_place_back(rig):
    r = rig()
    r.trip()
    r.wait()

    @r.breaker
    async def stream():
        yield 1
        yield 2

    items = stream()
    await anext(items)
    assert r.is_refusing()
    await items.aclose()
    for _ in range(2):
        assert [item async for item in stream()] == [1, 2]
    assert r.state is CLOSED


async def test_scenario_27_a_generator_never_iterated_takes_no_permit(rig):
    r = rig()

    @r.breaker
    async def stream():
        yield 1

    @r.breaker
    def plain():
        yield 1

    unused, also_unused = stream(), plain()
    assert r.breaker.snapshot().in_flight == 0
    await unused.aclose()
    also_unused.close()
    assert totals(r) == (0, 0, 0)


async def test_scenario_27_what_is_sent_and_thrown_reaches_the_inner_async_generator(rig):
    r = rig()

    @r.breaker
    async def echo():
        got = None
        while got != "end":
            try:
                got = yield got
            except KeyError:
                got = "caught"

    items = echo()
    assert await anext(items) is None
    assert await items.asend("a") == "a"
    assert await items.athrow(KeyError) == "caught"
    with pytest.raises(StopAsyncIteration):
        await items.asend("end")
    assert totals(r) == (1, 0, 0)


def test_scenario_27_plain_generators_likewise(rig):
    r = rig()

    @r.breaker
    def stream(limit):
        got = 0
        for number in range(limit):
            got = yield number + (got or 0)
        if limit > 3:
            raise OSError("cut")
        return "whole"

    assert inspect.isgeneratorfunction(stream)
    assert list(stream(3)) == [0, 1, 2]
    with pytest.raises(OSError, match="cut"):
        list(stream(4))
    sent = stream(3)
    next(sent)
    assert sent.send(10) == 11
    sent.close()

    def outer():
        return (yield from stream(0))

    with pytest.raises(StopIteration) as info:
        next(outer())
    assert info.value.value == "whole"
    assert totals(r) == (2, 1, 1)


def test_scenario_27_a_slow_consumer_does_not_make_the_target_slow(rig):
    r = rig(slow_call_s=1.0, min_calls=1)

    @r.breaker
    def stream():
        yield 1
        yield 2

    for _ in stream():
        r.clock.advance(100)
        assert r.state is CLOSED
        r.breaker.acquire().cancel()
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.slow, seen.overdue, seen.in_flight) == (1, 0, 0, 0)


def test_scenario_27_not_even_as_a_probe_within_its_lease(rig):
    r = rig(slow_call_s=1.0, probes=1)
    r.trip()
    r.wait()

    @r.breaker
    def stream():
        yield 1

    for _ in stream():
        r.clock.advance(4)
    assert r.state is CLOSED


async def test_scenario_27_a_stream_is_refused_at_its_first_item(rig):
    r = rig()
    r.trip()

    @r.breaker
    def stream():
        yield 1

    @r.breaker
    async def async_stream():
        yield 1

    items, async_items = stream(), async_stream()
    with pytest.raises(BreakerOpen):
        next(items)
    with pytest.raises(BreakerOpen):
        await anext(async_items)
    assert r.breaker.snapshot().totals.rejected == 2


def test_scenario_27_a_stream_that_is_a_probe_has_a_lease(rig):
    r = rig(probes=1)
    r.trip()
    r.wait()

    @r.breaker
    def stream():
        yield 1

    items = stream()
    next(items)
    r.clock.advance(5)
    assert r.state is OPEN
    assert list(items) == []
    assert r.breaker.snapshot().totals.stale_results == 1
