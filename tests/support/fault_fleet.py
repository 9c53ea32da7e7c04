"""A thousand agents' ways to their hub in one process: real senders, breakers and sinks, without collectors."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import structlog
from hub_support import fetch

from agent.assembly import breaker_settings
from agent.clock import Clock, SystemClock
from agent.config.schema import SinkBreakerSection
from agent.contracts import Block, Kept, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.delivery.sender import Sender, SenderSettings
from agent.model import Batch, Series
from agent.resilience.breaker import Breaker
from agent.resilience.buffer import BatchBuffer, BufferSettings
from plugins.sinks.websocket import Config, connection, websocket

__all__ = ["Fleet", "KeepNothing", "Member", "NoRecovery", "Processors", "peak_to_mean", "tick"]

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


class Fleet:
    """Agents over real connections out of this process, each with a batch of its own every `INTERVAL_S`.

    Args:
        url: Of the hub.
        count: Agents.

    Attributes:
        connects_s: When each attempt began that found the hub's port open, also one that came to nothing.
        opened_s: When each agent's connection became of use, by number.
        acks_s: How long each record took that was made since, from its making.
        made: Values of each agent's ticks.
    """

    SERIES = 200
    INTERVAL_S = 2.0
    FIRST_WITHIN_S = 5.0

    def __init__(self, url: str, count: int) -> None:
        self.clock = SystemClock()
        self.connects_s: list[float] = []
        self.opened_s: dict[int, float] = {}
        self.acks_s: list[float] = []
        self.made: list[list[float]] = [[] for _ in range(count)]
        self._is_ending = False
        self._connect = connection._ConnectHere
        self._members = [self._member(url, number) for number in range(count)]

    def run(self, tasks: asyncio.TaskGroup) -> None:
        """Start every agent."""
        for number, member in enumerate(self._members):
            tasks.create_task(member.sender.run())
            tasks.create_task(self._live(number))

    def finish(self) -> None:
        """Let every agent deliver what it has, and end."""
        self._is_ending = True

    async def all_open(self) -> None:
        """Return once every agent has a connection that is of use."""
        while len(self.opened_s) < len(self._members):
            await asyncio.sleep(0.05)

    def forget(self) -> None:
        """Start the records of connections and acknowledgements anew."""
        self.connects_s, self.opened_s, self.acks_s = [], {}, []

    async def connect(self, *args: Any, **keys: Any) -> Any:
        """Stands in for the class with which sinks connect."""
        self.connects_s.append(began_s := self.clock.monotonic_s())
        try:
            return await self._connect(*args, **keys)
        except ConnectionRefusedError:
            self.connects_s.remove(began_s)
            raise

    async def stored(self, page: str) -> list[list[float]]:
        """What the hub has of every agent's first series."""
        values = []
        for number in range(len(self._members)):
            query = f"api/v1/query?agent=web{number}&series=synthetic%7Bn=%220%22%7D&from=-600"
            values.append(json.loads((await fetch(page + query))[2])["values"])
        return values

    def _member(self, url: str, number: int) -> Member:
        member = Member(url, number, self.clock, protocol="rebellion", on_open=lambda: self._opened(number))
        whole = member.sink.deliver

        async def deliver(records: Any, first_seq: int) -> None:
            await whole(records, first_seq)
            now_s, opened_s = self.clock.monotonic_s(), self.opened_s.get(number, float("inf"))
            self.acks_s += [now_s - one.monotonic_s for one in records if one.monotonic_s > opened_s]

        member.sink.deliver = deliver
        return member

    def _opened(self, number: int) -> None:
        self.opened_s[number] = self.clock.monotonic_s()

    async def _live(self, number: int) -> None:
        sender, made = self._members[number].sender, self.made[number]
        await asyncio.sleep(self.FIRST_WITHIN_S * number / len(self._members))
        while not self._is_ending:
            made.append(float(len(made)))
            sender.put(tick(self.clock, self.SERIES, made[-1]))
            await asyncio.sleep(self.INTERVAL_S)
        sender.finish()


@dataclass(frozen=True, slots=True)
class Processors:
    """What a process has had of the processors, by all of its threads.

    Attributes:
        ran_s: Seconds of work.
        waited_s: Seconds in which a thread was ready and not let run, for the sake of others.
    """

    ran_s: float
    waited_s: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Since it began."""
        threads = [(task / "schedstat").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
        return cls(sum(int(ran) for ran, *_ in threads) / 1e9, sum(int(waited) for _, waited, *_ in threads) / 1e9)

    def since(self, before: Processors) -> str:
        """In words, what came since."""
        return f"{self.ran_s - before.ran_s:.1f} s (waited {self.waited_s - before.waited_s:.1f} s)"


def tick(clock: Clock, series_count: int, value: float) -> Batch:
    """One point of each series, all of this value."""
    ids = np.arange(series_count, dtype=np.uint32)
    return Batch(clock.wall_ns(), clock.monotonic_s(), ids, np.full(series_count, value))


def peak_to_mean(moments_s: Iterable[float]) -> float:
    """Of how many there are in 0.1 s, from the first moment to the last."""
    moments = sorted(moments_s)
    slots = Counter(int((moment - moments[0]) / SLOT_S) for moment in moments)
    return max(slots.values()) * (max(slots) + 1) / len(moments)
