"""A buffer whose producers wait for room: the policy `block`, with asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from agent.clock import Clock
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.item_buffer import BufferFull, ItemBuffer, Taken
from agent.resilience.ledger import Counts

__all__ = ["AsyncBuffer"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(slots=True)
class _Putter(Generic[T]):
    item: T
    priority: float
    admitted: asyncio.Future[None]


class AsyncBuffer(Generic[T]):
    """Producers wait their turn for room, consumers wait for items. One event loop.

    An item enters the buffer in the very moment room is made, not when its producer next runs, so room can neither be lost with
    a cancelled producer nor be taken by one who came later. Items leave in the moment `get` returns, so a consumer that gives up
    waiting takes none with it.

    Args:
        settings: Bounds; the overflow policy is always "wait".
        clock: Ages are measured on its monotonic side.
        bytes_of: Size of an item; None counts no bytes.
    """

    def __init__(self, settings: BufferSettings, *, clock: Clock, bytes_of: Callable[[T], int] | None = None) -> None:
        self._buffer: ItemBuffer[T] = ItemBuffer(
            replace(settings, overflow=Overflow.REJECT), clock=clock, bytes_of=bytes_of
        )
        self._putters: deque[_Putter[T]] = deque()
        self._getters: deque[asyncio.Future[None]] = deque()
        self.timed_out_count = 0

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def waiting_putters(self) -> int:
        """Producers that wait for room."""
        return len(self._putters)

    def counts(self) -> Counts:
        """The balance of this moment, in items; those of waiting producers are not accepted yet."""
        return self._buffer.counts()

    async def put(self, item: T, priority: float = 0, *, timeout_s: float | None = None) -> None:
        """Put an item in, waiting for room behind those who waited before.

        Args:
            item: Any object.
            priority: Its lane; higher is delivered first.
            timeout_s: Seconds to wait, >= 0; None: as long as it takes.
        Raises:
            TimeoutError: There was no room in time; the item was not accepted.
            BufferFull: The buffer is closed.
        """
        self._buffer.expire()
        if self._buffer.is_closed or (not self._putters and self._buffer.has_room(item)):
            self._admit(item, priority)
            return
        putter = _Putter(item, priority, asyncio.get_running_loop().create_future())
        self._putters.append(putter)
        try:
            async with asyncio.timeout(timeout_s):
                await putter.admitted
        except TimeoutError:
            if not putter.admitted.done() or putter.admitted.cancelled():
                self.timed_out_count += 1
                raise
        finally:
            if not putter.admitted.done() or putter.admitted.cancelled():
                _forget(self._putters, putter)

    async def get(self, max_items: int = 1) -> list[T]:
        """Items as soon as there is one, counted as delivered at once."""
        await self._not_empty()
        items = self._buffer.get(max_items)
        self._after_removal()
        return items

    async def take(self, max_items: int) -> Taken[T]:
        """Items as soon as there is one; they are in flight, and keep their room, until settled."""
        await self._not_empty()
        taken = self._buffer.take(max_items)
        self._after_removal()
        return taken

    def commit(self, taken: Taken[T]) -> None:
        """Count what was taken as delivered; its room is free for others."""
        self._buffer.commit(taken)
        self._after_removal()

    def put_back(self, taken: Taken[T]) -> None:
        """Return what was taken to the front."""
        self._buffer.put_back(taken)
        self._wake_getter()

    def close(self, reason: str = "shutdown") -> None:
        """Drop what waits; producers that wait, and consumers, get `BufferFull`. Safe twice."""
        self._buffer.close(reason)
        for putter in self._putters:
            if not putter.admitted.done():
                putter.admitted.set_exception(BufferFull("the buffer is closed"))
        self._putters.clear()
        for getter in self._getters:
            if not getter.done():
                getter.set_exception(BufferFull("the buffer is closed"))
        self._getters.clear()

    async def _not_empty(self) -> None:
        self._buffer.expire()
        while not len(self._buffer):
            if self._buffer.is_closed:
                raise BufferFull("the buffer is closed")
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.cancelled():
                    _forget(self._getters, getter)
                else:
                    self._wake_getter()
                raise

    def _after_removal(self) -> None:
        while self._putters and self._buffer.has_room(self._putters[0].item):
            putter = self._putters.popleft()
            if not putter.admitted.done():
                self._admit(putter.item, putter.priority)
                putter.admitted.set_result(None)
        if len(self._buffer):
            self._wake_getter()

    def _admit(self, item: T, priority: float) -> None:
        self._buffer.put(item, priority)
        self._wake_getter()

    def _wake_getter(self) -> None:
        while self._getters and len(self._buffer):
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return


def _forget(waiting: deque[W], one: W) -> None:
    """Take one that was cancelled out of the queue; whoever came by in the same turn may have done so already."""
    with suppress(ValueError):
        waiting.remove(one)
