import asyncio
import random
import threading

import pytest
from collector_bench import Bench, Plain

from agent.contracts import RecoveryOutcome, RecoveryStep
from agent.errors import CollectError
from agent.resilience.breaker import CircuitState
from agent.resilience.recovery import Policy, RecoveryEngine
from agent.status.report import collector_report, health

CALM = {"is_pressed": False, "reason": "buffer", "rate": 1.0}


@pytest.fixture
async def start():
    tasks = []

    def start(collector_type, **keys):
        bench = Bench(collector_type, **keys)
        tasks.append((bench, asyncio.ensure_future(bench.running.run(lambda *found: bench.reports.put_nowait(found)))))
        return bench

    yield start
    for bench, task in tasks:
        task.cancel()
        await asyncio.wait([task])
        bench.workers.stop()


async def test_a_plain_collector_runs_on_a_worker_thread(start):
    class Where(Plain):
        def collect(self, out):
            out.add(self.series, threading.current_thread() is threading.main_thread())

    bench = start(Where)
    assert await bench.tick() == {"a": 0.0}
    assert bench.running.stats.collects == bench.recovery.successes == 1


async def test_a_coroutine_collector_runs_on_the_loop(start):
    class Where(Plain):
        async def collect(self, out):
            await asyncio.sleep(0)
            out.add(self.series, threading.current_thread() is threading.main_thread())

    assert await start(Where).tick() == {"a": 1.0}


async def test_a_raising_collector_gives_nothing_and_its_breaker_opens(start):
    class Raises(Plain):
        def collect(self, out):
            out.add(self.series, 1)
            raise OSError("no such device")

    bench = start(Raises)
    for _ in range(3):
        assert await bench.tick() == {}
    assert bench.running.breaker.state is CircuitState.OPEN
    assert bench.running.stats.last_error == "OSError: no such device"
    assert [type(request.error) for request in bench.recovery.requests] == [OSError] * 3
    assert await bench.tick() == {}
    assert bench.running.stats.failures == 3


async def test_it_comes_back_through_a_half_open_probe(start):
    class Recovers(Plain):
        is_broken = True

        def collect(self, out):
            if self.is_broken:
                raise OSError
            out.add(self.series, 1)

    bench = start(Recovers)
    for _ in range(3):
        await bench.tick()
    bench.built[0].is_broken = False
    assert await bench.tick() == {}
    bench.clock.advance(1.0)
    assert await bench.tick() == {"a": 1.0}
    assert bench.running.breaker.state is CircuitState.CLOSED


async def test_a_collector_that_hangs_is_given_up_and_not_called_again_until_it_returns(start):
    release = threading.Event()

    class Hangs(Plain):
        calls = 0

        def collect(self, out):
            type(self).calls += 1
            release.wait()
            out.add(self.series, 1)

    bench = start(Hangs)
    assert await bench.tick() == {}
    assert "gave no answer in 0.05 s" in bench.running.stats.last_error
    assert await bench.tick() == {}
    assert "still stuck in an earlier call" in bench.running.stats.last_error
    assert bench.running.is_stuck
    release.set()
    while bench.running.is_stuck:
        await asyncio.sleep(0)
    assert await bench.tick() == {"a": 1.0}
    assert Hangs.calls == 2


async def test_a_request_while_the_one_before_goes_on_is_a_missed_tick(start):
    release = threading.Event()

    class Slow(Plain):
        def collect(self, out):
            release.wait()

    bench = start(Slow, deadline_s=30)
    assert bench.running.request(0.0)
    await asyncio.sleep(0)
    assert not bench.running.request(1.0)
    assert bench.running.stats.missed_ticks == 1
    release.set()
    assert await bench.reports.get() == ("x", {})


@pytest.mark.parametrize("rubbish", [7, "text", {"a": 1}])
async def test_returning_something_is_against_the_contract(start, rubbish):
    class Returns(Plain):
        def collect(self, out):
            return rubbish

    bench = start(Returns)
    assert await bench.tick() == {}
    assert f"collect() returns None (got {rubbish!r})" in bench.running.stats.last_error


async def test_a_hundred_thousand_series_cost_the_collector_its_tick_and_nobody_else_anything(start):
    class Greedy(Plain):
        def __init__(self, source):
            self.family = source.family("a", label="n")

        def collect(self, out):
            for number in range(100_000):
                out.add(self.family[str(number)], number)

    bench = start(Greedy, max_series=100, deadline_s=30)
    assert await bench.tick() == {}
    assert "may have 100 series" in bench.running.stats.last_error
    assert len(bench.source) == 100


async def test_recovery_may_rebuild_it(start):
    class Raises(Plain):
        def collect(self, out):
            raise CollectError("lost")

    bench = start(Raises)
    bench.recovery.step = RecoveryStep.RESOLVED
    await bench.tick()
    await bench.tick()
    while sum(collector.closed for collector in bench.built) < 2:
        await asyncio.sleep(0)
    assert [collector.closed for collector in bench.built] == [1, 1]
    assert bench.running.stats.rebuilds == 2


async def test_giving_up_disables_it_for_good(start):
    class Raises(Plain):
        def collect(self, out):
            raise CollectError("lost")

    bench = start(Raises)
    bench.recovery.step = RecoveryStep.GIVE_UP
    await bench.tick()
    assert bench.running.breaker.state is CircuitState.FORCED_OPEN
    bench.clock.advance(1e6)
    assert await bench.tick() == {}
    assert bench.running.stats.failures == 1


class Resets:
    async def recover(self, request):
        await request.reset()
        return RecoveryOutcome(RecoveryStep.NEXT)


async def test_scenario_44_crashing_after_five_restarts_in_five_minutes_it_is_disabled_and_health_says_so(start):
    class Raises(Plain):
        def collect(self, out):
            raise CollectError("lost")

    bench = start(Raises)
    bench.running.recovery = RecoveryEngine(
        (Policy(strategies=("reset",)),), {"reset": Resets()}, clock=bench.clock, rng=random.Random(1)
    )
    for rebuilds in range(1, 6):
        await bench.tick()
        assert bench.running.stats.rebuilds == rebuilds
        bench.clock.advance(bench.running.breaker.retry_in_s)
    await bench.tick()
    assert bench.running.stats.rebuilds == 5
    now_s = bench.clock.monotonic_s()
    others = {"name": "cpu", "state": "CLOSED", "last_error": ""}
    found = health({"age_s": 0.0, "interval_s": 1.0}, [collector_report(bench.running, now_s), others], [], CALM)
    assert found == {"state": "degraded", "reasons": ["collector:x is FORCED_OPEN: CollectError: lost"]}


async def test_a_factory_that_raises_is_a_failed_collect_and_is_tried_again(start):
    attempts = []

    class Late(Plain):
        def __init__(self, source):
            attempts.append(1)
            if len(attempts) < 3:
                raise OSError("not there yet")
            super().__init__(source)

    bench = start(Late)
    assert [await bench.tick(), await bench.tick(), await bench.tick()] == [{}, {}, {"a": 1.0}]


async def test_a_close_that_hangs_is_left_behind(start):
    release = threading.Event()

    class Clings(Plain):
        def close(self):
            release.wait()

    bench = start(Clings)
    await bench.tick()
    await bench.running.close()
    assert "TimeoutError" in bench.running.stats.last_error
    release.set()


async def test_cancelling_in_mid_collect_is_no_failure():
    release = threading.Event()

    class Slow(Plain):
        def collect(self, out):
            release.wait()

    bench = Bench(Slow, deadline_s=30)
    task = asyncio.ensure_future(bench.running.run(lambda *_: None))
    bench.running.request(0.0)
    while bench.running._job is None:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert bench.running.stats.failures == 0
    assert bench.running.breaker.snapshot().totals.cancelled == 1
    bench.workers.stop()
