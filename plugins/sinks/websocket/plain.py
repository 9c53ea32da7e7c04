"""The sink for other people's endpoints: one JSON object a record, and nobody to say that it arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from websockets.asyncio.client import ClientConnection

from agent.api import Level, PermanentDelivery, Record, SinkContext
from agent.protocol.plain import plain_json
from plugins.sinks.websocket.connection import CONNECTION_ERRORS, Connector

__all__ = ["PlainSink"]

_GOODBYE_WITHIN_S = 2.0


class PlainSink:
    """`Sink` that counts a record as delivered once it is written to the connection."""

    def __init__(self, connector: Connector, context: SinkContext) -> None:
        self._connector = connector
        self._context = context
        self._socket: ClientConnection | None = None
        context.log.warning("sink.unacknowledged", sink=context.name, protocol="plain")

    async def deliver(self, records: Sequence[Record], first_seq: int, /) -> None:
        """See `Sink.deliver`; here "safe at the other end" cannot be known."""
        try:
            if self._socket is None:
                self._socket = await self._connector.open(())
                self._connector.opened()
            await _forget_answers(self._socket)
            for record in records:
                await self._socket.send(self._text(record))
        except CONNECTION_ERRORS as error:
            self._drop()
            raise self._connector.failed(error) from error
        except asyncio.CancelledError:
            self._drop()
            raise

    async def close(self) -> None:
        """See `Sink.close`."""
        socket, self._socket = self._socket, None
        if socket is not None:
            try:
                async with asyncio.timeout(_GOODBYE_WITHIN_S):
                    await socket.close()
            except TimeoutError:
                socket.transport.abort()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()
            self._context.emit("link.closed", Level.WARNING)
        self._socket = None

    def _text(self, record: Record) -> str:
        try:
            return plain_json(record, self._context.agent, self._context.definition).decode()
        except (UnicodeError, OverflowError) as error:
            raise PermanentDelivery(f"a record that JSON cannot carry: {error}") from error


async def _forget_answers(socket: ClientConnection) -> None:
    """Read away what the endpoint said, so that it can neither pile up nor hold back the pongs."""
    try:
        async with asyncio.timeout(0):
            while True:
                await socket.recv()
    except TimeoutError:
        return
