"""The lanes of the daemon's buffer: critical points stay, bulk ones go first and yet not all, and drops are counted."""

from __future__ import annotations

import numpy as np
import pytest

from agent.contracts import Block, Kept
from agent.model import Batch, PointFlag
from agent.resilience.buffer import BatchBuffer, BufferSettings, Overflow
from agent.resilience.ledger import Dropped, Ledger
from agent.testing.clock import FakeClock

CRITICAL, BULK, ANOMALOUS = PointFlag.CRITICAL.value, PointFlag.BULK.value, PointFlag.ANOMALOUS.value


class Newest:
    def keep(self, block: Block, budget: int, /) -> Kept:
        index = np.arange(max(0, len(block) - budget), len(block))
        return Kept(index, block.weights[index])


def put(buffer: BatchBuffer, clock: FakeClock, ticks: int, flags: list[int]) -> None:
    ids, column = np.arange(len(flags), dtype=np.uint32), np.array(flags, np.uint8)
    for _ in range(ticks):
        buffer.put(Batch(clock.wall_ns(), clock.monotonic_s(), ids, np.zeros(len(flags)), column))
        clock.advance(1.0)


def flags_waiting(buffer: BatchBuffer) -> np.ndarray:
    taken = [record for record in buffer.take(10**6, 10**9) if isinstance(record, Batch)]
    flags = np.concatenate([np.zeros(b.points, np.uint8) if b.flags is None else b.flags for b in taken])
    return flags & (CRITICAL | BULK | ANOMALOUS)


def buffer_of(points: int, clock: FakeClock, overflow: Overflow = Overflow.SAMPLE) -> BatchBuffer:
    return BatchBuffer("hub", BufferSettings(max_points=points, overflow=overflow), Newest(), clock=clock)


def test_a_flood_of_bulk_displaces_no_normal_and_no_critical_point():
    clock = FakeClock()
    buffer = buffer_of(1000, clock)
    put(buffer, clock, 40, [CRITICAL, 0, 0, 0, 0])
    put(buffer, clock, 200, [BULK] * 50)
    waiting = flags_waiting(buffer)
    assert ((waiting == CRITICAL).sum(), (waiting == 0).sum()) == (40, 160)
    assert (waiting == BULK).sum() > 200
    lanes = buffer.counts().dropped_by_lane
    assert set(lanes) == {("sampled", "bulk")}
    assert lanes["sampled", "bulk"] == 10_000 - (waiting == BULK).sum()


def test_a_flood_of_normal_points_leaves_bulk_a_twentieth_of_the_room():
    clock = FakeClock()
    buffer = buffer_of(1000, clock)
    put(buffer, clock, 10, [BULK] * 50)
    put(buffer, clock, 200, [0] * 50)
    assert (flags_waiting(buffer) == BULK).sum() >= 1000 * 0.8 * 0.625 * 0.05
    lanes = buffer.counts().dropped_by_lane
    assert set(lanes) == {("sampled", "bulk"), ("sampled", "normal")}
    assert sum(lanes.values()) == buffer.counts().dropped["sampled"]


def test_all_lanes_of_an_evicted_batch_are_counted():
    clock = FakeClock()
    buffer = buffer_of(6, clock, Overflow.DROP_OLDEST)
    put(buffer, clock, 3, [CRITICAL, BULK, BULK, 0, ANOMALOUS, CRITICAL | ANOMALOUS])
    assert buffer.counts().dropped_by_lane == {
        ("drop_oldest", "critical"): 4,
        ("drop_oldest", "normal"): 4,
        ("drop_oldest", "bulk"): 4,
    }


def test_bulk_points_that_are_thinned_out_at_the_entry_are_counted_as_such():
    clock = FakeClock()
    buffer = buffer_of(10_000, clock)
    buffer.keep_ratio = 0.5
    put(buffer, clock, 40, [CRITICAL, *[0] * 10, *[BULK] * 10])
    lanes = buffer.counts().dropped_by_lane
    assert lanes["sampled", "normal"] == pytest.approx(200, abs=10)
    assert lanes["sampled", "bulk"] == pytest.approx(200, abs=10)
    assert ("sampled", "critical") not in lanes


def test_thinning_counts_nothing_once_the_buffer_is_closed():
    clock = FakeClock()
    buffer = buffer_of(10_000, clock)
    buffer.keep_ratio = 0.5
    buffer.close()
    put(buffer, clock, 1, [0] * 10)
    assert buffer.counts().accepted == 0


def test_dropping_nothing_makes_no_entry():
    ledger = Ledger()
    ledger.drop(Dropped(), "expired")
    assert (ledger.counts().dropped, ledger.counts().dropped_by_lane) == ({}, {})
