"""The hub's front door: every HTTP request and handshake is judged here before anything else sees it."""

from __future__ import annotations

import logging
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request, Response

from agent.contracts import Logger
from agent.dashboard import CONTENT_SECURITY_POLICY
from agent.hub.access import Access, is_same_origin
from agent.hub.counters import HubCounters
from agent.hub.http_api import Answer, HttpApi, parse_target
from agent.hub.ingest import peer_text

__all__ = ["INGEST_PATH", "LIVE_PATH", "Gate", "HandshakeLog"]

INGEST_PATH = "/api/v1/ingest"
LIVE_PATH = "/api/v1/live"

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
    """

    def __init__(self, access: Access, api: HttpApi, counters: HubCounters, log: Logger) -> None:
        self.is_closing = False
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
        if path == INGEST_PATH:
            return self._judge_agent(connection, headers)
        if not self._api.is_public(path) and not self._may_read(connection, headers, path, query):
            return self._refuse(connection, 401, "a read token is needed")
        if path == LIVE_PATH:
            return None if is_same_origin(headers) else self._refuse(connection, 403, "a page of another site")
        answer = await self._api.answer(path, query)
        self._counters.requests[answer.status] += 1
        return _response(answer)

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
        return _response(Answer(status, f'{{"error":"{reason}"}}\n'.encode()))


class HandshakeLog(logging.Handler):
    """Turns the server library's own complaints into one line of ours each; its chatter goes nowhere."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log the error's text, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.warning("connection.failed", reason=record.getMessage(), error=str(error or "")[:200])


def _response(answer: Answer) -> Response:
    headers = Headers(
        [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
            *_SECURITY_HEADERS,
        ]
    )
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="rebellion"'
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)
