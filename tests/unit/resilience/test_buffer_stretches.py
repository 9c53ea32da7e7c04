"""A large buffer is thinned out stretch by stretch, so that no put takes long, and evenly, so that no part of it fades away."""

from __future__ import annotations

import random

import numpy as np
import pytest

from agent.builtin import load_builtin
from agent.contracts import Block, Kept, Sampler
from agent.model import Batch, PointFlag
from agent.resilience.batch_store import STRETCH_POINTS, WIDE_PACK_COUNT
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.testing.clock import FakeClock

SERIES = 200


class Watched:
    works_in_stretches = True

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.lasts: list[bool] = []

    def keep(self, block: Block, budget: int, /) -> Kept:
        self.sizes.append(len(block))
        self.lasts.append(block.is_last)
        index = np.linspace(0, len(block) - 1, budget).astype(np.int64)
        return Kept(index, block.weights[index] * (len(block) / budget))


def outage(buffer: BatchBuffer, clock: FakeClock, ticks: int, flag_every: int = 0, series: int = SERIES) -> None:
    rng = np.random.default_rng(1)
    ids = np.arange(1, series + 1, dtype=np.uint32)
    for number in range(ticks):
        flags = None
        if flag_every and number % flag_every == 0:
            flags = np.zeros(series, np.uint8)
            flags[number % series] = PointFlag.ANOMALOUS
        buffer.put(Batch(clock.wall_ns(), clock.monotonic_s(), ids, rng.normal(size=series), flags))
        clock.advance(1.0)
        assert buffer.fill_ratio <= 1.0
        assert buffer.counts().buffered == buffer.points
        assert buffer.counts().is_balanced


def batches(buffer: BatchBuffer) -> list[Batch]:
    return [record for record in buffer.take(10**6, 10**9) if isinstance(record, Batch)]


def hybrid() -> Sampler:
    class Context:
        rng = random.Random(1)

    registration = load_builtin("sampling", "hybrid")
    return registration.factory(registration.config(), Context())


@pytest.mark.parametrize("series", [SERIES, 2000])
def test_each_call_sees_a_stretch_and_only_the_newest_one_is_last(series: int) -> None:
    clock, sampler = FakeClock(), Watched()
    buffer = BatchBuffer("hub", BufferSettings(max_points=500 * series), sampler, clock=clock)
    outage(buffer, clock, 1000, series=series)
    assert buffer.sampler_fault_count == 0
    assert max(sampler.sizes) <= 2 * STRETCH_POINTS
    assert 0 < sum(sampler.lasts) <= len(sampler.lasts) / 3


def test_of_ticks_as_wide_as_a_stretch_enough_are_seen_at_once_to_choose_among() -> None:
    clock, sampler = FakeClock(), Watched()
    buffer = BatchBuffer("hub", BufferSettings(max_points=40 * STRETCH_POINTS, max_bytes=1 << 30), sampler, clock=clock)
    outage(buffer, clock, 33, series=STRETCH_POINTS)
    assert sampler.sizes[0] == WIDE_PACK_COUNT * STRETCH_POINTS


def test_what_stays_is_spread_evenly_over_the_outage() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=100_000, max_age_s=1e6), Watched(), clock=clock)
    start_s = clock.monotonic_s()
    outage(buffer, clock, 4000)
    kept = batches(buffer)
    times = np.repeat([batch.monotonic_s for batch in kept], [batch.points for batch in kept])
    weights = np.concatenate([np.ones(b.points) if b.weights is None else b.weights for b in kept])
    density, _ = np.histogram(times - start_s, bins=20, range=(0, 4000))
    assert density[:15].min() > 0.4 * density[:15].mean()
    assert weights.sum() == pytest.approx(4000 * SERIES, rel=0.02)


def test_points_may_be_taken_while_the_thinning_goes_on() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=100_000), Watched(), clock=clock)
    for _ in range(30):
        outage(buffer, clock, 90)
        taken = buffer.take(37, 10**9)
        buffer.commit(taken)
        taken = buffer.take(10, 10**9)
        buffer.put_back(taken)
    assert buffer.counts().is_balanced
    times = [batch.monotonic_s for batch in batches(buffer)]
    assert times == sorted(times)
    assert (buffer.points, buffer.bytes) == (0, 0)


def test_the_default_sampler_keeps_every_anomaly_of_a_long_outage() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(max_points=100_000), hybrid(), clock=clock)
    outage(buffer, clock, 1800, flag_every=5)
    assert buffer.sampler_fault_count == 0
    flags = np.concatenate([b.flags for b in batches(buffer) if b.flags is not None])
    assert (flags == PointFlag.ANOMALOUS).sum() == 360
