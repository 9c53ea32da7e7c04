"""The live stream to pages. A page that cannot keep up loses messages of its own; nobody waits for it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

__all__ = ["LIVE_SUBPROTOCOL", "LivePages", "tick_message"]

LIVE_SUBPROTOCOL = "rebellion.live.v1"

_AGENTS_EVERY_S = 1.0
_WAITING_MAX = 256
_SEND_WITHIN_S = 10.0
_SUBSCRIPTIONS_MAX = 256

Message = dict[str, Any]


class _Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    agent: str


class _Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    agent: str


_Request = _Subscribe | _Unsubscribe


class LivePages:
    """All open pages.

    Args:
        agents: What `GET /api/v1/agents` answers.
        latest: The newest tick of an agent; None while there is none.
        on_skipped: Called for each message that a slow page does not get.
        max_pages: Pages at the same time.
    """

    def __init__(
        self,
        agents: Callable[[], Message],
        latest: Callable[[str], Message | None],
        on_skipped: Callable[[], None],
        *,
        max_pages: int = 100,
    ) -> None:
        self._agents = agents
        self._latest = latest
        self._on_skipped = on_skipped
        self._max_pages = max_pages
        self._pages: set[_Page] = set()
        self._is_changed = False

    def __len__(self) -> int:
        return len(self._pages)

    async def serve(self, connection: ServerConnection) -> None:
        """Handle one page to its end."""
        if len(self._pages) >= self._max_pages:
            await connection.close(1013, f"{self._max_pages} pages are open already")
            return
        page = _Page(connection, self._latest, self._on_skipped)
        self._pages.add(page)
        try:
            page.put(self._agents_text())
            await page.run()
        finally:
            self._pages.discard(page)

    async def run(self) -> None:
        """Tell the pages about the agents, at most once a second, until cancelled."""
        while True:
            await asyncio.sleep(_AGENTS_EVERY_S)
            if self._is_changed and self._pages:
                self._is_changed = False
                text = self._agents_text()
                for page in self._pages:
                    page.put(text)

    def note_change(self) -> None:
        """An agent came, went, or sent something."""
        self._is_changed = True

    def tell_event(self, event: Callable[[], Message]) -> None:
        """Pass an event on to every page; it is made only when there is one."""
        if self._pages:
            text = _text({"type": "event", **event()})
            for page in self._pages:
                page.put(text)

    def tell_tick(self, agent: str, tick: Callable[[], Message]) -> None:
        """Pass a tick on to the pages that want that agent's; it is made only when there is one."""
        wanting = [page for page in self._pages if agent in page.subscribed]
        if wanting:
            text = _text(tick())
            for page in wanting:
                page.put(text)

    def _agents_text(self) -> str:
        return _text({"type": "agents", **self._agents()})


class _Page:
    """One open page."""

    def __init__(
        self, connection: ServerConnection, latest: Callable[[str], Message | None], on_skipped: Callable[[], None]
    ) -> None:
        self.subscribed: set[str] = set()
        self._connection = connection
        self._latest = latest
        self._on_skipped = on_skipped
        self._waiting: deque[str] = deque()
        self._has_waiting = asyncio.Event()

    def put(self, text: str) -> None:
        """Queue a message; the oldest goes when too many wait."""
        if len(self._waiting) >= _WAITING_MAX:
            self._waiting.popleft()
            self._on_skipped()
        self._waiting.append(text)
        self._has_waiting.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(), name="page:send")
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
        latest = self._latest(request.agent)
        if latest is not None:
            self.put(_text(latest))

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


def tick_message(agent: str, time_ns: int, values: Mapping[str, float], anomalies: Sequence[str]) -> Message:
    """One tick as pages are told of it; a value that is not finite becomes null."""
    shown = {text: value if math.isfinite(value) else None for text, value in values.items()}
    return {"type": "tick", "agent": agent, "time_s": time_ns / 1e9, "values": shown, "anomalies": list(anomalies)}


def _text(message: Message) -> str:
    return msgspec.json.encode(message).decode()
