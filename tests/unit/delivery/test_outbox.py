"""Buffer and spool as one: order, numbers and the balance, with a real file."""

import resource
from collections import Counter

import numpy as np
import pytest

from agent.array_columns import ArrayColumns
from agent.collection.series_table import SeriesTable
from agent.collection.threads import WorkerThreads
from agent.contracts import Kept
from agent.delivery.outbox import Outbox
from agent.delivery.spool import Spool, SpoolSettings
from agent.delivery.spool_bounds import SpoolBounds
from agent.model import Batch, Event, Gap, PointFlag, Series
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.testing.clock import FakeClock


class KeepNewest:
    def keep(self, block, budget):
        index = np.arange(len(block))[-budget:] if budget else np.arange(0)
        return Kept(index, block.weights[index])


class Run:
    """One life of an agent over the same folder."""

    def __init__(self, folder, run, **settings):
        self.clock, self.table, self.workers, self.events = FakeClock(), SeriesTable(), WorkerThreads(), []
        self.series = [Series("load_1m"), Series("cpu_ratio", (("core", "1"),), "ratio")]
        self.spool = Spool(
            "sink:x",
            folder,
            SpoolSettings(**{"drain_ratio": 0.0, **settings}),
            run=run,
            table=self.table,
            columns=ArrayColumns(),
            workers=self.workers,
            clock=self.clock,
            emit=lambda kind, component, *level, **detail: self.events.append(kind),
        )
        self.outbox = Outbox(
            BatchBuffer("x", BufferSettings(), KeepNewest(), clock=self.clock), self.spool, self.clock, run
        )
        self.outbox.is_failing = True  # so that what is spilled is backlog

    def put(self, number, flags=None):
        ids = np.array(self.table.ids(self.series), np.uint32)
        flags = None if flags is None else np.array(flags, np.uint8)
        self.outbox.buffer.put(Batch(number * 10**9, self.clock.monotonic_s(), ids, np.full(2, float(number)), flags))

    def check(self):
        counts = self.outbox.counts()
        assert counts.is_balanced, counts
        assert sum(counts.dropped_by_lane.values()) == counts.dropped_points
        return counts

    async def drained(self, count=64):
        found = []
        while (group := await self.outbox.take(count, 1 << 20)) is not None:
            self.check()
            found += [(group.epoch, group.first_seq + n, one) for n, one in enumerate(group.records)]
            self.outbox.settle(group)
            self.check()
        return found

    async def end(self):
        await self.outbox.close()
        self.workers.stop()


async def test_a_sink_that_keeps_up_never_touches_the_disk(tmp_path):
    run = Run(tmp_path / "spool", "r1")
    run.put(1)
    assert [seq for _, seq, _ in await run.drained()] == [1]
    assert not (tmp_path / "spool").exists()
    await run.end()


async def test_what_was_spilled_comes_back_in_order_and_balanced(tmp_path):
    run = Run(tmp_path, "r1")
    for number in range(1, 4):
        run.put(number)
    run.outbox.buffer.put(Event(9, "x.happened", "c", detail={"n": 1}))
    assert await run.outbox.spill()
    assert run.check().spooled == 6
    run.put(4)
    assert await run.outbox.spill()
    found = await run.drained(2)
    assert [seq for _, seq, _ in found] == [1, 2, 3, 4, 5]
    assert [one.time_ns for _, _, one in found if isinstance(one, Batch)] == [n * 10**9 for n in (1, 2, 3, 4)]
    assert run.check().delivered == 8
    await run.end()


async def test_53_what_a_kept_point_stands_for_and_its_bound_outlive_the_disk(tmp_path):
    run = Run(tmp_path, "r1")
    ids, bounds = np.array(run.table.ids(run.series), np.uint32), np.array([0.1, np.nan], np.float32)
    flags, weights = np.array([16, 8], np.uint8), np.array([12.0, 20.0])
    run.outbox.buffer.put(Batch(7, run.clock.monotonic_s(), ids, np.ones(2), flags, weights, bounds))
    assert await run.outbox.spill()
    ((_, _, found),) = await run.drained()
    np.testing.assert_array_equal(found.bounds, bounds)
    assert (found.flags.tolist(), found.weights.tolist()) == ([16, 8], [12.0, 20.0])
    await run.end()


async def test_a_group_in_hand_comes_back_under_its_own_run_and_number_and_the_rest_under_the_new_one(tmp_path):
    first = Run(tmp_path, "r1")
    for number in (1, 2):
        first.put(number)
    hand = await first.outbox.take(64, 1 << 20)
    assert (hand.first_seq, hand.ids) == (1, ())
    first.put(3)
    assert await first.outbox.spill()
    first.check()
    await first.end()
    assert first.check().spooled == 6
    second = Run(tmp_path, "r2")
    second.table.ids([Series("something_else")])
    found = await second.drained()
    assert [(epoch, seq) for epoch, seq, _ in found] == [("r1", 1), ("r1", 2), ("", 1)]
    named = [str(second.table.definition(int(one))) for one in found[0][2].ids]
    assert named == ["load_1m", 'cpu_ratio{core="1"}']
    assert second.check().delivered == 6
    await second.end()


async def test_records_numbered_out_of_the_spool_keep_their_numbers_over_a_restart(tmp_path):
    first = Run(tmp_path, "r1")
    for number in (1, 2, 3):
        first.put(number)
    await first.outbox.spill()
    assert (await first.outbox.take(2, 1 << 20)).first_seq == 1
    await first.end()
    second = Run(tmp_path, "r2")
    assert [(epoch, seq) for epoch, seq, _ in await second.drained()] == [("r1", 1), ("r1", 2), ("", 1)]
    await second.end()


async def test_a_full_spool_drops_the_oldest_ordinary_points_first_and_tells_how_many(tmp_path):
    run = Run(tmp_path, "r1", bounds=SpoolBounds(max_bytes=20_000))
    for number in range(1, 301):
        run.put(number, [0 if number % 3 else PointFlag.BULK.value, PointFlag.CRITICAL.value])
        if number % 10 == 0:
            assert await run.outbox.spill()
            run.check()
    counts = run.check()
    assert run.spool.bytes <= 21_000
    assert set(counts.dropped) == {"overflow"}
    lanes = counts.dropped_by_lane
    assert (lanes["overflow", "normal"], lanes["overflow", "bulk"]) == (200, 100)
    assert 0 < lanes["overflow", "critical"] < 300
    found = [one for _, _, one in await run.drained()]
    gaps = sum(one.points for one in found if isinstance(one, Gap))
    assert gaps <= counts.dropped_points
    told = [one.lanes for one in found if isinstance(one, Gap)]
    assert sum(map(Counter, told), Counter()).total() == gaps
    assert {"normal", "bulk"} <= {lane for lanes in told for lane in lanes}
    ordinary = [one for one in found if isinstance(one, Batch) and one.points == 2]
    critical = [one for one in found if isinstance(one, Batch) and one.points == 1]
    assert critical
    assert max(one.time_ns for one in critical) < min((one.time_ns for one in ordinary), default=2**63)
    await run.end()


async def test_a_full_disk_keeps_the_points_in_memory_and_recovers_alone(tmp_path):
    run = Run(tmp_path, "r1")
    run.put(1)
    await run.outbox.spill()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        run.put(2)
        assert not await run.outbox.spill()
        assert run.check().buffered == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.events == ["spool.failed"]
    run.clock.advance(6.0)
    assert await run.outbox.spill()
    assert run.events == ["spool.failed", "spool.recovered"]
    assert [seq for _, seq, _ in await run.drained()] == [1, 2]
    await run.end()


def times(group):
    return [one.time_ns // 10**9 for one in group.records]


async def test_56_live_records_overtake_a_backlog_which_goes_on_in_its_own_order(tmp_path):
    run = Run(tmp_path, "r1")
    for number in range(1, 5):
        run.put(number)
    await run.outbox.spill()
    went = []
    for live in (11, 12, 13):
        run.put(live)
        for _ in range(2):
            group = await run.outbox.take(1, 1 << 20)
            went.append((group.first_seq, *times(group)))
            run.outbox.settle(group)
            run.check()
    assert went == [(1, 11), (2, 1), (3, 12), (4, 2), (5, 13), (6, 3)]
    assert [one.time_ns // 10**9 for _, _, one in await run.drained()] == [4]
    assert run.check().delivered == 14
    await run.end()


async def test_a_backlog_goes_before_live_records_where_the_order_of_collection_matters(tmp_path):
    run = Run(tmp_path, "r1", is_live_first=False)
    for number in range(1, 5):
        run.put(number)
    await run.outbox.spill()
    went = []
    for live in (11, 12, 13):
        run.put(live)
        group = await run.outbox.take(2, 1 << 20)
        went += times(group)
        run.outbox.settle(group)
        run.check()
    assert went == [1, 2, 3, 4, 11, 12]
    assert [seq for _, seq, _ in await run.drained()] == [7]
    await run.end()


async def test_live_records_wait_while_the_pace_holds_a_backlog_back_that_goes_first(tmp_path):
    run = Run(tmp_path, "r1", is_live_first=False, drain_ratio=0.001)
    run.put(1)
    await run.outbox.spill()
    run.put(2)
    assert await run.outbox.take(9, 1 << 20) is None
    run.outbox.is_finishing = True
    assert [record.time_ns for _, _, record in await run.drained()] == [10**9, 2 * 10**9]
    await run.end()


async def test_a_live_group_written_behind_a_backlog_is_neither_skipped_nor_given_twice(tmp_path):
    run = Run(tmp_path, "r1")
    for number in range(1, 4):
        run.put(number)
    await run.outbox.spill()
    run.put(11)
    hand = await run.outbox.take(64, 1 << 20)
    assert times(hand) == [11]
    run.put(12)
    await run.outbox.spill()
    assert run.check().in_flight == 2
    hand = await run.outbox.take(64, 1 << 20)
    assert hand.ids
    run.outbox.settle(hand)
    assert [one.time_ns // 10**9 for _, _, one in await run.drained()] == [1, 2, 3, 12]
    assert run.check().delivered == 10
    await run.end()


async def test_what_waits_behind_a_slow_group_of_the_backlog_is_on_disk_and_still_live(tmp_path):
    run = Run(tmp_path, "r1")
    for number in range(1, 5):
        run.put(number)
    await run.outbox.spill()
    run.outbox.is_failing = False
    assert times(await run.outbox.take(2, 1 << 20)) == [1, 2]
    for live in (11, 12, 13):
        run.put(live)
        await run.outbox.spill()
        run.check()
    assert run.spool.records == 2, "none of the live ones waits there"
    run.put(14)
    run.outbox.settle(run.outbox.hand)
    went = [(seq, one.time_ns // 10**9) for _, seq, one in await run.drained(2)]
    assert went == [(3, 11), (4, 12), (5, 13), (6, 14), (7, 3), (8, 4)]
    assert run.check().delivered == 16
    await run.end()


async def test_what_comes_while_live_records_are_written_is_live_too(tmp_path, monkeypatch):
    run = Run(tmp_path, "r1")
    run.put(1)
    await run.outbox.spill()
    run.outbox.is_failing = False
    await run.outbox.take(64, 1 << 20)
    run.put(11)
    append, late = run.spool.append, [12, 13]

    async def slow_append(*arguments, **keys):
        if late:
            run.put(late.pop(0))
        return await append(*arguments, **keys)

    monkeypatch.setattr(run.spool, "append", slow_append)
    await run.outbox.spill()
    assert run.spool.records == 0
    run.outbox.settle(run.outbox.hand)
    assert [one.time_ns // 10**9 for _, _, one in await run.drained()] == [11, 12, 13]
    await run.end()


async def test_live_records_on_disk_outlive_a_restart_with_the_numbers_that_they_were_sent_under(tmp_path):
    first = Run(tmp_path, "r1")
    first.put(1)
    await first.outbox.spill()
    first.outbox.is_failing = False
    await first.outbox.take(64, 1 << 20)
    for live in (11, 12):
        first.put(live)
    await first.outbox.spill()
    first.outbox.settle(first.outbox.hand)
    assert times(await first.outbox.take(1, 1 << 20)) == [11]
    await first.end()
    first.check()
    second = Run(tmp_path, "r2")
    found = [(epoch, seq, one.time_ns // 10**9) for epoch, seq, one in await second.drained()]
    assert found == [("r1", 2, 11), ("", 1, 12)]
    await second.end()


async def test_what_waits_beyond_a_group_joins_the_backlog(tmp_path):
    run = Run(tmp_path, "r1")
    run.put(1)
    run.outbox.is_failing = False
    await run.outbox.take(64, 1 << 20)
    for number in range(2, 100):
        run.put(number)
    await run.outbox.spill()
    assert run.spool.records == 99 - 1 - 64
    run.outbox.settle(run.outbox.hand)
    run.put(100)
    assert [one.time_ns // 10**9 for _, _, one in await run.drained()] == [*range(2, 66), 100, *range(66, 100)]
    await run.end()


async def test_a_disk_that_refuses_gives_live_records_back_to_the_buffer(tmp_path):
    run = Run(tmp_path, "r1")
    run.put(1)
    await run.outbox.spill()
    run.outbox.is_failing = False
    await run.outbox.take(64, 1 << 20)
    run.put(2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        assert not await run.outbox.spill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.check().buffered == 2
    run.outbox.settle(run.outbox.hand)
    assert [one.time_ns // 10**9 for _, _, one in await run.drained()] == [2]
    await run.end()


async def test_a_live_group_on_disk_behind_a_backlog_keeps_its_number_over_a_restart(tmp_path):
    first = Run(tmp_path, "r1")
    for number in (1, 2):
        first.put(number)
    await first.outbox.spill()
    first.put(11)
    await first.outbox.take(64, 1 << 20)
    await first.outbox.spill()
    await first.end()
    second = Run(tmp_path, "r2")
    found = [(epoch, seq, one.time_ns // 10**9) for epoch, seq, one in await second.drained()]
    assert found == [("", 1, 1), ("", 2, 2), ("r1", 1, 11)]
    await second.end()


async def test_what_is_on_its_way_is_not_dropped_by_a_full_spool_and_does_not_shield_the_rest(tmp_path):
    run = Run(tmp_path, "r1", bounds=SpoolBounds(max_bytes=20_000))
    for number in range(1, 100):
        run.put(number)
    await run.outbox.spill()
    run.put(900)
    hand = await run.outbox.take(64, 1 << 20)
    for number in range(1000, 1300):
        run.put(number)
        assert await run.outbox.spill()
    assert run.spool.bytes <= 21_000
    run.outbox.settle(await run.outbox.take(64, 1 << 20))
    assert times(hand) == [900]
    found = [one for _, _, one in await run.drained()]
    kept = [one.time_ns // 10**9 for one in found if isinstance(one, Batch)]
    assert kept == list(range(kept[0], 1300))
    assert run.check().dropped_points == sum(one.points for one in found if isinstance(one, Gap))
    await run.end()


async def test_56_a_backlog_is_paced_by_the_live_points_until_the_run_ends(tmp_path):
    run = Run(tmp_path, "r1", drain_ratio=20.0)
    for number in range(1, 2001):
        run.put(number)
    await run.outbox.spill()
    assert await run.outbox.take(64, 1 << 20) is None
    run.clock.advance(0.5)
    sent = 0
    while (group := await run.outbox.take(64, 1 << 20)) is not None:
        sent += sum(one.points for one in group.records)
        run.outbox.settle(group)
    assert 250 <= sent <= 500
    run.outbox.is_finishing = True
    assert 2 * len(await run.drained()) == 4000 - sent
    await run.end()


async def test_a_repair_leaves_the_balance_right_while_a_live_group_lies_behind_the_backlog(tmp_path):
    run = Run(tmp_path, "r1")
    for number in range(1, 4):
        run.put(number)
    await run.outbox.spill()
    run.put(11)
    await run.outbox.take(64, 1 << 20)
    await run.outbox.spill()
    await run.spool._rebuild(OSError("damaged"))
    run.outbox.settle(run.outbox.hand)
    run.check()
    assert [one.time_ns // 10**9 for _, _, one in await run.drained()] == [1, 2, 3]
    assert run.check().delivered == 8
    await run.end()


@pytest.mark.parametrize("is_careful", [False, True])
async def test_careful_groups_are_on_disk_before_they_are_sent(tmp_path, is_careful):
    run = Run(tmp_path, "r1", before_sending=is_careful)
    run.put(1)
    group = await run.outbox.take(64, 1 << 20)
    assert bool(group.ids) is is_careful
    run.outbox.settle(group)
    run.check()
    await run.end()
