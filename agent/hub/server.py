"""The hub's shell: one port for agents, pages and queries; start, run, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from asyncio import sslproto
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.server import Server, ServerConnection, serve

from agent.clock import Clock
from agent.config.schema import HubSection
from agent.contracts import Logger
from agent.dashboard.answers import parse_target
from agent.dashboard.door import LIVE_PATH, connection_class, library_logger
from agent.hub.access import Access, ListenAddress, tls_context
from agent.hub.counters import HubCounters
from agent.hub.fleet import Fleet
from agent.hub.gate import Gate
from agent.hub.greetings import Greetings
from agent.hub.http_api import HttpApi
from agent.hub.ingest import Ingest
from agent.hub.live import Live
from agent.hub.metrics import hub_metrics
from agent.hub.state_folder import StateFolder
from agent.hub.store import Limits, Store, StoreError, Upkept
from agent.hub.token_watch import TokenWatch
from agent.hub.writer import Writer
from agent.protocol.close_codes import CloseCode

__all__ = ["Hub"]

_DRAIN_WITHIN_S = 5.0
_HANDSHAKE_WITHIN_S = 10.0
_CLOSE_WITHIN_S = 2.0
_PING_EVERY_S = 10.0
_UPKEEP_EVERY_S = 60.0
_BACKLOG = 1024
"""Of a thousand agents 200 a second come back; where the kernel has no room for one, its attempt is a second late."""
_TLS_READ_BYTES = 32_768
"""asyncio holds so much for each connection; its own 256 KiB are for downloads, not for a fleet that idles."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one run of the hub is made of."""

    writer: Writer
    fleet: Fleet
    live: Live
    gate: Gate
    ingest: Ingest

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one WebSocket connection to its end."""
        if connection.request is not None and parse_target(connection.request.path)[0] == LIVE_PATH:
            await self.live.pages.serve(connection)
        else:
            await self.ingest.serve(connection, self.gate.identity(connection))


class Hub:
    """Takes what agents send, stores it, and shows it.

    Args:
        config: See `HubSection`; `state_dir` must name a folder.
        clock: Source of time.
        log: Where lines go.

    Raises:
        ConfigError: A token or certificate file cannot be used, or the address needs protection that is not configured.
    """

    def __init__(self, config: HubSection, *, clock: Clock, log: Logger) -> None:
        self._config = config
        self._clock = clock
        self._log = log
        self._access = Access(config)
        self._tls = tls_context(config)
        self._counters = HubCounters()

    async def run(self, stop: asyncio.Event, on_ready: Callable[[str], None] | None = None) -> None:
        """Serve until `stop` is set, then drain: what was received is stored and acknowledged before the port closes.

        Args:
            on_ready: Told the page's address (`http://127.0.0.1:8765/`) once the port takes connections.

        Raises:
            ConfigError: The state folder cannot be written.
            StoreError: The store is damaged, newer than this program, or another hub's.
            OSError: The port cannot be listened on; the text says which and why.
        """
        with (
            StateFolder(Path(self._config.state_dir)) as folder,
            contextlib.closing(folder.open_store()) as store,
            contextlib.closing(folder.open_reader(self._note_unreadable)) as reader,
            ThreadPoolExecutor(1, "hub-write") as writing,
            ThreadPoolExecutor(1, "hub-read") as reading,
        ):
            writer = Writer(store, writing, clock=self._clock, log=self._log)
            fleet = Fleet(reader.agents(), reader.latest(), max_agents=self._config.max_agents)
            greetings = Greetings(self._clock)
            live = Live(fleet, self._counters)
            api = HttpApi(
                fleet,
                reader,
                reading,
                clock=self._clock,
                metrics=lambda: hub_metrics(self._counters, fleet, writer, len(live.pages)),
                is_healthy=lambda: writer.is_healthy,
            )
            gate = Gate(self._access, api, greetings, self._counters, clock=self._clock, log=self._log)
            await self._serve(
                stop, on_ready, _Parts(writer, fleet, live, gate, self._ingest(writer, fleet, greetings, live))
            )

    def _ingest(self, writer: Writer, fleet: Fleet, greetings: Greetings, live: Live) -> Ingest:
        return Ingest(
            self._config,
            fleet,
            writer,
            greetings,
            self._counters,
            self._clock,
            self._log,
            on_stored=live.note_stored,
            on_change=live.note_change,
        )

    async def _serve(self, stop: asyncio.Event, on_ready: Callable[[str], None] | None, parts: _Parts) -> None:
        server = await self._listen(parts)
        tokens = TokenWatch(self._access, parts.gate, lambda: server.connections, self._log)
        async with asyncio.TaskGroup() as tasks:
            keepers = [
                tasks.create_task(parts.writer.run(), name="hub:write"),
                tasks.create_task(parts.live.pages.run(), name="hub:agents"),
                tasks.create_task(self._keep_up(parts.writer), name="hub:upkeep"),
                tasks.create_task(tokens.run(), name="hub:tokens"),
            ]
            try:
                address = self._address(server)
                self._log.info("hub.started", address=address, agents=len(parts.fleet))
                if on_ready is not None:
                    on_ready(address)
                await stop.wait()
                await self._drain(server, parts)
            finally:
                server.close()
                await server.wait_closed()
                for keeper in keepers:
                    keeper.cancel()
        self._log.info("hub.stopped")

    async def _listen(self, parts: _Parts) -> Server:
        listen = self._access.listen
        sslproto.SSLProtocol.max_size = _TLS_READ_BYTES
        try:
            return await serve(
                parts.handle,
                listen.host,
                listen.port,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_WITHIN_S if self._tls is not None else None,
                process_request=parts.gate,
                select_subprotocol=parts.gate.choose_subprotocol,
                compression=None,
                server_header=None,
                open_timeout=_HANDSHAKE_WITHIN_S,
                ping_interval=_PING_EVERY_S,
                ping_timeout=_PING_EVERY_S,
                close_timeout=_CLOSE_WITHIN_S,
                backlog=_BACKLOG,
                max_size=self._config.max_frame_bytes,
                logger=library_logger("rebellion.hub", self._log),
                create_connection=connection_class(self._log),
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(f"hub.listen: cannot listen on {listen}: {reason}; choose another address or port") from None

    def _address(self, server: Server) -> str:
        port = server.sockets[0].getsockname()[1]
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{ListenAddress(self._access.listen.host, port)}/"

    async def _drain(self, server: Server, parts: _Parts) -> None:
        """Take nothing more, store and acknowledge what is here, say so, and close."""
        parts.gate.is_closing = True
        parts.writer.stop_taking()
        links = [agent.link for agent in parts.fleet if agent.link is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_WITHIN_S):
                await parts.writer.drained()
                for link in links:
                    await link.say_restarting()
        for link in links:
            link.kick(CloseCode.RESTARTING, "the hub restarts")
        async with asyncio.TaskGroup() as closing:
            for connection in server.connections:
                closing.create_task(connection.close(CloseCode.RESTARTING, "the hub restarts"), name="hub:close")

    async def _keep_up(self, writer: Writer) -> None:
        """Look after the store once a minute, in steps short enough that no agent waits for them."""
        config = self._config
        limits = Limits(config.retention_s, config.rollup_retention_s, config.retention_bytes)
        while True:
            try:
                steps = await writer.submit_alone(lambda store: store.upkeep(self._clock.wall_ns(), limits))
                while done := await writer.submit_alone(functools.partial(_next, steps)):
                    self._note(done)
            except StoreError as error:
                self._log.warning("store.upkeep_failed", error=str(error))
            await asyncio.sleep(_UPKEEP_EVERY_S)

    def _note_unreadable(self, text: str) -> None:
        self._log.error("store.unreadable", what=text)

    def _note(self, done: Upkept) -> None:
        self._counters.expired += done.expired
        self._counters.folded += done.folded
        for text in done.damaged:
            self._log.error("store.damaged", what=text)


def _next(steps: Iterator[Upkept], _: Store) -> Upkept | None:
    return next(steps, None)
