"""OPEN: refusing, and how long."""

from __future__ import annotations

import gc
import itertools
import random
import traceback
import weakref

import pytest

from agent.errors import BreakerOpen
from agent.resilience.backoff import Backoff
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


async def test_scenario_7_refuses_a_thousand_calls_without_calling(rig):
    r = rig()
    r.trip()
    r.at(3)
    called = 0

    async def target():
        nonlocal called
        called += 1

    for _ in range(1000):
        with pytest.raises(BreakerOpen) as info:
            await r.breaker.execute(target)
        error = info.value
        assert (error.name, error.state, error.last_failure) == ("target", "OPEN", "OSError: down")
        assert 0 < error.retry_after <= 10
    assert called == 0
    assert error.retry_in_s == pytest.approx(7)
    assert "'target' is OPEN, retry in 7 s; last failure: OSError: down" in str(error)
    assert isinstance(error, ConnectionError)
    assert r.breaker.snapshot().totals.rejected == 1000


def test_what_is_known_to_be_out_of_reach_opens_at_once_for_as_long_as_it_says(rig):
    r = rig()
    r.breaker.acquire().fail(OSError("link lost"), open_s=3.5)
    assert (r.state, r.waits, r.events[-1].reason) == (OPEN, [3.5], "out of reach")
    r.clock.advance(3.5)
    r.breaker.acquire().fail(OSError("refused"), open_s=7.0)
    assert (r.waits, r.events[-1].reason) == ([3.5, 7.0], "a probe failed")
    seen = r.breaker.snapshot()
    assert (seen.totals.failures, seen.failed_rounds, seen.last_failure) == (2, 2, "OSError: refused")
    r.clock.advance(7.0)
    r.breaker.acquire().fail(OSError("nack"))
    assert r.waits[-1] == 40, "the rounds before count"


def test_what_is_no_failure_opens_nothing_however_long_it_asks_for(rig):
    r = rig(ignore_errors=KeyError, record_errors=OSError)
    r.breaker.acquire().fail(KeyError("x"), open_s=3.5)
    r.breaker.acquire().fail(ValueError("x"), open_s=3.5)
    r.breaker.acquire().fail(KeyboardInterrupt(), open_s=3.5)
    assert r.state is CLOSED


def test_metrics_only_notes_what_is_out_of_reach_and_does_not_open(rig):
    r = rig()
    r.breaker.metrics_only()
    r.breaker.acquire().fail(OSError("link lost"), open_s=3.5)
    assert r.state is CircuitState.METRICS_ONLY
    assert r.breaker.snapshot().totals.would_have_opened == 1


def test_scenario_7_refusals_share_no_traceback_and_keep_no_argument_alive(rig):
    r = rig()
    r.trip()

    class Request:
        pass

    def refusal() -> BreakerOpen:
        try:
            r.breaker.call(print, request)
        except BreakerOpen as error:
            return error
        raise AssertionError

    request = Request()
    depths = [len(traceback.extract_tb(refusal().__traceback__)) for _ in range(50)]
    assert len(set(depths)) == 1
    gone = weakref.ref(request)
    gc.disable()
    try:
        request = None
        assert gone() is None
    finally:
        gc.enable()


def test_scenario_7_a_failure_is_kept_as_text_only(rig):
    r = rig()

    class Held:
        pass

    def raises():
        held = Held()
        watched.append(weakref.ref(held))
        raise OSError("x" * 10_000)

    watched = []
    for _ in range(4):
        with pytest.raises(OSError, match="xxx"):
            r.breaker.call(raises)
    gc.collect()
    assert [ref() for ref in watched] == [None] * 4
    assert len(r.breaker.snapshot().last_failure) == 500


def test_an_error_whose_text_raises_is_counted_all_the_same(rig):
    r = rig()

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    r.breaker.acquire().fail(Mute())
    assert r.breaker.snapshot().last_failure == "Mute: <Mute without a text>"


def test_scenario_8_half_opens_exactly_at_the_wait(rig):
    r = rig()
    r.trip()
    r.at(9.999)
    assert r.state is OPEN
    with pytest.raises(BreakerOpen):
        r.breaker.acquire()
    r.clock.advance(0.001)
    assert r.state is HALF_OPEN
    assert r.breaker.retry_in_s == 0
    assert r.steps == [("CLOSED", "OPEN")]
    r.breaker.acquire().succeed()
    assert r.steps == [("CLOSED", "OPEN"), ("OPEN", "HALF_OPEN")]


def test_scenario_18_waits_double_to_the_cap_and_start_over_after_a_close(rig):
    r = rig()
    r.trip()
    for _ in range(4):
        r.wait()
        r.fail()
    assert r.waits == [10, 20, 40, 60, 60]
    r.wait()
    r.succeed(2)
    assert r.state is CLOSED
    r.trip()
    assert r.waits[-1] == 10


@pytest.mark.parametrize("factor", [1.0, 1.0001, 2.0, 1000.0])
def test_scenario_18_a_hundred_thousand_failed_rounds_stay_finite(factor):
    settings = BreakerSettings(open_s=10, max_open_s=60, backoff_factor=factor, jitter_ratio=0)
    backoff = Backoff(settings, random.Random(1))
    waits = [backoff.next_s() for _ in range(100_000)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (10, 60 if factor > 1 else 10)
    assert backoff.same_s() == waits[-1]


def test_scenario_19_jitter_spreads_a_thousand_breakers_and_is_reproducible(clock):
    settings = BreakerSettings(min_calls=1, open_s=10, max_open_s=10, jitter_ratio=0.2)

    def waits(seed):
        rng = random.Random(seed)
        made = [Breaker(f"b{number}", settings, clock=clock, rng=rng) for number in range(1000)]
        for breaker in made:
            breaker.acquire().fail(OSError("down"))
        return [breaker.retry_in_s for breaker in made]

    spread = waits(5)
    assert min(spread) >= 8
    assert max(spread) <= 12
    assert max(spread) - min(spread) > 3.9
    assert len({round(wait_s * 1e6) for wait_s in spread}) > 990
    pairs = list(itertools.combinations(spread, 2))
    assert sum(abs(one - other) >= 0.001 for one, other in pairs) > 0.99 * len(pairs)
    assert waits(5) == spread
    assert waits(6) != spread


def test_scenario_19_jitter_comes_after_the_cap(clock):
    settings = BreakerSettings(open_s=50, max_open_s=60, jitter_ratio=0.2)
    backoff = Backoff(settings, random.Random(3))
    waits = [backoff.next_s() for _ in range(2000)]
    assert 48 <= min(waits[1:]) < 49
    assert 71 < max(waits[1:]) <= 72


def test_scenario_20_with_a_soft_reset_flapping_keeps_the_waits_growing(rig):
    r = rig(soft_reset_s=300.0, max_open_s=1000.0)
    for _ in range(5):
        r.trip()
        r.wait()
        r.succeed(2)
        assert r.state is CLOSED
        r.clock.advance(20)
    assert r.waits == [10, 20, 40, 80, 160]


def test_scenario_20_each_healthy_interval_forgets_one_round(rig):
    r = rig(soft_reset_s=300.0, max_open_s=1000.0)
    for _ in range(4):
        r.trip()
        r.wait()
        r.succeed(2)
    r.clock.advance(600)
    r.trip()
    assert r.waits[-1] == 40
    r.wait()
    r.succeed(2)
    r.clock.advance(1_000_000)
    r.trip()
    assert r.waits[-1] == 10


def test_while_several_probes_run_the_oldest_lease_decides(rig):
    r = rig(concurrent_probes=2)
    r.probe()
    r.clock.advance(2)
    r.breaker.acquire()
    assert r.breaker.retry_in_s == pytest.approx(3)


def test_while_half_open_is_full_the_refusal_says_when_a_place_may_come_free(rig):
    r = rig()
    r.probe()
    r.clock.advance(2)
    with pytest.raises(BreakerOpen) as info:
        r.breaker.acquire()
    assert (info.value.state, info.value.retry_in_s) == ("HALF_OPEN", pytest.approx(3))
    r.clock.advance(2.5)
    assert r.breaker.retry_in_s == pytest.approx(0.5)
