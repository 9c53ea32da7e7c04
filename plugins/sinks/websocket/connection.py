"""Opening connections: address, token, TLS, and when the next attempt may come."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

import agent
from agent.api import ConfigError, ConfigProblem, Level, RetryableDelivery, SinkContext, Unreachable
from agent.protocol.codec import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from plugins.sinks.websocket import Config

__all__ = ["CONNECTION_ERRORS", "Connector"]

CONNECTION_ERRORS = (OSError, ConnectionClosed, InvalidHandshake)

_HUB_PATH = "/api/v1/ingest"
_CLOSE_WITHIN_S = 0.5
_TIMER_SLACK_S = 0.005
_MAX_RETRY_AFTER_S = 86_400.0
_WAIT_LONG = frozenset({401, 403, 404, 1013, 4401, 4403, 4409, 4426})


class _ConnectHere(connect):
    """A connection to the address that is configured: whoever answers there cannot send token and metrics elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connector:
    """Opens one connection after the other and paces the attempts.

    The first attempt is immediate. After a lost connection the next one comes at a random moment within `reconnect_max_s` (full
    jitter), and from there on once in every `reconnect_max_s`: what ended one agent's connection may have ended a whole fleet's,
    and whenever the hub comes back, its agents are spread evenly over that time. Until there was a connection, the time doubles
    with each failure up to `reconnect_max_s`. Every wait is longer by what the other end asked for. It never sleeps itself: it
    says in the error how long to wait.
    """

    def __init__(self, config: Config, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self._url = _full_url(config)
        self._token_path = _token_path(config, context.name)
        self._tls = _tls(config, context.name)
        self._failures = 0
        self._was_open = False
        self._has_place = False
        self._not_before_s = 0.0
        self._logger = logging.getLogger("rebellion.sink.websocket")
        self._logger.propagate = False
        self._logger.setLevel(logging.CRITICAL)

    @property
    def timeout_s(self) -> float:
        return self._config.connect_timeout_s

    async def open(self, offered: Sequence[str]) -> ClientConnection:
        """A new connection.

        Args:
            offered: Subprotocols, the best first; the other end must choose one of them. Empty = none is asked for.

        Raises:
            RetryableDelivery: It is too early for another attempt.
            OSError, InvalidHandshake: It could not be opened; tell `failed`.
        """
        wait_s = self._not_before_s - self._context.clock.monotonic_s()
        if wait_s > _TIMER_SLACK_S:
            raise RetryableDelivery(f"{self._url}: next attempt in {wait_s:.1f} s", retry_after_s=wait_s)
        return await _ConnectHere(
            self._url,
            subprotocols=[Subprotocol(name) for name in offered] or None,
            additional_headers=await self._authorization(),
            user_agent_header=f"rebellion-agent/{agent.__version__}",
            compression=None,
            proxy=None,
            ssl=self._tls,
            open_timeout=self._config.connect_timeout_s,
            ping_interval=self._config.ping_s,
            ping_timeout=self._config.ping_timeout_s,
            close_timeout=_CLOSE_WITHIN_S,
            max_size=MAX_FRAME_BYTES,
            logger=self._logger,
        )

    def opened(self, **facts: int) -> None:
        """Report that a connection is of use."""
        self._was_open = True
        self._has_place = False
        self._context.emit("link.opened", Level.INFO, url=self._url, **facts)

    def failed(self, error: BaseException, *, retry_after_s: float = 0.0) -> Unreachable:
        """Pace the next attempt, and make the error that says so.

        Args:
            retry_after_s: What the other end asked for on the connection, seconds; a refused handshake says it itself.
        """
        self._failures += 1
        wait_s = (retry_after_s or _asked_s(error)) + self._next_wait_s(
            is_longest=self._was_open or _code(error) in _WAIT_LONG
        )
        self._not_before_s = self._context.clock.monotonic_s() + wait_s
        return Unreachable(f"{self._url}: {_reason(error)}", retry_after_s=wait_s)

    def _next_wait_s(self, *, is_longest: bool) -> float:
        """A place drawn anew in every period would let agents gather: see "Reconnecting" in docs/protocol.md."""
        longest_s = self._config.reconnect_max_s
        if self._has_place:
            return longest_s
        exponent = min(self._failures - 1, 30)
        ceiling_s = longest_s if is_longest else min(longest_s, self._config.reconnect_s * 2.0**exponent)
        self._has_place = ceiling_s == longest_s
        return self._context.rng.uniform(0.0, ceiling_s)

    async def _authorization(self) -> dict[str, str]:
        """The token is read anew for each connection, so that it can be changed without a restart."""
        if self._token_path is None:
            return {}
        token = await self._context.run_blocking(_read_token, self._token_path, self._context.name)
        return {"Authorization": f"Bearer {token}"}


def _full_url(config: Config) -> str:
    parts = urlsplit(config.url)
    if config.protocol == "rebellion" and parts.path in {"", "/"}:
        parts = parts._replace(path=_HUB_PATH)
    return parts.geturl()


def _token_path(config: Config, name: str) -> Path | None:
    if not config.token_file:
        return None
    path = Path(config.token_file)
    _read_token(path, name)
    return path


def _read_token(path: Path, name: str) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not plain ASCII"
        raise _problem(name, "token_file", f"{path}: {reason}", "the file holds the token and nothing else") from None
    if not token or not token.isprintable() or " " in token:
        raise _problem(
            name, "token_file", f"{path}: does not hold one token", "the file holds the token and nothing else"
        )
    return token


def _tls(config: Config, name: str) -> ssl.SSLContext | None:
    if not config.url.startswith("wss:"):
        return None
    try:
        context = ssl.create_default_context(cafile=config.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise _problem(name, "ca_file", f"{config.ca_file}: cannot be used: {error}", "a PEM file is needed") from None
    if config.tls_cert_file:
        _show_certificate(context, config, name)
    return context


def _show_certificate(context: ssl.SSLContext, config: Config, name: str) -> None:
    """A key under a passphrase is refused instead of asked for: nobody sits there to type it."""

    def refuse() -> str:
        raise ssl.SSLError("the key needs a passphrase")

    try:
        context.load_cert_chain(config.tls_cert_file, config.tls_key_file or None, refuse)
    except (OSError, ssl.SSLError) as error:
        message = f"{config.tls_cert_file}: cannot be used: {error}"
        raise _problem(
            name, "tls_cert_file", message, "a PEM chain and its key without a passphrase are needed"
        ) from None


def _problem(name: str, key: str, message: str, hint: str) -> ConfigError:
    return ConfigError([ConfigProblem(f"sinks.{name}", key, message, hint)])


def _code(error: BaseException) -> int:
    """Close code or HTTP status; 0 when there is neither."""
    if isinstance(error, InvalidStatus):
        return error.response.status_code
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return error.rcvd.code
    return 0


def _asked_s(error: BaseException) -> float:
    """Seconds to wait by the `Retry-After` of a refused handshake; 0 when it does not ask for any, or for a date."""
    asked = error.response.headers.get_all("Retry-After") if isinstance(error, InvalidStatus) else []
    return min(float(asked[0]), _MAX_RETRY_AFTER_S) if len(asked) == 1 and asked[0].isdecimal() else 0.0


def _reason(error: BaseException) -> str:
    if isinstance(error, InvalidStatus):
        return f"refused with HTTP {error.response.status_code}" + (
            "; is the token the right one?" if error.response.status_code == 401 else ""
        )
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return f"closed by the other end: {error.rcvd.code} {error.rcvd.reason}".rstrip()
    if isinstance(error, ConnectionClosed):
        return error.sent.reason if error.sent is not None and error.sent.reason else "connection lost"
    text = str(error) or type(error).__name__
    return f"{text}: {error.__cause__}" if isinstance(error, InvalidHandshake) and error.__cause__ else text
