"""A thousand agents' ways to their hub in one process: real senders, breakers and sinks, without collectors."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import structlog

from agent.assembly import breaker_settings
from agent.clock import Clock
from agent.config.schema import SinkBreakerSection
from agent.contracts import Block, Kept, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.delivery.sender import Sender, SenderSettings
from agent.model import Batch, Series
from agent.resilience.breaker import Breaker
from agent.resilience.buffer import BatchBuffer, BufferSettings
from plugins.sinks.websocket import Config, websocket

__all__ = ["KeepNothing", "Member", "NoRecovery", "peak_to_mean", "tick"]

SLOT_S = 0.1
DEADLINE_S = 15.0
"""Of a delivery, as shipped."""


class NoRecovery:
    """A recovery engine that can do nothing."""

    async def handle(self, request: RecoveryRequest) -> RecoveryOutcome:
        return RecoveryOutcome(RecoveryStep.NEXT)

    def succeeded(self, component: str) -> None:
        """Nobody remembers."""


class KeepNothing:
    """A sampler that would drop all, which the balance would show."""

    def keep(self, block: Block, budget: int) -> Kept:
        return Kept(np.empty(0, np.int64), np.empty(0))


class Member:
    """One agent's sink and sender, under the settings that an agent has by default; also the sink's context.

    Args:
        url, protocol: Of the sink.
        number: Tells it from the others.
        on_open: Called when its connection is of use.
    """

    def __init__(
        self, url: str, number: int, clock: Clock, *, protocol: str, on_open: Callable[[], None] = lambda: None
    ) -> None:
        self.name, self.agent, self.epoch, self.labels = "websocket", f"web{number}", "e1", {"n": str(number)}
        self.clock, self.rng, self.log = clock, random.Random(number), structlog.get_logger()
        self._on_open = on_open
        self.sink: Any = websocket(Config(url=url, protocol=protocol), self)
        self.sender = Sender(
            self.name,
            self.sink,
            BatchBuffer(self.name, BufferSettings(), KeepNothing(), clock=clock),
            breaker=Breaker(self.name, breaker_settings(SinkBreakerSection(), DEADLINE_S), clock=clock, rng=self.rng),
            recovery=NoRecovery(),
            settings=SenderSettings(),
            clock=clock,
            rng=self.rng,
            emit=self.emit,
        )

    def definition(self, series_id: int) -> Series:
        return Series("synthetic", (("n", str(series_id)),))

    def emit(self, kind: str, *_: object, **__: object) -> None:
        if kind == "link.opened":
            self._on_open()


def tick(clock: Clock, series_count: int, value: float) -> Batch:
    """One point of each series, all of this value."""
    ids = np.arange(series_count, dtype=np.uint32)
    return Batch(clock.wall_ns(), clock.monotonic_s(), ids, np.full(series_count, value))


def peak_to_mean(moments_s: Iterable[float]) -> float:
    """Of how many there are in 0.1 s, from the first moment to the last."""
    moments = sorted(moments_s)
    slots = Counter(int((moment - moments[0]) / SLOT_S) for moment in moments)
    return max(slots.values()) * (max(slots) + 1) / len(moments)
