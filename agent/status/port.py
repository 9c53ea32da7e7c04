"""The agent's own port on loopback: who may ask, who answers, and that a taken port is no reason to fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import MultipleValuesError
from websockets.typing import Subprotocol

from agent.addresses import is_loopback, parse_listen
from agent.dashboard.answers import Answer, json_answer, parse_target
from agent.dashboard.door import (
    LIVE_PATH,
    connection_class,
    handshake_problem,
    host_name,
    is_same_origin,
    library_logger,
    response,
)
from agent.dashboard.live_pages import LIVE_SUBPROTOCOL, LivePages
from agent.status.api import StatusApi, event_fields

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

    from agent.clock import Clock
    from agent.contracts import Logger
    from agent.model import Batch, Event

__all__ = ["StatusPort"]

MAX_PAGES = 10
_MAX_FRAME_BYTES = 4096
_HANDSHAKE_WITHIN_S = 10.0
_PING_EVERY_S = 10.0
_CLOSE_WITHIN_S = 0.5


class StatusPort:
    """Serves the page, queries and the live stream of one agent.

    Args:
        listen: `host:port` on loopback; port 0 = any free one.
        api: Answers.
        clock: Told in every answer.
        log: Says where it listens, or why it does not.
    """

    def __init__(self, listen: str, api: StatusApi, clock: Clock, log: Logger) -> None:
        self._listen = listen
        self._api = api
        self._clock = clock
        self._log = log
        self._pages = LivePages(api.agents, api.tick, self._count_skipped, max_pages=MAX_PAGES)
        self.skipped = 0

    async def run(self) -> None:
        """Serve until cancelled; returns at once, with one line in the log, when the port cannot be had."""
        try:
            server = await self._serve()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            self._log.warning(
                "status.unavailable",
                listen=self._listen,
                reason=reason,
                hint='set status.listen to another port, or to "" to go without',
            )
            return
        self._log.info("status.listening", address=self._address(server))
        try:
            await self._pages.run()
        finally:
            server.close()
            await server.wait_closed()

    def note_batch(self, batch: Batch) -> None:
        """Take a tick's points."""
        self._api.note_batch(batch)
        self._pages.note_change()
        self._pages.tell_tick(self._api.name, self._latest)

    def note_event(self, event: Event) -> None:
        """Take an event."""
        self._api.note_event(event)
        self._pages.tell_event(lambda: event_fields(self._api.name, event))

    def _latest(self) -> dict[str, Any]:
        return self._api.tick() or {}

    def _count_skipped(self) -> None:
        self.skipped += 1

    async def _serve(self) -> Server:
        host, port = parse_listen(self._listen)
        return await serve(
            self._pages.serve,
            host,
            port,
            process_request=self._judge,
            subprotocols=[Subprotocol(LIVE_SUBPROTOCOL)],
            compression=None,
            server_header=None,
            open_timeout=_HANDSHAKE_WITHIN_S,
            ping_interval=_PING_EVERY_S,
            ping_timeout=_PING_EVERY_S,
            close_timeout=_CLOSE_WITHIN_S,
            max_size=_MAX_FRAME_BYTES,
            logger=library_logger("rebellion.status", self._log),
            create_connection=connection_class(self._log),
        )

    async def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets a page's live stream through; anything else is the answer."""
        path, query = parse_target(request.path)
        try:
            headers = {name.lower(): request.headers[name] for name in request.headers}
        except MultipleValuesError:
            return self._response(json_answer({"error": "a header stands there twice"}, 400))
        if not is_loopback(host_name(headers.get("host", ""))):
            return self._response(json_answer({"error": "ask for it by its loopback address"}, 403))
        if path != LIVE_PATH:
            return self._response(await self._api.answer(path, query))
        if not is_same_origin(headers):
            return self._response(json_answer({"error": "a page of another site"}, 403))
        problem = handshake_problem(headers, [LIVE_SUBPROTOCOL])
        return self._response(json_answer({"error": problem[1]}, problem[0])) if problem is not None else None

    def _response(self, answer: Answer) -> Response:
        return response(answer, self._clock.wall_ns())

    def _address(self, server: Server) -> str:
        host, port = server.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
