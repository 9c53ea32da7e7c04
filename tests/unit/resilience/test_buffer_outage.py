"""Scenarios 55 to 57: a sink that is away while the ticks go on, with the real sender, breaker, buffer and default sampler."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence

import numpy as np

from agent.builtin import load_builtin
from agent.contracts import RecoveryOutcome, RecoveryRequest, RecoveryStep, Sampler
from agent.delivery.sender import Sender, SenderSettings
from agent.model import Batch, Gap, Level, PointFlag, Record
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.resilience.buffer import BatchBuffer, BufferSettings
from agent.resilience.load_control import LoadControl
from agent.testing.clock import FakeClock

LANES_AND_ANOMALIES = np.uint8(PointFlag.CRITICAL | PointFlag.BULK | PointFlag.ANOMALOUS)


class NoRecovery:
    async def handle(self, request: RecoveryRequest) -> RecoveryOutcome:
        return RecoveryOutcome(RecoveryStep.NEXT)

    def succeeded(self, component: str) -> None:
        pass


class AwaySink:
    """Refuses every delivery before a moment, takes every one after it, and notes what came when."""

    def __init__(self, clock: FakeClock, back_s: float) -> None:
        self.clock, self.back_s = clock, back_s
        self.attempts_s: list[float] = []
        self.breaker: Breaker | None = None
        self.breaker_states: list[CircuitState] = []
        self.delivered: list[tuple[float, Record]] = []

    async def deliver(self, records: Sequence[Record], first_seq: int, /) -> None:
        self.attempts_s.append(self.clock.monotonic_s())
        if self.breaker is not None:
            self.breaker_states.append(self.breaker.state)
        if self.clock.monotonic_s() < self.back_s:
            raise ConnectionResetError("away")
        self.delivered += [(self.clock.monotonic_s(), record) for record in records]

    async def close(self) -> None:
        pass


def hybrid() -> Sampler:
    class Context:
        rng = random.Random(1)

    registration = load_builtin("sampling", "hybrid")
    return registration.factory(registration.config(), Context())


class Outage:
    """Ticks once a second of simulated time, whatever the sender waits for."""

    def __init__(self, series: int, away_s: float, settings: BufferSettings) -> None:
        self.clock, self.series = FakeClock(0.0), series
        self.sink = AwaySink(self.clock, away_s)
        self.numbers = np.random.default_rng(1)
        self.buffer = BatchBuffer("x", settings, hybrid(), clock=self.clock)
        self.breaker = Breaker("sink:x", BreakerSettings(), clock=self.clock, rng=random.Random(1))
        self.sink.breaker = self.breaker
        self.sender = Sender(
            "x",
            self.sink,
            self.buffer,
            breaker=self.breaker,
            recovery=NoRecovery(),
            settings=SenderSettings(),
            clock=self.clock,
            rng=random.Random(1),
            emit=self.emit,
            sleep=self.sleep,
        )
        self.control = LoadControl(
            self.clock,
            queues={"buffer": lambda: self.buffer.fill_ratio},
            host={},
            on_change=lambda decision: self.switches.append((self.clock.monotonic_s(), decision.is_pressed)),
        )
        self.switches: list[tuple[float, bool]] = []
        self.ratios: list[float] = []
        self.ticks = 0
        self.fills: list[float] = []
        self.anomalies = 0

    def emit(self, kind: str, component: str, level: Level = Level.INFO, /, **detail: object) -> None:
        pass

    async def sleep(self, seconds: float) -> None:
        until_s = self.clock.monotonic_s() + seconds
        while self.ticks < until_s:
            self.clock.advance(max(0.0, self.ticks - self.clock.monotonic_s()))
            self.tick()
        self.clock.advance(max(0.0, until_s - self.clock.monotonic_s()))
        await asyncio.sleep(0)

    def tick(self) -> None:
        flags = np.zeros(self.series, np.uint8)
        flags[0] = PointFlag.CRITICAL
        if self.ticks % 30 == 7:
            flags[self.ticks % (self.series - 1) + 1] = PointFlag.ANOMALOUS
            self.anomalies += 1
        ids = np.arange(1, self.series + 1, dtype=np.uint32)
        values = self.numbers.normal(size=self.series)
        self.sender.put(Batch(self.clock.wall_ns(), self.clock.monotonic_s(), ids, values, flags))
        self.ticks += 1
        self.buffer.keep_ratio = self.control.step().sampling_ratio
        self.ratios.append(self.buffer.keep_ratio)
        self.fills.append(self.buffer.fill_ratio)

    async def run(self, seconds: float) -> None:
        running = asyncio.ensure_future(self.sender.run())
        while self.clock.monotonic_s() < seconds:
            await self.sleep(1.0 if self.ticks < seconds else 0.5)
            for _ in range(3):
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

    def flags_delivered(self) -> np.ndarray:
        batches = [record for _, record in self.sink.delivered if isinstance(record, Batch)]
        return np.concatenate([b.flags & LANES_AND_ANOMALIES for b in batches if b.flags is not None])


async def test_57_an_open_breaker_lets_probes_out_only_and_the_sampler_starts_before_the_buffer_is_full() -> None:
    outage = Outage(200, 60.0, BufferSettings(max_points=8000))
    await outage.run(60.0)
    assert outage.ticks >= 60
    states = outage.sink.breaker_states
    opened = states.index(CircuitState.HALF_OPEN)
    assert states == [CircuitState.CLOSED] * opened + [CircuitState.HALF_OPEN] * (len(states) - opened)
    assert len(states) < 20
    assert outage.buffer.sampled_count > 0
    assert 0.8 - 200 / 8000 <= max(outage.fills) <= 0.8
    assert outage.buffer.counts().is_balanced


async def test_a_half_hour_outage_of_two_thousand_series_stays_within_bounds_and_keeps_what_matters() -> None:
    outage = Outage(2000, 1800.0, BufferSettings(max_points=200_000))
    await outage.run(1960.0)
    counts = outage.buffer.counts()
    assert counts.is_balanced
    assert max(outage.fills) <= 0.85
    flags = outage.flags_delivered()
    waiting = counts.buffered + counts.in_flight
    assert waiting <= 3 * 2000
    assert (flags == PointFlag.CRITICAL).sum() >= outage.ticks - 3
    assert (flags == PointFlag.ANOMALOUS).sum() >= outage.anomalies - 1
    late_s = [came_s - record.monotonic_s for came_s, record in outage.sink.delivered if isinstance(record, Batch)]
    assert late_s[-1] <= 2.0
    assert any(isinstance(record, Gap) and record.reason == "sampled" for _, record in outage.sink.delivered)
    calm_from = 1 + max(tick for tick, fill in enumerate(outage.fills) if fill > 0.5)
    assert outage.ticks > calm_from + 60
    assert set(outage.ratios[calm_from + 60 :]) == {1.0}
    assert [is_pressed for _, is_pressed in outage.switches] in ([], [True, False])
    falls = [later < earlier for earlier, later in itertools.pairwise(outage.ratios)]
    assert sum(falls) <= 3


async def test_55_what_cannot_be_delivered_at_the_end_is_counted_and_nothing_is_accepted_after_it() -> None:
    outage = Outage(1000, 1e9, BufferSettings())
    await outage.run(10.0)
    await outage.sender.close()
    await outage.sender.close()
    counts = outage.buffer.counts()
    assert (counts.buffered, counts.in_flight) == (0, 0)
    assert counts.dropped == {"shutdown": counts.accepted}
    assert counts.accepted >= 10_000
    outage.tick()
    assert outage.buffer.counts().accepted == counts.accepted
