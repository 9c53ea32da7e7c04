"""Wall clocks that step and hosts that sleep: on a clock of our own, so that an hour takes no time."""

import asyncio
import random
from itertools import pairwise

import pytest
import structlog
from fault_fleet import KeepNothing, NoRecovery
from fault_stage import Verdict

from agent.array_columns import ArrayColumns
from agent.collection.running import CollectorSettings, RunningCollector
from agent.collection.series_table import SeriesTable
from agent.collection.source import SeriesSource
from agent.collection.threads import WorkerThreads
from agent.delivery.sender import Sender, SenderSettings
from agent.events import EventBus
from agent.model import Batch, Kind
from agent.numeric.rate import CounterRates
from agent.pipeline import Pipeline, PipelineSettings
from agent.resilience.breaker import Breaker, BreakerSettings
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.testing.clock import FakeClock
from agent.testing.memory_sink import MemorySink

HOUR_NS = 3600 * 10**9


class Traffic:
    """A running total that grows by 1000 a second of the host's own time, and the number of the tick."""

    def __init__(self, source, clock):
        self.total = source.series("bytes", kind=Kind.RATE)
        self.tick = source.series("tick")
        self.clock, self.count = clock, 0

    async def collect(self, out):
        self.count += 1
        out.add(self.tick, self.count)
        out.add(self.total, int(self.clock.monotonic_s() * 1000))


class Host:
    """A pipeline at one tick a second, whose clock does what `happens` says before a tick."""

    def __init__(self, happens):
        self.clock, self.happens = FakeClock(monotonic_s=1000.0), happens
        self.events = EventBus(self.clock, structlog.get_logger())
        self.workers, self.table, self.stop, self.sink = WorkerThreads(), SeriesTable(), asyncio.Event(), MemorySink()
        self.ticks, self.slept = 0, []
        self.pipeline = Pipeline(
            PipelineSettings(gather_s=3600.0),
            clock=self.clock,
            table=self.table,
            columns=ArrayColumns(),
            analysis=None,
            events=self.events,
            on_tick=self.ticked,
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.advance(seconds)
        self.happens.pop(self.ticks, lambda clock: None)(self.clock)
        await asyncio.sleep(0)

    def ticked(self):
        self.ticks += 1
        if self.ticks == 20:
            self.stop.set()

    def breaker(self, name):
        return Breaker(name, BreakerSettings(slow_call_s=None), clock=self.clock, rng=random.Random(1))

    def prepare(self):
        source = SeriesSource("traffic", 10)
        traffic = Traffic(source, self.clock)
        settings = CollectorSettings(1.0, 3600.0)
        self.pipeline.add_collector(
            RunningCollector(
                "traffic",
                lambda: traffic,
                settings,
                source,
                CounterRates(),
                self.breaker("c"),
                NoRecovery(),
                self.workers,
                self.clock,
            )
        )
        self.pipeline.add_sender(
            Sender(
                "s",
                self.sink,
                BatchBuffer("s", BufferSettings(max_age_s=1e9), KeepNothing(), clock=self.clock),
                breaker=self.breaker("s"),
                recovery=NoRecovery(),
                settings=SenderSettings(),
                clock=self.clock,
                rng=random.Random(1),
                emit=self.events.emit,
                sleep=self.sleep,
            )
        )

    async def run(self):
        await self.pipeline.run(self.prepare, self.stop)
        self.workers.stop()
        return [(seq, record) for seq, record in self.sink.delivered if isinstance(record, Batch)]


def step_wall(hours):
    return lambda clock: clock.set_wall_ns(clock.wall_ns() + hours * HOUR_NS)


@pytest.mark.parametrize(
    ("case", "happens"),
    [
        ("wall clock +1 h", step_wall(1)),
        ("wall clock -1 h", step_wall(-1)),
        ("agent suspended 10 min, monotonic clock runs on", lambda clock: clock.advance(600.0)),
        (
            "agent suspended 10 min, monotonic clock stands",
            lambda clock: clock.set_wall_ns(clock.wall_ns() + 600 * 10**9),
        ),
    ],
)
async def test_clock(report, case, happens):
    host = Host({7: happens})
    delivered = await host.run()
    named = {str(host.table.definition(int(one))): int(one) for _, batch in delivered for one in batch.ids}
    by_name = {
        name: [float(batch.values[batch.ids.tolist().index(one)]) for _, batch in delivered if one in batch.ids]
        for name, one in named.items()
    }
    ticks, rates = by_name["tick"], by_name["bytes"]
    verdict = Verdict(case, 1, made=len(ticks), lost=20 - len(set(ticks)), duplicated=len(ticks) - len(set(ticks)))
    verdict.out_of_order = sum(later < earlier for earlier, later in pairwise(ticks))
    verdict.notes = {"lowest rate": min(rates), "highest": max(rates), "missed ticks": host.pipeline.stats.missed_ticks}
    report(verdict).assert_whole()
    assert [seq for seq, _ in host.sink.delivered] == list(range(1, len(host.sink.delivered) + 1))
    assert rates == pytest.approx([1000.0] * len(rates), rel=0.01), "neither negative nor a burst"
    moments = [batch.monotonic_s for _, batch in delivered]
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(moments)), "no tick is made up for"
