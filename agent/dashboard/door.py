"""How a port that serves the page judges requests and words its answers: same origin, security headers, one line a mishap."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response

from agent.contracts import Logger
from agent.dashboard import CONTENT_SECURITY_POLICY
from agent.dashboard.answers import Answer

__all__ = [
    "LIVE_PATH",
    "connection_class",
    "handshake_problem",
    "host_name",
    "is_same_origin",
    "library_logger",
    "peer_text",
    "response",
]

LIVE_PATH = "/api/v1/live"

_SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """True when the request comes from a page of this port, or from no page at all. Header names in lower case."""
    if "origin" not in headers:
        return True
    site = urlsplit(headers["origin"]).netloc
    return bool(site) and site == headers.get("host")


def host_name(host_header: str) -> str:
    """The name in a `Host` header, without its port; "" when there is none."""
    return (urlsplit(f"//{host_header}").hostname or "") if host_header else ""


def handshake_problem(headers: Mapping[str, str], subprotocols: Collection[str]) -> tuple[int, str] | None:
    """HTTP status and reason that refuse a request as a WebSocket handshake; None when it is one. Header names in lower case."""
    if "upgrade" not in headers:
        return 426, "a WebSocket is needed"
    offered = {name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")}
    if offered.isdisjoint(subprotocols):
        return 400, f"subprotocol must be one of {', '.join(subprotocols)}"
    return None


def response(answer: Answer, wall_ns: int) -> Response:
    """The answer with its headers; `wall_ns`, UTC nanoseconds, lets a page read times by this end's clock."""
    from email.utils import formatdate

    headers = Headers(
        [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
            ("Date", formatdate(wall_ns / 1e9, usegmt=True)),
            *_SECURITY_HEADERS,
        ]
    )
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="rebellion"'
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)


def peer_text(connection: ServerConnection) -> str:
    """Address and port of the other end, for logs."""
    address = connection.remote_address
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)


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


def library_logger(name: str, log: Logger) -> logging.Logger:
    """A logger for the server library, outside the process-wide tree, so that no other port's lines go through it."""
    logger = logging.Logger(name, logging.ERROR)
    logger.addHandler(_LibraryLog(log))
    return logger


class _LibraryLog(logging.Handler):
    """Turns the server library's errors into one line of ours each; its chatter goes nowhere."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log the error's text, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.error("connection.failed", reason=record.getMessage(), error=f"{type(error).__name__}: {error}"[:200])
