"""The sink for hubs: a shell round `AgentSession`. A delivery is done when the hub has said that it is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

import agent
from agent.api import Level, PermanentDelivery, ProtocolError, Record, RetryableDelivery, SinkContext
from agent.protocol.agent_session import AgentSession
from agent.protocol.close_codes import CloseCode
from agent.protocol.codec import SUBPROTOCOLS, Codec, Encoding, offered_subprotocols
from agent.protocol.messages import BatchMessage, RecordMessage
from agent.protocol.records import definition_message, record_message
from agent.protocol.session import SessionState
from plugins.sinks.websocket.connection import CONNECTION_ERRORS, Connector

if TYPE_CHECKING:
    from plugins.sinks.websocket import Config

__all__ = ["RebellionSink"]

_GOODBYE_WITHIN_S = 2.0
_REFUSES_RECORDS = frozenset({CloseCode.NOT_DECODABLE, CloseCode.TOO_BIG, CloseCode.UNKNOWN_MESSAGE})


class _Link:
    """One connection and its session."""

    def __init__(self, socket: ClientConnection, session: AgentSession, epoch: str) -> None:
        self.socket = socket
        self.session = session
        self.epoch = epoch

    @property
    def is_open(self) -> bool:
        return self.socket.state is State.OPEN and self.session.state is SessionState.STREAMING

    async def receive(self) -> None:
        """Take one frame of the hub."""
        self.session.receive(await self.socket.recv())

    def abort(self) -> None:
        """Let go at once; what was in flight is decided by the next `welcome`."""
        self.socket.transport.abort()


class RebellionSink:
    """`Sink` that speaks `rebellion.v1`.

    Connects when first used, keeps the connection, and after a loss goes on after the newest record that the hub has.
    """

    def __init__(self, config: Config, connector: Connector, context: SinkContext) -> None:
        self._config = config
        self._connector = connector
        self._context = context
        self._encoding = Encoding(config.encoding)
        self._link: _Link | None = None
        self._refused_seq = 0

    async def deliver(self, records: Sequence[Record], first_seq: int, /) -> None:
        """See `Sink.deliver`. A second refusal of the same records by the hub is taken as final."""
        await self._deliver(self._context.epoch, records, first_seq)

    async def deliver_earlier(self, epoch: str, records: Sequence[Record], first_seq: int, /) -> None:
        """See `EpochSink.deliver_earlier`: the records go over a connection that says it is the earlier run."""
        await self._deliver(epoch, records, first_seq)

    async def _deliver(self, epoch: str, records: Sequence[Record], first_seq: int) -> None:
        if self._link is not None and self._link.epoch != epoch:
            await self.close()
        link = await self._usable_link(epoch, first_seq)
        try:
            await self._ship(link, records, first_seq)
        except ConnectionClosed as error:
            raise self._lost(link, error, first_seq) from error
        except ProtocolError as error:
            raise await self._given_up(link, error) from error
        except asyncio.CancelledError:
            self._drop(link)
            raise

    async def close(self) -> None:
        """See `Sink.close`."""
        link, self._link = self._link, None
        if link is None:
            return
        try:
            async with asyncio.timeout(_GOODBYE_WITHIN_S):
                if link.is_open:
                    await link.socket.send(link.session.say_bye("the agent stops"))
                await link.socket.close()
        except (TimeoutError, ConnectionClosed):
            link.abort()

    async def _usable_link(self, epoch: str, first_seq: int) -> _Link:
        link = self._link
        if link is not None and not link.is_open:
            raise self._lost(link, await _why_closed(link), first_seq)
        if link is not None and _leaves_a_nack_open(link.session, first_seq):
            self._drop(link)
            link = None
        if link is None:
            link = self._link = await self._connect(epoch, first_seq)
        return link

    async def _connect(self, epoch: str, first_seq: int) -> _Link:
        try:
            socket = await self._connector.open(offered_subprotocols(self._encoding))
        except CONNECTION_ERRORS as error:
            raise self._connector.failed(error) from error
        link = _Link(socket, self._new_session(socket, epoch), epoch)
        try:
            async with asyncio.timeout(self._connector.timeout_s):
                await socket.send(link.session.hello(first_seq))
                while link.session.state is SessionState.GREETING:
                    await link.receive()
        except (TimeoutError, ConnectionClosed, ProtocolError) as error:
            link.abort()
            raise self._connector.failed(error) from error
        except asyncio.CancelledError:
            link.abort()
            raise
        self._connector.opened(last_seq=link.session.acked_seq, version=link.session.version)
        return link

    def _new_session(self, socket: ClientConnection, epoch: str) -> AgentSession:
        encoding = SUBPROTOCOLS.get(str(socket.subprotocol), self._encoding)
        return AgentSession(
            Codec(encoding, compress=self._config.compress),
            agent=self._context.agent,
            epoch=epoch,
            agent_version=agent.__version__,
            labels=self._context.labels,
        )

    async def _ship(self, link: _Link, records: Sequence[Record], first_seq: int) -> None:
        session = link.session
        last_seq = first_seq + len(records) - 1
        seq = max(first_seq, session.sent_seq + 1)
        while session.acked_seq < last_seq:
            while seq <= last_seq and session.has_room:
                await self._send(link, record_message(records[seq - first_seq], seq))
                seq += 1
            await link.receive()
            if session.nack is not None:
                raise RetryableDelivery(f"nack: {session.nack.reason}", retry_after_s=session.nack.retry_after_s)

    async def _send(self, link: _Link, message: RecordMessage) -> None:
        session = link.session
        if isinstance(message, BatchMessage):
            missing = session.undefined(message)
            definitions = [definition_message(one, self._context.definition(one)) for one in missing]
            for frame in session.define(definitions):
                await link.socket.send(frame)
        try:
            frame = session.send(message)
        except ProtocolError as error:
            raise PermanentDelivery(f"record {message.seq} is larger than the hub takes: {error}") from error
        await link.socket.send(frame)

    def _lost(self, link: _Link, error: ConnectionClosed, first_seq: int) -> RetryableDelivery | PermanentDelivery:
        self._drop(link)
        bye = link.session.bye
        failure = self._connector.failed(error, retry_after_s=bye.retry_after_s if bye is not None else 0.0)
        self._context.emit("link.closed", Level.WARNING, reason=str(failure))
        if error.rcvd is None or error.rcvd.code not in _REFUSES_RECORDS:
            return failure
        if self._refused_seq == first_seq:
            return PermanentDelivery(str(failure))
        self._refused_seq = first_seq
        return failure

    async def _given_up(self, link: _Link, error: ProtocolError) -> RetryableDelivery:
        """The hub broke the protocol: say so and start over."""
        self._link = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_WITHIN_S):
                await link.socket.close(error.close_code, str(error).encode()[:120].decode("utf-8", "ignore"))
        self._context.emit("link.closed", Level.WARNING, reason=str(error))
        return self._connector.failed(error)

    def _drop(self, link: _Link) -> None:
        link.abort()
        self._link = None


def _leaves_a_nack_open(session: AgentSession, first_seq: int) -> bool:
    """True when the hub waits for a record that is not among those that come: it would take none of these."""
    return session.nack is not None and first_seq > session.nack.seq


async def _why_closed(link: _Link) -> ConnectionClosed:
    """What ended a connection while nobody looked; reads what the hub had still said."""
    try:
        async with asyncio.timeout(_GOODBYE_WITHIN_S):
            while True:
                await link.receive()
    except ConnectionClosed as error:
        return error
    except (TimeoutError, ProtocolError):
        return ConnectionClosed(None, None)
