"""Scenario 45 with a disk: accepted = delivered + dropped + buffered + spooled + in flight, over restarts, with a real file."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from agent.array_columns import ArrayColumns
from agent.builtin import load_builtin
from agent.collection.series_table import SeriesTable
from agent.collection.threads import WorkerThreads
from agent.delivery.outbox import Outbox
from agent.delivery.spool import Spool, SpoolSettings
from agent.delivery.spool_bounds import SpoolBounds
from agent.model import Batch, Gap, PointFlag, Record, Series
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.resilience.ledger import Counts
from agent.testing.clock import FakeClock

SERIES = [Series("x", (("n", str(number)),)) for number in range(500)]
LANES = np.array([0, 0, 0, PointFlag.BULK, PointFlag.CRITICAL, PointFlag.ANOMALOUS], np.uint8)


class Life:
    """One run of an agent on a folder: a producer, a sink and a disk that act at random."""

    def __init__(self, folder: Path, run: str, chance: random.Random) -> None:
        self.random, self.numbers = chance, np.random.default_rng(chance.getrandbits(32))
        self.clock, self.table, self.workers = FakeClock(), SeriesTable(), WorkerThreads()
        self.ids = np.array(self.table.ids(SERIES), np.uint32)
        spool = Spool(
            "sink:x",
            folder,
            SpoolSettings(bounds=SpoolBounds(max_bytes=30_000), drain_ratio=0.0, is_live_first=chance.random() < 0.5),
            run=run,
            table=self.table,
            columns=ArrayColumns(),
            workers=self.workers,
            clock=self.clock,
            emit=lambda kind, component, *level, **detail: None,
        )
        registration = load_builtin("sampling", "hybrid")
        sampler = registration.factory(registration.config(), self)
        self.buffer = BatchBuffer("x", BufferSettings(max_points=20_000), sampler, clock=self.clock)
        self.outbox = Outbox(self.buffer, spool, self.clock, run)
        self.put_points = self.arrived_points = 0
        self.told: Counter[str] = Counter()

    @property
    def rng(self) -> random.Random:
        return self.random

    async def put(self) -> None:
        ids = self.ids[: self.random.choice([1, 20, 500])]
        values, flags = self.numbers.normal(size=len(ids)), self.numbers.choice(LANES, len(ids))
        self.buffer.put(Batch(self.clock.wall_ns(), self.clock.monotonic_s(), ids, values, flags))
        self.put_points += len(ids)
        self.clock.advance(1.0)

    async def deliver(self) -> None:
        group = await self.outbox.take(self.random.choice([1, 8, 64]), 1 << 18)
        fate = self.random.random()
        if group is None or fate < 0.3:
            self.outbox.is_failing = True
        elif fate < 0.9:
            self.outbox.is_failing = False
            self.hear(group.records)
            self.arrived_points += sum(record.points for record in group.records if isinstance(record, Batch))
            self.outbox.settle(group)
        else:
            self.outbox.discard(group, "refused")

    async def spill(self) -> None:
        await self.outbox.spill()

    def hear(self, records: list[Record]) -> None:
        for gap in records:
            if isinstance(gap, Gap):
                self.told.update(gap.lanes)

    async def step(self) -> None:
        await self.random.choices((self.put, self.deliver, self.spill), (6, 2, 1))[0]()

    def check(self) -> Counts:
        counts = self.outbox.counts()
        assert counts.is_balanced, counts
        assert sum(counts.dropped_by_lane.values()) == counts.dropped_points
        assert counts.delivered == self.arrived_points
        return counts

    async def end(self) -> Counts:
        await self.outbox.close()
        self.workers.stop()
        return self.check()


@pytest.mark.parametrize("seed", range(3))
async def test_45_no_point_is_lost_between_memory_and_disk_over_restarts(tmp_path: Path, seed: int) -> None:
    chance, left = random.Random(seed), 0
    reasons: set[str] = set()
    for number in range(4):
        life = Life(tmp_path, f"r{number}", chance)
        for _ in range(400):
            await life.step()
            life.check()
        counts = await life.end()
        assert counts.accepted == life.put_points + left
        assert (counts.buffered, counts.in_flight) == (0, 0)
        assert set(life.told) <= {"critical", "normal", "bulk"}
        left = counts.spooled
        reasons |= set(counts.dropped)
    assert {"overflow", "refused"} <= reasons


async def test_55_what_waits_at_the_end_is_left_on_disk_and_nothing_is_taken_in_after_it(tmp_path: Path) -> None:
    life = Life(tmp_path, "r1", random.Random(1))
    for _ in range(20):
        life.buffer.put(Batch(life.clock.wall_ns(), life.clock.monotonic_s(), life.ids, np.zeros(500)))
    counts = await life.end()
    assert (counts.accepted, counts.spooled, counts.dropped_points) == (10_000, 10_000, 0)
    await life.put()
    assert life.outbox.counts().accepted == 10_000
    assert (await life.end()).spooled == 10_000
