"""A TCP proxy between agents and a hub that can hurt their connections, on a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self

__all__ = ["FaultProxy", "frames_of"]

_READ_BYTES = 16_384
_LOOK_S = 0.005


def frames_of(data: bytearray) -> Iterator[bytes]:
    """Take the whole WebSocket frames of a server (unmasked) off the front of the data."""
    while len(data) >= 2:
        size, head = data[1] & 127, 2
        if size == 126:
            size, head = (int.from_bytes(data[2:4], "big"), 4) if len(data) >= 4 else (0, 1 << 30)
        elif size == 127:
            size, head = (int.from_bytes(data[2:10], "big"), 10) if len(data) >= 10 else (0, 1 << 30)
        if len(data) < head + size:
            return
        yield bytes(data[: head + size])
        del data[: head + size]


class FaultProxy:
    """Use it as a context manager.

    Args:
        upstream_port: Where the hub listens.

    Attributes:
        holds_up, holds_down: A blackhole towards the hub, towards the agent: what comes meanwhile is kept and goes on afterwards.
        up_bytes_s: Bytes a second that reach the hub; 0 = all.
        ack_delay_s: How long an `ack` of the hub is kept.
        drops_acks: True loses every `ack` of the hub.
        accepted_s: Monotonic seconds of each connection.
    """

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.holds_up = self.holds_down = False
        self.up_bytes_s = 0.0
        self.ack_delay_s = 0.0
        self.drops_acks = False
        self.accepted_s: list[float] = []
        self.dropped_acks = 0
        self.heard_s = time.monotonic()
        self._trap: tuple[int, Callable[[], None]] | None = None
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._wait(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_READ_BYTES))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def silence_s(self) -> float:
        """Seconds since anything came from an agent."""
        return time.monotonic() - self.heard_s

    def reset_all(self) -> None:
        """Reset every connection at both ends."""
        self._wait(self._reset_all())

    def after_bytes_up(self, count: int, then: Callable[[], None]) -> None:
        """Call `then` once, on the proxy's thread, when exactly so many more bytes have gone to the hub."""
        self._trap = (count, then)

    def spring(self, data: bytes) -> tuple[bytes, Callable[[], None] | None]:
        """What of the data still goes before the trap, and the trap when it is its turn."""
        if self._trap is None:
            return data, None
        left, then = self._trap
        if len(data) < left:
            self._trap = (left - len(data), then)
            return data, None
        self._trap = None
        return data[:left], then

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted_s.append(time.monotonic())
        try:
            upstream_reader, upstream = await asyncio.open_connection(
                "127.0.0.1", self.upstream_port, limit=_READ_BYTES
            )
        except OSError:
            _reset(writer)
            return
        pair = _Pair(self, reader, writer, upstream_reader, upstream)
        self._pairs.add(pair)
        try:
            await pair.run()
        finally:
            self._pairs.discard(pair)

    async def _reset_all(self) -> None:
        for pair in list(self._pairs):
            pair.reset()

    async def _end(self) -> None:
        self._server.close()
        self.holds_up = self.holds_down = False
        await self._reset_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Pair:
    """One connection of an agent and the one to the hub that it stands for."""

    def __init__(
        self,
        proxy: FaultProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._upstream_reader, self._upstream = upstream_reader, upstream

    def reset(self) -> None:
        _reset(self._writer)
        _reset(self._upstream)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._up())
                tasks.create_task(self._down(tasks))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.reset()

    async def _up(self) -> None:
        proxy = self._proxy
        while data := await self._reader.read(_READ_BYTES if not proxy.up_bytes_s else 256):
            proxy.heard_s = time.monotonic()
            while proxy.holds_up:
                await asyncio.sleep(_LOOK_S)
            data, trap = proxy.spring(data)
            self._upstream.write(data)
            await self._upstream.drain()
            if trap is not None:
                trap()
                raise ConnectionResetError
            if proxy.up_bytes_s:
                await asyncio.sleep(len(data) / proxy.up_bytes_s)
        raise ConnectionResetError

    async def _down(self, tasks: asyncio.TaskGroup) -> None:
        head = await self._upstream_reader.readuntil(b"\r\n\r\n")
        await self._pass_on(head)
        kept = bytearray()
        while data := await self._upstream_reader.read(_READ_BYTES):
            kept += data
            for frame in frames_of(kept):
                if b"\xa3ack" in frame and self._proxy.ack_delay_s:
                    tasks.create_task(self._pass_on_later(frame))
                else:
                    await self._pass_on(frame)
        raise ConnectionResetError

    async def _pass_on_later(self, frame: bytes) -> None:
        await asyncio.sleep(self._proxy.ack_delay_s)
        await self._pass_on(frame)

    async def _pass_on(self, frame: bytes) -> None:
        proxy = self._proxy
        if b"\xa3ack" in frame and proxy.drops_acks:
            proxy.dropped_acks += 1
            return
        while proxy.holds_down:
            await asyncio.sleep(_LOOK_S)
        self._writer.write(frame)
        await self._writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end sees a reset, and not an orderly end."""
    link = writer.get_extra_info("socket")
    if link is not None and link.fileno() >= 0:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
