"""What the ordinary call must not do, so that it costs next to nothing."""

from __future__ import annotations

import threading

import pytest

from agent.errors import BreakerOpen
from agent.resilience.breaker import CircuitState


class CountingLock:
    """Counts how often it is taken."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.taken = 0

    def __enter__(self) -> None:
        self.taken += 1
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


@pytest.fixture
def watched(rig):
    """A breaker with a lock that counts; it is looked at before, so that everything is settled."""

    def make(**settings):
        r = rig(**settings)
        r.at(1)
        r.breaker.snapshot()
        r.lock = r.breaker._lock = CountingLock()
        return r

    return make


async def call_in_every_way(r):
    guarded, guarded_async = r.breaker(abs), r.breaker(later)
    assert r.breaker.call(abs, -1) == 1
    assert await r.breaker.execute(abs, -2) == 2
    assert guarded(-3) == 3
    assert await guarded_async(4) == 4
    r.breaker.acquire().succeed()


async def later(value):
    return value


@pytest.mark.parametrize("window_s", [None, 60.0])
@pytest.mark.parametrize("state", ["CLOSED", "METRICS_ONLY"])
async def test_a_good_call_takes_no_lock(watched, window_s, state):
    r = watched(window_s=window_s, slow_call_s=5.0)
    if state == "METRICS_ONLY":
        r.breaker.metrics_only()
        r.breaker.snapshot()
    r.lock.taken = 0
    await call_in_every_way(r)
    assert r.lock.taken == 0
    seen = r.breaker.snapshot()
    assert (seen.calls, seen.totals.successes, seen.in_flight) == (5, 5, 0)


@pytest.mark.parametrize("by_hand", ["reset", "metrics_only", "disable"])
def test_admitting_a_call_takes_no_lock(watched, by_hand):
    r = watched()
    getattr(r.breaker, by_hand)()
    r.breaker.snapshot()
    r.lock.taken = 0
    permit = r.breaker.acquire()
    assert r.lock.taken == 0
    permit.cancel()


async def test_a_refusal_takes_no_lock(watched):
    r = watched()
    r.trip()
    r.clock.advance(9)
    r.breaker.snapshot()
    r.lock.taken = 0
    for refused in (r.breaker.acquire, lambda: r.breaker.call(abs, -1), lambda: r.breaker(abs)(-1)):
        with pytest.raises(BreakerOpen) as info:
            refused()
        assert info.value.retry_in_s == pytest.approx(1)
    with pytest.raises(BreakerOpen):
        await r.breaker.execute(abs, -1)
    assert r.lock.taken == 0
    assert r.breaker.snapshot().totals.rejected == 4
    assert r.breaker.snapshot().totals.rejected == 4


async def test_after_the_failures_have_left_the_window_calls_are_quiet_again(watched):
    r = watched()
    r.succeed(10)
    r.fail(2)
    r.lock.taken = 0
    await call_in_every_way(r)
    assert r.lock.taken == 5
    r.succeed(10)
    r.lock.taken = 0
    await call_in_every_way(r)
    assert r.lock.taken == 0
    assert r.state is CircuitState.CLOSED


async def test_in_time_too(watched):
    r = watched(window_s=60.0)
    r.succeed(10)
    r.fail(2)
    r.clock.advance(61)
    r.succeed()
    r.lock.taken = 0
    await call_in_every_way(r)
    assert r.lock.taken == 0


async def lasting(clock, seconds):
    clock.advance(seconds)


@pytest.mark.parametrize("way", ["execute", "call", "decorator", "plain decorator", "permit"])
async def test_a_call_that_ends_on_the_border_of_two_steps_belongs_to_the_later(rig, way):
    """Span 20: steps of one second, and the clock starts on a whole one."""
    r = rig(window_s=20.0)
    r.at(0.5)
    r.breaker.snapshot()
    if way == "execute":
        await r.breaker.execute(lasting, r.clock, 0.5)
    elif way == "decorator":
        await r.breaker(lasting)(r.clock, 0.5)
    elif way == "permit":
        permit = r.breaker.acquire()
        r.clock.advance(0.5)
        permit.succeed()
    else:
        call = r.breaker.call if way == "call" else r.breaker(r.clock.advance)
        call(*[r.clock.advance, 0.5] if way == "call" else [0.5])
    r.at(20.5)
    assert r.breaker.snapshot().calls == 1
    r.at(21.0)
    assert r.breaker.snapshot().calls == 0


def test_a_call_that_ended_as_another_thread_found_it_late_is_not_late_for_ever(rig):
    """The two steps by which a call ends without the lock, after a look that came between its reading of the clock and these."""
    r = rig(slow_call_s=2.0)
    permit = r.breaker.acquire()
    r.at(2.1)
    assert r.breaker.snapshot().overdue == 1
    del r.breaker._flights[permit._key]
    r.breaker._count_pass()
    r.at(4.2)
    seen = r.breaker.snapshot()
    assert (seen.overdue, seen.in_flight, seen.totals.successes) == (0, 0, 1)


def test_a_breaker_that_nobody_listens_to_keeps_no_events(rig):
    r = rig()
    r.breaker.remove_listener(r.events.append)
    quiet = type(r.breaker)("quiet", r.settings, clock=r.clock, rng=None)
    quiet.reset()
    quiet.force_open()
    assert quiet._relay.waiting is None
