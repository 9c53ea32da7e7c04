"""An agent's connection at the hub, from `hello` to its end. What the protocol allows is `HubSession`'s to decide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from agent.clock import Clock
from agent.config.schema import HubSection
from agent.contracts import Logger
from agent.dashboard.door import peer_text
from agent.errors import ProtocolError
from agent.hub.counters import HubCounters
from agent.hub.fleet import Fleet, FleetAgent
from agent.hub.greetings import Greetings
from agent.hub.identity import Identity
from agent.hub.inbox import Inbox
from agent.hub.quota import AgentQuota, PointAllowance, SeriesQuota
from agent.hub.records import Registration, Write
from agent.hub.store import StoreError
from agent.hub.writer import Writer
from agent.protocol.close_codes import CloseCode
from agent.protocol.codec import SUBPROTOCOLS, Codec, Frame
from agent.protocol.hub_session import HubSession
from agent.protocol.messages import BatchMessage, EventMessage, GapMessage, Hello, SeriesMessage
from agent.protocol.session import SessionState

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

__all__ = ["Ending", "Ingest", "IngestLink"]

HELLO_WITHIN_S = 5.0
IDENTITY_PROBE_S = 2.0
RESTART_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended; `is_refusal` when we ended it because of what the other end did."""

    code: int
    reason: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Ingest:
    """What all agents' connections share.

    Attributes:
        on_stored: Told of each new record, after it is durable.
        on_change: Told when an agent came or went.
        quotas: What each agent may use, by name; they outlive its connections.
    """

    config: HubSection
    fleet: Fleet
    writer: Writer
    greetings: Greetings
    counters: HubCounters
    clock: Clock
    log: Logger
    on_stored: Callable[[FleetAgent, Write], None]
    on_change: Callable[[FleetAgent], None]
    quotas: dict[str, AgentQuota] = field(default_factory=dict)

    def quota(self, agent: FleetAgent) -> AgentQuota:
        """What that agent, which the fleet has admitted, may use."""
        if (known := self.quotas.get(agent.row.name)) is not None:
            return known
        series = SeriesQuota(self.config.max_series_per_agent, self.clock)
        made = self.quotas[agent.row.name] = AgentQuota(series, PointAllowance(self.config.max_points_hz, self.clock))
        return made

    async def serve(self, connection: ServerConnection, identity: Identity) -> None:
        """Handle one connection to its end.

        Args:
            identity: What the handshake has shown of who this is.
        """
        self.counters.connections += 1
        link = IngestLink(connection, self, identity)
        ending = await link.run()
        facts: dict[str, Any] = {"agent": link.agent_name, "peer": peer_text(connection)}
        facts |= {"code": int(ending.code), "reason": ending.reason}
        if ending.is_refusal:
            self.counters.refused[int(ending.code)] += 1
            self.log.warning("connection.refused", **facts)
        elif link.was_welcome:
            self.log.info("agent.disconnected", **facts)
        await connection.close(ending.code, _close_reason(ending.reason))


class IngestLink:
    """One connection; `AgentLink` for the fleet."""

    def __init__(self, connection: ServerConnection, ingest: Ingest, identity: Identity) -> None:
        self.agent_name = ""
        self.epoch = ""
        self.was_welcome = False
        self._connection = connection
        self._ingest = ingest
        self._identity = identity
        codec = Codec(SUBPROTOCOLS[str(connection.subprotocol)], max_frame_bytes=ingest.config.max_frame_bytes)
        self._session = HubSession(codec, max_series=ingest.config.max_series_per_agent)
        self._agent: FleetAgent | None = None
        self._inbox: Inbox | None = None
        self._reader: asyncio.Task[Ending] | None = None
        self._kicked: Ending | None = None

    async def run(self) -> Ending:
        """Serve until either end has enough."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._reader = tasks.create_task(self._serve(tasks), name="hub:read")
        finally:
            self._release()
        return self._kicked or self._reader.result()

    async def is_alive(self) -> bool:
        """See `AgentLink.is_alive`."""
        try:
            async with asyncio.timeout(IDENTITY_PROBE_S):
                await (await self._connection.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    def kick(self, code: int, reason: str) -> None:
        """See `AgentLink.kick`."""
        self._kicked = self._kicked or Ending(code, reason)
        if self._reader is not None:
            self._reader.cancel()

    async def say_restarting(self) -> None:
        """See `AgentLink.say_restarting`."""
        if self._inbox is None or self._session.state is not SessionState.STREAMING:
            return
        goodbye = self._session.say_bye("the hub restarts", retry_after_s=RESTART_RETRY_S)
        try:
            for frame in (*self._inbox.answers(), goodbye):
                await self._connection.send(frame)
        except ConnectionClosed:
            return

    async def _serve(self, tasks: asyncio.TaskGroup) -> Ending:
        answering: asyncio.Task[None] | None = None
        try:
            inbox = self._inbox = await self._greet()
            answering = tasks.create_task(self._answer(inbox), name="hub:ack")
            while self._session.state is SessionState.STREAMING:
                await self._take(await self._connection.recv(), inbox)
        except ProtocolError as error:
            return Ending(error.close_code, str(error), is_refusal=True)
        except StoreError as error:
            return Ending(CloseCode.TRY_LATER, str(error), is_refusal=True)
        except ConnectionClosed as closed:
            return _closed(closed)
        finally:
            if answering is not None:
                answering.cancel()
        return Ending(CloseCode.NORMAL, "bye")

    async def _take(self, frame: Frame, inbox: Inbox) -> None:
        counters = self._ingest.counters
        counters.frames += 1
        counters.frame_bytes += len(frame)
        message = self._session.receive(frame)
        if isinstance(message, SeriesMessage):
            await inbox.define(message)
        elif isinstance(message, BatchMessage | EventMessage | GapMessage):
            inbox.submit(message, len(frame))
            await inbox.room()

    async def _answer(self, inbox: Inbox) -> None:
        try:
            while True:
                await inbox.has_answers.wait()
                for frame in inbox.answers():
                    await self._connection.send(frame)
        except ConnectionClosed:
            return

    async def _greet(self) -> Inbox:
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                hello = self._session.receive(await self._connection.recv())
        except TimeoutError:
            raise ProtocolError(f"no hello within {HELLO_WITHIN_S:g} s", CloseCode.HELLO_TIMEOUT) from None
        if not isinstance(hello, Hello):
            raise ProtocolError("bye before hello", CloseCode.PROTOCOL)
        self.agent_name, self.epoch = hello.agent, hello.epoch
        return await self._welcome(hello, await self._claim(hello))

    async def _welcome(self, hello: Hello, agent: FleetAgent) -> Inbox:
        ingest, config = self._ingest, self._ingest.config
        registration = Registration(hello.agent, hello.epoch, hello.agent_version, hello.labels, ingest.clock.wall_ns())
        with ingest.greetings.waiting():
            registered = await ingest.writer.submit(lambda store: store.register(registration), owner=hello.agent)
        agent.begin(registration, registered)
        frame = self._session.welcome(
            registered.last_seq,
            window_batches=config.window_count,
            window_bytes=config.window_bytes,
            max_frame_bytes=config.max_frame_bytes,
            server_time_ns=ingest.clock.wall_ns(),
        )
        self.was_welcome = True
        ingest.log.info(
            "agent.connected", agent=hello.agent, peer=peer_text(self._connection), last_seq=registered.last_seq
        )
        ingest.on_change(agent)
        await self._connection.send(frame)
        return Inbox(
            self._session,
            agent,
            registered,
            ingest.writer,
            quota=ingest.quota(agent),
            window_count=config.window_count,
            window_bytes=config.window_bytes,
            clock=ingest.clock,
            counters=ingest.counters,
            on_stored=ingest.on_stored,
        )

    async def _claim(self, hello: Hello) -> FleetAgent:
        """Take the agent's place in the fleet, also from a dead or older connection that holds it."""
        if problem := self._identity.problem_with(hello.agent):
            raise ProtocolError(problem, CloseCode.WRONG_IDENTITY)
        agent = self._ingest.fleet.admit(hello.agent)
        if agent is None:
            raise ProtocolError(f"{self._ingest.config.max_agents} agents are known already", CloseCode.TRY_LATER)
        while (holder := agent.link) is not None:
            if holder.epoch != hello.epoch and await holder.is_alive():
                raise ProtocolError(f"another agent named {hello.agent!r} is connected", CloseCode.IDENTITY_IN_USE)
            if agent.link is holder:
                holder.kick(CloseCode.REPLACED, "the same agent opened a newer connection")
                agent.link = None
        agent.link = self
        self._agent = agent
        return agent

    def _release(self) -> None:
        if self._agent is not None and self._agent.link is self:
            self._agent.link = None
            self._ingest.on_change(self._agent)


def _closed(closed: ConnectionClosed) -> Ending:
    """Who closed, and why. The library itself refuses frames that are no WebSocket frames, too big or not UTF-8."""
    sent, received = closed.sent, closed.rcvd
    refusals = {CloseCode.PROTOCOL, CloseCode.NOT_DECODABLE, CloseCode.TOO_BIG}
    if sent is not None and not closed.rcvd_then_sent and sent.code in refusals:
        return Ending(sent.code, sent.reason or CloseCode(sent.code).name.lower(), is_refusal=True)
    if received is not None:
        return Ending(received.code, received.reason)
    return Ending(CloseCode.GOING_AWAY, sent.reason if sent is not None and sent.reason else "connection lost")


def _close_reason(reason: str) -> str:
    """A close frame has room for 123 bytes of reason."""
    return reason.encode()[:120].decode("utf-8", "ignore")
