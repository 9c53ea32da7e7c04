"""From its second collect on a plain collector is called without a task of its own; what goes wrong then costs it as before."""

import asyncio
import threading

import pytest
from collector_bench import Bench, Plain

from agent.collection.threads import WorkerThreads
from agent.contracts import RecoveryOutcome, RecoveryStep


@pytest.fixture
async def warm():
    """Starts a collector and lets it collect once."""
    tasks = []

    async def warm(collector_type, **keys):
        bench = Bench(collector_type, **keys)
        bench.task = asyncio.ensure_future(bench.running.run(lambda *found: bench.reports.put_nowait(found)))
        tasks.append(bench)
        assert await bench.tick() == {"a": 1.0}
        return bench

    yield warm
    for bench in tasks:
        bench.task.cancel()
        await asyncio.wait([bench.task])
        bench.workers.stop()


class Turns(Plain):
    """Does what its class says at the second collect, and well at all others."""

    def __init__(self, source):
        super().__init__(source)
        self.calls = 0

    def collect(self, out):
        self.calls += 1
        if self.calls == 2:
            return self.second(out)
        return super().collect(out)


async def test_it_collects_again_and_again_with_rates_and_counts(warm):
    bench = await warm(Plain)
    assert [await bench.tick() for _ in range(3)] == [{"a": 1.0}] * 3
    assert bench.running.stats.collects == bench.recovery.successes == 4
    assert len(bench.built) == 1


async def test_a_failure_reports_nothing_is_told_and_is_over(warm):
    class Fails(Turns):
        def second(self, out):
            out.add(self.series, 5)
            raise OSError("no such device")

    bench = await warm(Fails)
    assert await bench.tick() == {}
    assert [str(request.error) for request in bench.recovery.requests] == ["no such device"]
    assert bench.running.stats.last_error == "OSError: no such device"
    assert await bench.tick() == {"a": 1.0}
    assert bench.running.stats.failures == 1


async def test_a_hanging_collect_ends_with_its_deadline_and_is_not_called_again_meanwhile(warm):
    release = threading.Event()

    class Hangs(Turns):
        def second(self, out):
            release.wait()

    bench = await warm(Hangs)
    assert await bench.tick() == {}
    assert "gave no answer in 0.05 s" in bench.running.stats.last_error
    assert bench.running.is_stuck
    assert await bench.tick() == {}
    assert "still stuck" in bench.running.stats.last_error
    release.set()
    while bench.running.is_stuck:
        await asyncio.sleep(0)
    bench.clock.advance(2.0)
    assert await bench.tick() == {"a": 1.0}
    assert bench.built[0].calls == 3


@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_what_it_returns_is_refused(warm, is_coroutine):
    async def late():
        raise AssertionError("nobody awaits this")

    class Returns(Turns):
        def second(self, out):
            return late() if is_coroutine else 7

    bench = await warm(Returns)
    assert await bench.tick() == {}
    assert "collect() returns None" in bench.running.stats.last_error


async def test_an_open_breaker_reports_nothing_without_a_call(warm):
    bench = await warm(Turns)
    bench.running.breaker.force_open()
    assert await bench.tick() == {}
    assert bench.built[0].calls == 1
    assert bench.running.stats.failures == 0


async def test_without_a_thread_the_collect_fails_in_words(warm):
    release = threading.Event()
    bench = await warm(Plain)
    bench.running.workers = crowded = WorkerThreads(core_count=1, max_count=1, patience_s=60.0)
    stuck = [crowded.submit(release.wait)]
    while crowded.stats().queued:
        await asyncio.sleep(0)
    stuck.append(crowded.submit(release.wait))
    assert await bench.tick() == {}
    assert "1 worker threads are stuck" in bench.running.stats.last_error
    release.set()
    await asyncio.gather(*(job.done for job in stuck))
    crowded.stop()


async def test_a_collect_under_way_when_it_is_stopped_is_no_failure_and_reports_nothing(warm):
    release = threading.Event()

    class Slow(Turns):
        def second(self, out):
            release.wait()

    bench = await warm(Slow, deadline_s=30)
    assert bench.running.request(0.0)
    bench.task.cancel()
    await asyncio.wait([bench.task])
    release.set()
    while bench.running.is_stuck:
        await asyncio.sleep(0)
    await bench.running.workers.run(lambda: None)
    assert bench.reports.empty()
    assert bench.running.stats.failures == 0
    assert bench.running.breaker.snapshot().totals.cancelled == 1


async def test_what_is_asked_for_during_a_recovery_is_collected_after_it(warm):
    class Fails(Turns):
        def second(self, out):
            raise OSError("once")

    bench, may_end = await warm(Fails), asyncio.Event()

    async def handle(request):
        await may_end.wait()
        return RecoveryOutcome(RecoveryStep.NEXT)

    bench.recovery.handle = handle
    assert await bench.tick() == {}
    assert bench.running.request(1.0)
    assert not bench.running.request(2.0)
    may_end.set()
    assert await bench.reports.get() == ("x", {bench.built[0].series: 1.0})
    assert bench.running.stats.missed_ticks == 1


async def test_after_a_reset_it_is_built_anew(warm):
    class Fails(Turns):
        def second(self, out):
            raise OSError("once")

    bench = await warm(Fails)
    bench.recovery.step = RecoveryStep.RESOLVED
    await bench.tick()
    assert await bench.tick() == {"a": 1.0}
    assert len(bench.built) == 2
    assert bench.built[0].closed == 1
