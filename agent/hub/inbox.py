"""What an agent sent and the store has not answered for yet: translation, submission, and the acks that follow."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from agent.clock import Clock
from agent.errors import ProtocolError
from agent.hub.counters import HubCounters
from agent.hub.fleet import FleetAgent
from agent.hub.quota import AgentQuota
from agent.hub.records import Appended, BatchWrite, EventWrite, Registered, SeriesWrite, Write
from agent.hub.writer import Writer
from agent.protocol.close_codes import CloseCode
from agent.protocol.codec import Frame, unpack_ids
from agent.protocol.hub_session import HubSession
from agent.protocol.messages import BatchMessage, EventMessage, GapMessage, RecordMessage, SeriesMessage

__all__ = ["Inbox"]

NACK_RETRY_S = 2.0
_SHARED_SERIES_COUNT = 16_384


class Inbox:
    """Records of one connection on their way into the store.

    Args:
        session: Makes the answers.
        agent, registered: Whose records these are.
        quota: Of the agent; who uses more points waits in `room`.
        window_count, window_bytes: `room` waits while this much is not stored yet.
        on_stored: Told of each new record, after it is durable.
    """

    def __init__(
        self,
        session: HubSession,
        agent: FleetAgent,
        registered: Registered,
        writer: Writer,
        *,
        quota: AgentQuota,
        window_count: int,
        window_bytes: int,
        clock: Clock,
        counters: HubCounters,
        on_stored: Callable[[FleetAgent, Write], None],
    ) -> None:
        self.has_answers = asyncio.Event()
        self._session = session
        self._agent = agent
        self._ids = registered
        self._writer = writer
        self._quota = quota
        self._pause_s = 0.0
        self._window_count = window_count
        self._window_bytes = window_bytes
        self._clock = clock
        self._counters = counters
        self._on_stored = on_stored
        self._store_id: dict[int, int] = {}
        self._translated = (b"", b"")
        self._submitted_seq = 0
        self._nacks = 0
        self._pending_count = 0
        self._pending_bytes = 0
        self._stored_seq = 0
        self._said_seq = 0
        self._nack: Frame | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def room(self) -> None:
        """Wait until this agent, this connection, and the hub as a whole, may send more."""
        if self._pause_s > 0:
            self._counters.slowed_s += self._pause_s
            await asyncio.sleep(self._pause_s)
        await self._has_room.wait()
        await self._writer.room()

    async def define(self, message: SeriesMessage) -> None:
        """Make series known to the store.

        Raises:
            ProtocolError: The agent has too many.
            StoreError: It could not write them.
        """
        writes = [_series_write(one.name, tuple(one.labels.items()), one.unit, one.kind) for one in message.series]
        texts = self._quota.series.admit([write.text for write in writes])
        if texts is None:
            text = f"more than {self._quota.series.limit} different series within a day"
            raise ProtocolError(text, CloseCode.TOO_MANY_SERIES)
        agent_id = self._ids.agent_id
        store_ids = await self._writer.submit(lambda store: store.define(agent_id, writes), owner=agent_id)
        self._store_id.update(zip([one.id for one in message.series], store_ids, strict=True))
        self._agent.define(dict(zip(store_ids, texts, strict=True)))
        self._translated = (b"", b"")

    def submit(self, record: RecordMessage, size_bytes: int) -> None:
        """Hand a record to the writer; its answer comes through `answers`."""
        write = self._write_of(record)
        nacks = self._nacks
        self._submitted_seq = record.seq
        self._pending(1, size_bytes)
        self._pause_s = self._quota.points.spend(record.points if isinstance(record, BatchMessage) else 1)
        done = self._writer.submit(lambda store: store.append(write), size_bytes, self._ids.agent_id)
        done.add_done_callback(lambda settled: self._settle(write, size_bytes, nacks, settled))

    def answers(self) -> list[Frame]:
        """Frames that are due: one ack for everything stored since the last, then a nack."""
        self.has_answers.clear()
        frames = []
        if self._stored_seq > self._said_seq:
            self._said_seq = self._stored_seq
            frames.append(self._session.ack(self._stored_seq))
        if self._nack is not None:
            frames.append(self._nack)
            self._nack = None
        return frames

    def _settle(self, write: Write, size_bytes: int, nacks: int, done: asyncio.Future[Appended]) -> None:
        self._pending(-1, -size_bytes)
        if done.cancelled():
            return
        error = done.exception()
        result = Appended.OUT_OF_ORDER if error is not None else done.result()
        if result is not Appended.OUT_OF_ORDER:
            self._stored(write, result)
        elif nacks == self._nacks:
            self._refuse(write.seq, str(error or "the record before it is not stored"))

    def _stored(self, write: Write, result: Appended) -> None:
        self._agent.note(write, result)
        self._stored_seq = max(self._stored_seq, write.seq)
        self.has_answers.set()
        self._counters.note(write, result)
        if result is Appended.STORED:
            self._on_stored(self._agent, write)

    def _refuse(self, seq: int, reason: str) -> None:
        """Nack the first failure; the protocol makes those behind it void, so they are not answered."""
        self._nacks += 1
        self._counters.nacks += 1
        self._submitted_seq = 0
        self._nack = self._session.nack(seq, reason[:200], NACK_RETRY_S)
        self.has_answers.set()

    def _pending(self, count: int, size_bytes: int) -> None:
        self._pending_count += count
        self._pending_bytes += size_bytes
        if self._pending_count < self._window_count and self._pending_bytes < self._window_bytes:
            self._has_room.set()
        else:
            self._has_room.clear()

    def _write_of(self, record: RecordMessage) -> Write:
        head = (self._ids.agent_id, self._ids.epoch_id, record.seq, self._submitted_seq)
        received_ns = self._clock.wall_ns()
        if isinstance(record, BatchMessage):
            ids = self._translate(record.ids)
            arrays = (record.values, record.flags, record.weights, record.bounds)
            return BatchWrite(*head, record.time_ns, received_ns, ids, *arrays)
        if isinstance(record, EventMessage):
            detail = _json(record.detail)
            return EventWrite(*head, record.time_ns, received_ns, record.kind, record.component, record.level, detail)
        told = _gap_detail(record)
        return EventWrite(*head, record.to_ns, received_ns, "gap.announced", "agent", "warning", told, record.points)

    def _translate(self, ids: bytes) -> bytes:
        """The store's ids for the connection's. Batches of an agent mostly share one layout, so the last is kept."""
        if ids != self._translated[0]:
            stored = map(self._store_id.__getitem__, unpack_ids(ids))
            self._translated = (ids, struct.pack(f"<{len(ids) // 4}I", *stored))
        return self._translated[1]


@lru_cache(_SHARED_SERIES_COUNT)
def _series_write(name: str, labels: tuple[tuple[str, str], ...], unit: str, kind: str) -> SeriesWrite:
    """Hosts of a fleet mostly have the same series, which are then worked out, and held, once for all of them."""
    return SeriesWrite(name, tuple(sorted(labels)), unit, kind)


def _gap_detail(gap: GapMessage) -> str:
    told = {"points": gap.points, "reason": gap.reason, "from_s": gap.from_ns / 1e9, "to_s": gap.to_ns / 1e9}
    return _json(told | {f"{lane}_points": points for lane, points in gap.lanes.items()})


def _json(detail: dict[str, Any]) -> str:
    return msgspec.json.encode(detail).decode()
