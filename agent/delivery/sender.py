"""From one buffer to one sink: live data first, again until it is safe there, never more than one group at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from agent.clock import Clock
from agent.contracts import EpochSink, RecoveryOutcome, RecoveryRequest, Sink
from agent.delivery.outbox import Group, Outbox
from agent.delivery.spool import Spool
from agent.errors import BreakerOpen, DeliveryError, PermanentDelivery, Unreachable
from agent.model import Batch, Level, Record, Scalar
from agent.resilience.breaker import Breaker
from agent.resilience.buffer import BatchBuffer

__all__ = ["Group", "Sender", "SenderSettings", "SenderStats"]

BACKLOG_LOOK_S = 0.1
FIRST_RETRY_S = 0.1
MAX_RETRY_S = 10.0
ASKED_JITTER_RATIO = 0.1


class Recovers(Protocol):
    """The part of the recovery engine that a sender needs."""

    async def handle(self, request: RecoveryRequest) -> RecoveryOutcome: ...
    def succeeded(self, component: str) -> None: ...


class Emits(Protocol):
    """How a sender reports what happened."""

    def __call__(self, kind: str, component: str, level: Level = ..., /, **detail: Scalar) -> None: ...


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How a group is delivered.

    Attributes:
        deadline_s: Seconds that one delivery may take, > 0.
        max_group_count: Records in a group at most, >= 1.
        max_group_bytes: Bytes in a group at most (a single larger record still goes), >= 1.
    """

    deadline_s: float = 15.0
    max_group_count: int = 64
    max_group_bytes: int = 524_288


@dataclass(slots=True)
class SenderStats:
    """What one sender did so far. `first_acked_s` and `last_acked_s` are monotonic seconds; None before the first."""

    delivered_groups: int = 0
    delivered_records: int = 0
    failed_deliveries: int = 0
    first_acked_s: float | None = None
    last_acked_s: float | None = None
    last_error: str = ""


class Sender:
    """Ships one sink's records, through its breaker, with recovery.

    The group in hand stays in hand until the sink has it or refuses it for ever, so sequence numbers never change and never
    leave a hole, and a retry can never overtake or evict anything.

    Args:
        name: Name of the sink.
        sink: Where the records go.
        buffer: Where they wait; this sender is its only consumer.
        breaker: Refuses deliveries to a sink that keeps failing.
        recovery: Told of failures and successes; may rebuild the sink.
        settings: See `SenderSettings`.
        clock, rng, sleep: Time, chance and waiting.
        emit: Reports events.
        spool: Where records go that must wait; None = they stay in memory.
        epoch: This run of the agent.

    Attributes:
        retry_ratio: Share, in (0, 1], of the usual number of retries in a given time; set by the control loop.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        buffer: BatchBuffer,
        *,
        breaker: Breaker,
        recovery: Recovers,
        settings: SenderSettings,
        clock: Clock,
        rng: random.Random,
        emit: Emits,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spool: Spool | None = None,
        epoch: str = "",
    ) -> None:
        self.name = name
        self.component = f"sink:{name}"
        self.sink = sink
        self.buffer = buffer
        self.outbox = Outbox(buffer, spool, clock, epoch)
        self.breaker = breaker
        self.stats = SenderStats()
        self.retry_ratio = 1.0
        self.recovery = recovery
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._emit = emit
        self._sleep = sleep
        self._failures_in_row = 0
        self._has_records = asyncio.Event()
        self._is_finishing = False

    def put(self, record: Record) -> None:
        """Take a record for this sink; never blocks, never raises for want of room."""
        self.buffer.put(record)
        self.outbox.pace.note_live(record.points if isinstance(record, Batch) else 0)
        self._has_records.set()

    def finish(self) -> None:
        """Let `run` return once everything is delivered, as fast as the sink takes it."""
        self._is_finishing = True
        self.outbox.is_finishing = True
        self._has_records.set()

    async def run(self) -> None:
        """Deliver until cancelled, or, after `finish`, until nothing is left."""
        async with asyncio.TaskGroup() as tasks:
            keeping_safe = tasks.create_task(self.outbox.keep_safe_for_ever(), name=f"{self.component}:spool")
            await self._deliver_for_ever()
            keeping_safe.cancel()

    async def _deliver_for_ever(self) -> None:
        while True:
            self._has_records.clear()
            group = await self._take()
            if group is not None:
                await self._deliver(group)
            elif self._is_finishing:
                return
            else:
                await self._wait_for_records()

    async def close(self) -> None:
        """Leave what is left in the spool, or count it as dropped at shutdown, and close the sink, within its deadline."""
        await self.outbox.close()
        await self.close_sink()

    async def close_sink(self) -> None:
        """Close the sink; what goes wrong is logged as an event and goes no further."""
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await self.sink.close()
        except Exception as error:  # noqa: BLE001 - closing is the sink's own affair
            self._emit("sink.close_failed", self.component, Level.WARNING, error=_text(error))

    def hand_over(self, successor: Sender) -> None:
        """Give everything that is not delivered yet to the sender that takes this one's place (a reload)."""
        successor.outbox = self.outbox
        successor.stats = self.stats
        successor._has_records.set()

    async def _take(self) -> Group | None:
        return await self.outbox.take(self._settings.max_group_count, self._settings.max_group_bytes)

    async def _wait_for_records(self) -> None:
        """Until a record comes; while a backlog is held back by its pace or the disk, a moment at most."""
        if self.outbox.is_empty:
            await self._has_records.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(BACKLOG_LOOK_S):
                await self._has_records.wait()

    async def _deliver(self, group: Group) -> None:
        try:
            permit = self.breaker.acquire()
        except BreakerOpen as refusal:
            await self._sleep(max(refusal.retry_in_s, 0.01))
            return
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await self._hand_to_sink(group)
        except asyncio.CancelledError:
            permit.cancel()
            raise
        except PermanentDelivery as refusal:
            permit.succeed()
            self._refused(group, refusal)
        except Exception as error:  # noqa: BLE001 - whatever a sink raises, the group is kept and tried again
            permit.fail(error, open_s=error.retry_after_s if isinstance(error, Unreachable) else None)
            await self._failed(error)
        else:
            permit.succeed()
            self._delivered(group)

    async def _hand_to_sink(self, group: Group) -> None:
        if group.epoch and isinstance(self.sink, EpochSink):
            await self.sink.deliver_earlier(group.epoch, group.records, group.first_seq)
        else:
            await self.sink.deliver(group.records, group.first_seq)

    def _delivered(self, group: Group) -> None:
        stats, now_s = self.stats, self._clock.monotonic_s()
        stats.delivered_groups += 1
        stats.delivered_records += len(group.records)
        stats.last_acked_s = now_s
        self.outbox.is_failing = False
        self._settle()
        if stats.first_acked_s is None:
            stats.first_acked_s = now_s
            self._emit("sink.acked_first", self.component, records=len(group.records))
        elif self._failures_in_row:
            self._emit("sink.resumed", self.component, failures=self._failures_in_row, waiting=self.buffer.points)
        self._failures_in_row = 0
        self.recovery.succeeded(self.component)

    def _settle(self) -> None:
        """The group in hand may have gained its place on disk while it was on its way."""
        if self.outbox.hand is not None:
            self.outbox.settle(self.outbox.hand)

    def _refused(self, group: Group, refusal: PermanentDelivery) -> None:
        if self.outbox.hand is not None:
            self.outbox.discard(self.outbox.hand, "refused")
        self._emit("sink.refused", self.component, Level.ERROR, error=_text(refusal), records=len(group.records))

    async def _failed(self, error: Exception) -> None:
        self.stats.failed_deliveries += 1
        self.stats.last_error = _text(error)
        self._failures_in_row += 1
        self.outbox.is_failing = self._failures_in_row > 1
        if self._failures_in_row == 1:
            self._emit("sink.failed", self.component, Level.WARNING, error=_text(error))
        await self.recovery.handle(
            RecoveryRequest(
                component=self.component,
                operation="deliver",
                error=error,
                occurrences=self._failures_in_row,
                reset=self.close_sink,
                trip=lambda: self.breaker.trip("recovery"),
            )
        )
        if not isinstance(error, Unreachable):  # the open breaker waits for that
            await self._sleep(self._retry_wait_s(error))

    def _retry_wait_s(self, error: Exception) -> float:
        """What the sink asked for and a little jitter on it; without a wish, full jitter under a doubling ceiling."""
        asked_s = error.retry_after_s if isinstance(error, DeliveryError) else None
        if asked_s:
            return asked_s * (1.0 + self._rng.uniform(0.0, ASKED_JITTER_RATIO))
        ceiling_s = min(MAX_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures_in_row - 1, 30))
        return self._rng.uniform(0.0, ceiling_s) / self.retry_ratio


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
