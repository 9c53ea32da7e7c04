"""The live stream to pages. A page that cannot keep up loses messages of its own; nobody waits for it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
from websockets.exceptions import ConnectionClosed

from agent.hub.counters import HubCounters
from agent.hub.fleet import Fleet, FleetAgent
from agent.hub.store import BatchWrite, EventWrite, Write

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

__all__ = ["LIVE_SUBPROTOCOL", "Live"]

LIVE_SUBPROTOCOL = "rebellion.live.v1"

_AGENTS_EVERY_S = 1.0
_WAITING_MAX = 256
_SEND_WITHIN_S = 10.0
_SUBSCRIPTIONS_MAX = 256


class _Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    agent: str


class _Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    agent: str


_Request = _Subscribe | _Unsubscribe


class Live:
    """All open pages.

    Args:
        fleet: Described to the pages.
        counters: Counts what slow pages miss.
        max_pages: Pages at the same time.
    """

    def __init__(self, fleet: Fleet, counters: HubCounters, *, max_pages: int = 100) -> None:
        self._fleet = fleet
        self._counters = counters
        self._max_pages = max_pages
        self._pages: set[_Page] = set()
        self._is_changed = False

    @property
    def page_count(self) -> int:
        return len(self._pages)

    async def serve(self, connection: ServerConnection) -> None:
        """Handle one page to its end."""
        if len(self._pages) >= self._max_pages:
            await connection.close(1013, f"{self._max_pages} pages are open already")
            return
        page = _Page(connection, self._fleet, self._counters)
        self._pages.add(page)
        try:
            page.put(_agents_text(self._fleet))
            await page.run()
        finally:
            self._pages.discard(page)

    async def run(self) -> None:
        """Tell the pages about the agents, at most once a second, until cancelled."""
        while True:
            await asyncio.sleep(_AGENTS_EVERY_S)
            if self._is_changed and self._pages:
                self._is_changed = False
                self._put_all(_agents_text(self._fleet))

    def note_change(self, agent: FleetAgent) -> None:
        """An agent came, went, or sent something."""
        self._is_changed = True

    def note_stored(self, agent: FleetAgent, write: Write) -> None:
        """Pass a new record on to the pages that want it."""
        self._is_changed = True
        if isinstance(write, EventWrite):
            if self._pages:
                self._put_all(_event_text(agent, write))
            return
        wanting = [page for page in self._pages if agent.row.name in page.subscribed]
        if wanting:
            text = _tick_text(agent, write)
            for page in wanting:
                page.put(text)

    def _put_all(self, text: str) -> None:
        for page in self._pages:
            page.put(text)


class _Page:
    """One open page."""

    def __init__(self, connection: ServerConnection, fleet: Fleet, counters: HubCounters) -> None:
        self.subscribed: set[str] = set()
        self._connection = connection
        self._fleet = fleet
        self._counters = counters
        self._waiting: deque[str] = deque()
        self._has_waiting = asyncio.Event()

    def put(self, text: str) -> None:
        """Queue a message; the oldest goes when too many wait."""
        if len(self._waiting) >= _WAITING_MAX:
            self._waiting.popleft()
            self._counters.live_skipped += 1
        self._waiting.append(text)
        self._has_waiting.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(), name="hub:live")
            await self._read()
            sending.cancel()

    async def _read(self) -> None:
        decoder = msgspec.json.Decoder(_Request)
        try:
            while True:
                self._take(decoder.decode(await self._connection.recv()))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            await self._connection.close(1007, 'expected {"type":"subscribe","agent":NAME}')
        except ConnectionClosed:
            return

    def _take(self, request: _Request) -> None:
        if isinstance(request, _Unsubscribe):
            self.subscribed.discard(request.agent)
            return
        if len(self.subscribed) < _SUBSCRIPTIONS_MAX:
            self.subscribed.add(request.agent)
        agent = self._fleet.get(request.agent)
        if agent is not None and agent.latest is not None:
            self.put(_tick_text(agent, agent.latest))

    async def _send(self) -> None:
        try:
            while True:
                await self._has_waiting.wait()
                while self._waiting:
                    async with asyncio.timeout(_SEND_WITHIN_S):
                        await self._connection.send(self._waiting.popleft())
                self._has_waiting.clear()
        except ConnectionClosed:
            return
        except TimeoutError:
            self._connection.transport.abort()


def _agents_text(fleet: Fleet) -> str:
    return _text({"type": "agents", "agents": fleet.describe()})


def _tick_text(agent: FleetAgent, batch: BatchWrite) -> str:
    values = {text: value if math.isfinite(value) else None for text, value in agent.values_of(batch).items()}
    return _text({"type": "tick", "agent": agent.row.name, "time_s": batch.time_ns / 1e9, "values": values})


def _event_text(agent: FleetAgent, event: EventWrite) -> str:
    return _text(
        {
            "type": "event",
            "time_s": event.time_ns / 1e9,
            "agent": agent.row.name,
            "kind": event.kind,
            "component": event.component,
            "level": event.level,
            "detail": msgspec.json.decode(event.detail),
        }
    )


def _text(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
