import asyncio
import random
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import structlog

from agent.array_columns import ArrayColumns
from agent.collection.running import CollectorSettings, RunningCollector
from agent.collection.series_table import SeriesTable
from agent.collection.source import SeriesSource
from agent.collection.threads import WorkerThreads
from agent.contracts import Kept, RecoveryOutcome, RecoveryStep
from agent.delivery.sender import Sender, SenderSettings
from agent.events import EventBus
from agent.model import Batch, Event, PointFlag
from agent.numeric.rate import CounterRates
from agent.pipeline import Pipeline, PipelineSettings
from agent.resilience.breaker import Breaker, BreakerSettings
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.testing.clock import FakeClock
from agent.testing.memory_sink import MemorySink


class Counting:
    """Records how often it was asked."""

    def __init__(self, series):
        self.series = series
        self.count = 0

    def collect(self, out):
        self.count += 1
        out.add(self.series, self.count)


class Hanging:
    def __init__(self, release):
        self.release = release

    def collect(self, out):
        self.release.wait()


class Recovery:
    async def handle(self, request):
        return RecoveryOutcome(RecoveryStep.NEXT)

    def succeeded(self, component):
        pass


class KeepNothing:
    def keep(self, block, budget):
        return Kept(np.empty(0, np.int64), np.empty(0))


class AnomalyAtThree:
    def __init__(self):
        self.forgotten = []

    def look(self, ids, values):
        return SimpleNamespace(alert=values == 3.0)

    def forget(self, ids):
        self.forgotten += ids.tolist()


class Bench:
    """A pipeline whose ticks come as fast as the collectors allow: sleeping only moves the clock."""

    def __init__(self, analysis=None, **settings):
        self.clock = FakeClock(monotonic_s=100.0)
        self.events = EventBus(self.clock, structlog.get_logger())
        self.workers = WorkerThreads(patience_s=0.001)
        self.table = SeriesTable()
        self.stop = asyncio.Event()
        self.ticks_left = None
        self.pipeline = Pipeline(
            PipelineSettings(**settings),
            clock=self.clock,
            table=self.table,
            columns=ArrayColumns(),
            analysis=analysis,
            events=self.events,
            on_tick=self.ticked,
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def ticked(self):
        self.ticks_left -= 1
        if self.ticks_left == 0:
            self.stop.set()

    def collector(self, name, make, interval_s=1.0, deadline_s=30.0, lane=PointFlag.NONE):
        source = SeriesSource(name, 10, lane=lane)
        collector = make(source)
        return RunningCollector(
            name,
            lambda: collector,
            CollectorSettings(interval_s, deadline_s),
            source,
            CounterRates(),
            self.breaker(name),
            Recovery(),
            self.workers,
            self.clock,
        )

    def sender(self, name, sink, buffer=None, settings=None):
        return Sender(
            name,
            sink,
            buffer or BatchBuffer(name, BufferSettings(), KeepNothing(), clock=self.clock),
            breaker=self.breaker(name),
            recovery=Recovery(),
            settings=settings or SenderSettings(),
            clock=self.clock,
            rng=random.Random(1),
            emit=self.events.emit,
            sleep=self.sleep,
        )

    def breaker(self, name):
        return Breaker(name, BreakerSettings(slow_call_s=None), clock=self.clock, rng=random.Random(1))

    async def run(self, ticks, prepare):
        self.ticks_left = ticks
        await self.pipeline.run(prepare, self.stop)
        self.workers.stop()


def batches(sink):
    return [record for _, record in sink.delivered if isinstance(record, Batch)]


async def test_each_tick_is_one_batch_on_the_grid_and_everything_is_drained_at_the_end():
    bench, sink = Bench(), MemorySink()

    def prepare():
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a"))))
        bench.pipeline.add_collector(bench.collector("b", lambda source: Counting(source.series("b"))))
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(4, prepare)
    found = batches(sink)
    assert [batch.monotonic_s for batch in found] == [100.0, 101.0, 102.0, 103.0]
    assert [sorted(batch.values.tolist()) for batch in found] == [[n, n] for n in (1.0, 2.0, 3.0, 4.0)]
    assert sink.close_count == 1
    assert bench.pipeline.stats.points == 8
    assert bench.pipeline.stats.missed_ticks == 0


async def test_a_hung_collector_leaves_the_others_their_period():
    bench, sink, release = Bench(interval_s=0.02), MemorySink(), threading.Event()

    def prepare():
        bench.pipeline.add_collector(bench.collector("hung", lambda _source: Hanging(release), 0.02, 0.001))
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a")), 0.02))
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(20, prepare)
    release.set()
    values = [value for batch in batches(sink) for value in batch.values.tolist()]
    assert values == [float(n) for n in range(1, len(values) + 1)]
    assert len(values) >= 19


class LateOnce:
    """Answers its second request only after the tick has gone on without it."""

    def __init__(self, series, bench):
        self.series, self.bench, self.count = series, bench, 0

    async def collect(self, out):
        self.count += 1
        out.add(self.series, self.count)
        while self.count == 2 and self.bench.pipeline.stats.ticks < 2:
            await asyncio.sleep(0)


async def shipped_with_one_late(ticks):
    """The values of each batch."""
    bench, sink = Bench(interval_s=0.02), MemorySink()

    def prepare():
        bench.pipeline.add_collector(
            bench.collector("a", lambda source: LateOnce(source.series("a"), bench), 0.02, 60.0)
        )
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(ticks, prepare)
    return [batch.values.tolist() for batch in batches(sink)]


async def test_a_sample_that_comes_after_its_tick_is_shipped_all_the_same():
    values = [value for batch in await shipped_with_one_late(ticks=5) for value in batch]
    assert values == [float(n) for n in range(1, len(values) + 1)]
    assert len(values) >= 4


async def test_a_sample_that_comes_after_the_last_tick_is_shipped_all_the_same():
    assert await shipped_with_one_late(ticks=2) == [[1.0], [2.0]]


class AsksForTheEnd:
    """While its second request is under way the agent is told to stop."""

    def __init__(self, series, bench):
        self.series, self.bench, self.count = series, bench, 0

    async def collect(self, out):
        self.count += 1
        out.add(self.series, self.count)
        if self.count == 2:
            self.bench.stop.set()
            for _ in range(5):
                await asyncio.sleep(0)


async def test_a_tick_that_has_begun_is_brought_to_its_end():
    bench, sink = Bench(), MemorySink()

    def prepare():
        bench.pipeline.add_collector(bench.collector("a", lambda source: AsksForTheEnd(source.series("a"), bench)))
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(10, prepare)
    assert [batch.values.tolist() for batch in batches(sink)] == [[1.0], [2.0]]
    assert bench.pipeline.stats.ticks == 2


async def test_a_collector_with_a_longer_interval_joins_every_so_many_ticks():
    bench, sink = Bench(), MemorySink()

    def prepare():
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a"))))
        bench.pipeline.add_collector(bench.collector("slow", lambda source: Counting(source.series("slow")), 3.0))
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(7, prepare)
    assert [batch.points for batch in batches(sink)] == [2, 1, 1, 2, 1, 1, 2]


async def test_a_stretched_interval_spares_what_the_agent_knows_of_itself():
    bench, sink = Bench(), MemorySink()

    def prepare():
        bench.pipeline.interval_factor = 3.0
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a"))))
        bench.pipeline.add_collector(
            bench.collector("own", lambda source: Counting(source.series("own")), lane=PointFlag.CRITICAL)
        )
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(8, prepare)
    assert [batch.points for batch in batches(sink)] == [1, 1, 2, 1, 1, 2, 1, 1]


async def test_anomalies_and_the_critical_lane_are_marked_point_by_point():
    bench, sink = Bench(AnomalyAtThree()), MemorySink()

    def prepare():
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a"))))
        bench.pipeline.add_collector(
            bench.collector("own", lambda source: Counting(source.series("own")), 3.0, lane=PointFlag.CRITICAL)
        )
        bench.pipeline.add_sender(bench.sender("s", sink))

    await bench.run(4, prepare)
    critical, anomalous = PointFlag.CRITICAL.value, PointFlag.ANOMALOUS.value
    flags = [None if batch.flags is None else sorted(batch.flags.tolist()) for batch in batches(sink)]
    assert flags == [[0, critical], None, [anomalous], [0, critical]]
    assert bench.pipeline.stats.anomalous_points == 1


async def test_events_travel_the_same_road():
    bench, sink = Bench(), MemorySink()

    def prepare():
        bench.pipeline.add_sender(bench.sender("s", sink))
        bench.events.emit("breaker.opened", "collector:x")

    await bench.run(1, prepare)
    kinds = [record.kind for _, record in sink.delivered if isinstance(record, Event)]
    assert kinds[0] == "breaker.opened"


async def test_a_series_that_stays_away_is_forgotten_everywhere():
    analysis = AnomalyAtThree()
    bench = Bench(analysis, series_idle_s=2.0)

    class Once(Counting):
        def collect(self, out):
            super().collect(out)
            if self.count == 1:
                out.add(self.gone["x"], 1)

    def make(source):
        once = Once(source.series("stays"))
        once.gone = source.family("gone", label="n")
        made.append((source, once))
        return once

    made = []
    await bench.run(6, lambda: bench.pipeline.add_collector(bench.collector("a", make)))
    source, once = made[0]
    assert len(bench.table) == len(source) == 1
    assert analysis.forgotten == [2]
    assert dict(once.gone) == {}


async def test_a_sink_that_is_away_costs_the_drain_time_and_what_is_left_is_counted():
    bench, sink = Bench(drain_s=0.0), MemorySink([OSError("away")] * 10_000)
    senders = []

    def prepare():
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a"))))
        senders.append(bench.sender("s", sink))
        bench.pipeline.add_sender(senders[0])

    await bench.run(3, prepare)
    counts = senders[0].buffer.counts()
    assert counts.dropped == {"shutdown": 3}
    assert counts.is_balanced


async def test_55_what_waits_goes_out_until_the_deadline_and_the_rest_is_counted():
    class Slow(MemorySink):
        async def deliver(self, records, first_seq):
            if len(self.delivered) == 4:
                bench.stop.set()
                await asyncio.Event().wait()
            await super().deliver(records, first_seq)

    bench, sink = Bench(drain_s=0.05), Slow()
    sender = bench.sender("s", sink, settings=SenderSettings(max_group_count=1))

    def prepare():
        for _ in range(10):
            ids = np.arange(1000, dtype=np.uint32)
            sender.put(Batch(bench.clock.wall_ns(), bench.clock.monotonic_s(), ids, np.zeros(1000)))
        bench.pipeline.add_sender(sender)

    await bench.run(-1, prepare)
    counts = sender.buffer.counts()
    assert (counts.accepted, counts.delivered, counts.dropped) == (10_000, 4000, {"shutdown": 6000})
    assert (counts.buffered, counts.in_flight) == (0, 0)
    sender.put(batches(sink)[0])
    await sender.close()
    assert sender.buffer.counts().accepted == 10_000
    assert PipelineSettings().drain_s == 5.0


async def test_collectors_and_sinks_come_and_go_while_it_runs():
    bench, sink, other = Bench(), MemorySink(), MemorySink()

    async def change():
        while bench.pipeline.stats.ticks < 3:
            await asyncio.sleep(0)
        await bench.pipeline.remove_collector("a")
        bench.pipeline.add_collector(bench.collector("b", lambda source: Counting(source.series("b"))))
        old = await bench.pipeline.pause_sender("s")
        paused_at = bench.pipeline.stats.ticks
        while bench.pipeline.stats.ticks < paused_at + 3:
            await asyncio.sleep(0)
        new = bench.sender("s", other, old.buffer)
        old.hand_over(new)
        bench.pipeline.replace_sender(new)

    def prepare():
        bench.pipeline.add_collector(bench.collector("a", lambda source: Counting(source.series("a"))))
        bench.pipeline.add_sender(bench.sender("s", sink))

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        group.create_task(bench.run(10, prepare))
    delivered = sink.delivered + other.delivered
    assert [seq for seq, _ in delivered] == list(range(1, len(delivered) + 1))
    assert sum(record.points for _, record in delivered if isinstance(record, Batch)) == bench.pipeline.stats.points
    assert other.delivered
    assert [collector.name for collector in bench.pipeline.collectors] == []


async def test_nothing_can_be_added_before_it_runs():
    bench = Bench()
    with pytest.raises(RuntimeError, match="not running"):
        bench.pipeline.add_sender(bench.sender("s", MemorySink()))


async def test_a_series_that_two_collectors_tell_stands_once_in_a_batch_and_is_told_of_once():
    bench, sink, told = Bench(), MemorySink(), []
    bench.events.subscribe(told.append)

    def prepare():
        bench.pipeline.add_sender(bench.sender("memory", sink))
        for name in ("one", "other"):
            bench.pipeline.add_collector(bench.collector(name, lambda source: Counting(source.series("same"))))

    await bench.run(3, prepare)
    assert [batch.ids.tolist() for batch in batches(sink)] == [[1], [1], [1]]
    assert bench.pipeline.stats.conflicting_points == 3
    assert bench.pipeline.stats.points == 3
    (event,) = [one for one in told if one.kind == "series.conflicting"]
    assert (event.detail["series"], event.detail["points"]) == ("same", 1)
