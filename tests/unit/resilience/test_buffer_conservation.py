"""Scenario 45: whatever producers, sink and clock do, accepted = delivered + dropped + buffered + in flight."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import numpy as np
import pytest

from agent.array_columns import ArrayColumns
from agent.builtin import BUILTIN, load_builtin
from agent.columns import PlainColumns
from agent.contracts import Sampler
from agent.model import Batch, Gap, PointFlag, Record
from agent.resilience.async_buffer import AsyncBuffer
from agent.resilience.buffer import BatchBuffer
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.testing.clock import FakeClock

POINTS_EACH = 1_000_000
STRATEGIES = [*((name, Overflow.SAMPLE) for name in BUILTIN["sampling"]), ("latest", Overflow.DROP_NEWEST)]
PLAIN = "plain"
"""No strategy: a buffer without numpy."""


def sampler_of(name: str) -> Sampler | None:
    if name == PLAIN:
        return None

    class Context:
        rng = random.Random(2)

    registration = load_builtin("sampling", name)
    return registration.factory(registration.config and registration.config(), Context())


class Storm:
    """A producer, a failing sink and an operator, all acting at random on one buffer."""

    def __init__(self, sampler: Sampler | None, overflow: Overflow, seed: int) -> None:
        self.random, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.clock = FakeClock()
        self.sampler, self.overflow = sampler, overflow
        self.buffer = BatchBuffer("hub", self.settings(), sampler, clock=self.clock)
        self.in_hand: list[list[Record]] = []
        self.put_points = self.delivered_points = 0
        self.told: Counter[tuple[str, str]] = Counter()

    def settings(self) -> BufferSettings:
        return BufferSettings(
            max_points=self.random.choice([50, 3000, 40_000]), max_age_s=300.0, overflow=self.overflow
        )

    def put(self) -> None:
        points = self.random.choice([1, 20, 200, 1000])
        flags = self.numbers.choice([0, 0, PointFlag.BULK, PointFlag.ANOMALOUS, PointFlag.CRITICAL], points).astype(
            np.uint8
        )
        columns = ArrayColumns() if self.sampler is not None else PlainColumns()
        batch = Batch(
            self.clock.wall_ns(),
            self.clock.monotonic_s(),
            columns.ids(self.numbers.permutation(2000)[:points].tolist()),
            columns.values(self.numbers.normal(size=points).tolist()),
            self.random.choice([None, columns.flags(flags.tolist())]),
        )
        self.put_points += points
        self.buffer.put(batch)

    def take(self) -> None:
        self.in_hand.append(self.buffer.take(self.random.randint(0, 64), self.random.choice([1, 10_000, 10**9])))

    def settle(self) -> None:
        taken = self.in_hand.pop(self.random.randrange(len(self.in_hand))) if self.in_hand else []
        how = self.random.random()
        if how < 0.5:
            self.buffer.commit(taken)
            self.delivered_points += sum(r.points for r in taken if isinstance(r, Batch))
            self.hear(taken)
        elif how < 0.9:
            self.buffer.put_back(taken)
        else:
            self.hear(taken)
            self.buffer.discard([r for r in taken if isinstance(r, Batch)], "refused")

    def hear(self, taken: list[Record]) -> None:
        """Note what gaps tell, by reason and lane."""
        for gap in taken:
            if isinstance(gap, Gap):
                assert sum(gap.lanes.values()) == gap.points
                self.told.update({(gap.reason, lane): points for lane, points in gap.lanes.items()})

    def wait(self) -> None:
        self.clock.advance(self.random.choice([0.1, 1.0, 1.0, 30.0, -0.5]))

    def reconfigure(self) -> None:
        self.buffer.configure(self.settings(), self.sampler)

    def step(self) -> None:
        acts = (self.put, self.take, self.settle, self.wait, self.reconfigure)
        self.random.choices(acts, (6, 2, 2, 3, 0.1))[0]()

    def check(self) -> None:
        counts = self.buffer.counts()
        assert counts.is_balanced
        assert sum(counts.dropped_by_lane.values()) == counts.dropped_points
        assert counts.accepted + counts.rejected == self.put_points
        assert counts.delivered == self.delivered_points
        assert counts.buffered == self.buffer.points <= self.buffer.settings.max_points
        assert counts.in_flight == sum(r.points for taken in self.in_hand for r in taken if isinstance(r, Batch))


@pytest.mark.parametrize(("name", "overflow"), [*STRATEGIES, (PLAIN, Overflow.SAMPLE)])
def test_45_no_point_is_ever_lost_in_a_storm(name: str, overflow: Overflow) -> None:
    storm = Storm(sampler_of(name), overflow, seed=len(name))
    while storm.put_points < POINTS_EACH:
        storm.step()
        storm.check()
    assert storm.buffer.sampler_fault_count == 0
    assert storm.buffer.counts().dropped["sampled" if overflow is Overflow.SAMPLE else overflow.value] > 0


@pytest.mark.parametrize("name", ["hybrid", "latest", PLAIN])
def test_45_gaps_tell_of_every_dropped_point_why_and_in_which_lane(name: str) -> None:
    storm = Storm(sampler_of(name), Overflow.SAMPLE, seed=5)
    while storm.put_points < POINTS_EACH:
        storm.step()
    for taken in storm.in_hand:
        storm.buffer.put_back(taken)
    storm.buffer.drop_all("shutdown")
    storm.hear(storm.buffer.take(100, 10**9))
    assert storm.told == storm.buffer.counts().dropped_by_lane
    assert {"sampled", "refused", "shutdown"} <= {reason for reason, _ in storm.told}
    assert {"critical", "normal", "bulk"} == {lane for _, lane in storm.told}


async def produce(buffer: AsyncBuffer[int], first: int) -> None:
    for item in range(first, first + 100):
        await buffer.put(item)
        if item % 3 == 0:
            await asyncio.sleep(0)


async def consume(buffer: AsyncBuffer[int], got: list[int]) -> None:
    while True:
        got.extend(await buffer.get(1 + len(got) % 5))
        await asyncio.sleep(0)


async def test_45_cancelled_producers_and_consumers_lose_nothing() -> None:
    chance, got = random.Random(3), []
    buffer: AsyncBuffer[int] = AsyncBuffer(BufferSettings(max_points=20), clock=FakeClock())
    producers = [asyncio.ensure_future(produce(buffer, 1000 * number)) for number in range(50)]
    consumers = [asyncio.ensure_future(consume(buffer, got)) for _ in range(3)]
    for _ in range(500):
        await asyncio.sleep(0)
        if chance.random() < 0.05:
            chance.choice(producers).cancel()
        if chance.random() < 0.2:
            consumers.pop(0).cancel()
            consumers.append(asyncio.ensure_future(consume(buffer, got)))
        assert buffer.counts().is_balanced
        assert len(buffer) <= 20
    await asyncio.wait(producers)
    for consumer in consumers:
        consumer.cancel()
    await asyncio.wait(consumers)
    got += await buffer.get(100) if len(buffer) else []
    counts = buffer.counts()
    assert len(got) == len(set(got)) == counts.delivered == counts.accepted > 1000
