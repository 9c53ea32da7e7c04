"""The hub's front door: every HTTP request and handshake is judged here before anything else sees it."""

from __future__ import annotations

import logging
from email.utils import formatdate
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request, Response

from agent.clock import Clock
from agent.contracts import Logger
from agent.dashboard import CONTENT_SECURITY_POLICY
from agent.hub.access import Access, is_same_origin
from agent.hub.counters import HubCounters
from agent.hub.http_api import Answer, HttpApi, parse_target
from agent.hub.ingest import peer_text
from agent.hub.live import LIVE_SUBPROTOCOL
from agent.protocol.codec import SUBPROTOCOLS

__all__ = ["INGEST_PATH", "LIVE_PATH", "Gate", "LibraryLog", "connection_class"]

INGEST_PATH = "/api/v1/ingest"
LIVE_PATH = "/api/v1/live"

_SUBPROTOCOLS = {INGEST_PATH: tuple(SUBPROTOCOLS), LIVE_PATH: (LIVE_SUBPROTOCOL,)}

_SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


class Gate:
    """`process_request` of the server.

    Args:
        access: Who may do what.
        api: Answers what is no WebSocket handshake.
        clock: Its wall clock is told in every answer, so that a page can read times by the hub's clock.
    """

    def __init__(self, access: Access, api: HttpApi, counters: HubCounters, clock: Clock, log: Logger) -> None:
        self.is_closing = False
        self._clock = clock
        self._access = access
        self._api = api
        self._counters = counters
        self._log = log

    async def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets a handshake through; anything else is the answer."""
        if self.is_closing:
            return self._refuse(connection, 503, "the hub is stopping")
        try:
            headers = {name.lower(): request.headers[name] for name in request.headers}
        except MultipleValuesError:
            return self._refuse(connection, 400, "a header stands there twice")
        path, query = parse_target(request.path)
        if path == INGEST_PATH or (path == "/" and headers.get("upgrade", "").lower() == "websocket"):
            return self._judge_agent(connection, headers)
        if not self._api.is_public(path) and not self._may_read(connection, headers, path, query):
            return self._refuse(connection, 401, "a read token is needed")
        if path == LIVE_PATH:
            return self._judge_page(connection, headers)
        answer = await self._api.answer(path, query)
        self._counters.requests[answer.status] += 1
        return self._response(answer)

    def token_agent(self, connection: ServerConnection) -> str | None:
        """The agent whose token let this connection in; None when no tokens are asked for."""
        if not self._access.asks_agents_for_tokens or connection.request is None:
            return None
        return self._access.agent_of(connection.request.headers.get("Authorization")) or ""

    def _judge_agent(self, connection: ServerConnection, headers: dict[str, str]) -> Response | None:
        if "origin" in headers:
            return self._refuse(connection, 403, "agents are no web pages")
        if self._access.asks_agents_for_tokens and not self._access.agent_of(headers.get("authorization")):
            return self._refuse(connection, 401, "no agent's token")
        return self._judge_subprotocol(connection, headers, INGEST_PATH)

    def _judge_page(self, connection: ServerConnection, headers: dict[str, str]) -> Response | None:
        if not is_same_origin(headers):
            return self._refuse(connection, 403, "a page of another site")
        return self._judge_subprotocol(connection, headers, LIVE_PATH)

    def _judge_subprotocol(self, connection: ServerConnection, headers: dict[str, str], path: str) -> Response | None:
        if "upgrade" not in headers:
            return self._refuse(connection, 426, "a WebSocket is needed")
        offered = {name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")}
        if offered.isdisjoint(_SUBPROTOCOLS[path]):
            return self._refuse(connection, 400, f"subprotocol must be one of {', '.join(_SUBPROTOCOLS[path])}")
        return None

    def _may_read(
        self, connection: ServerConnection, headers: dict[str, str], path: str, query: dict[str, str]
    ) -> bool:
        """Browsers cannot set a header on a WebSocket, so the live stream takes its token in the query too."""
        query_token = query.get("token", "") if path == LIVE_PATH else ""
        peer_host = str(connection.remote_address[0])
        return self._access.may_read(headers.get("authorization"), query_token, peer_host, headers.get("host", ""))

    def _refuse(self, connection: ServerConnection, status: int, reason: str) -> Response:
        self._counters.requests[status] += 1
        self._counters.refused[status] += 1
        self._log.warning("connection.refused", agent="", peer=peer_text(connection), code=status, reason=reason)
        return self._response(Answer(status, f'{{"error":"{reason}"}}\n'.encode()))

    def _response(self, answer: Answer) -> Response:
        headers = Headers(
            [
                ("Content-Type", answer.content_type),
                ("Content-Length", str(len(answer.body))),
                ("Connection", "close"),
                ("Date", formatdate(self._clock.wall_ns() / 1e9, usegmt=True)),
                *_SECURITY_HEADERS,
            ]
        )
        if answer.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="rebellion"'
        return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)


def connection_class(log: Logger) -> type[ServerConnection]:
    """A connection that says in one line when it ended before it became a request."""

    class LoggedConnection(ServerConnection):
        def connection_lost(self, exc: Exception | None) -> None:
            error = self.protocol.handshake_exc
            super().connection_lost(exc)
            hung_up = exc is not None or (error is not None and isinstance(error.__cause__, EOFError))
            if self.request is None and not hung_up:
                reason = str(error) if error is not None else "no request in time"
                log.warning("connection.refused", agent="", peer=peer_text(self), code=0, reason=reason)

    return LoggedConnection


class LibraryLog(logging.Handler):
    """Turns the server library's errors into one line of ours each; its chatter goes nowhere."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log the error's text, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.error("connection.failed", reason=record.getMessage(), error=f"{type(error).__name__}: {error}"[:200])
