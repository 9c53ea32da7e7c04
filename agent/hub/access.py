"""Who may listen where, send, and read: tokens, loopback and origins."""

from __future__ import annotations

import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

from agent.addresses import is_loopback, parse_listen
from agent.config.schema import HubSection
from agent.dashboard.door import host_name
from agent.errors import ConfigError, ConfigProblem
from agent.hub.tokens import TokenBook, digest_of, stored_digest

__all__ = ["Access", "ListenAddress", "tls_context"]


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the hub listens; port 0 = any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Access:
    """Answers "may they?" for one hub.

    Raises:
        ConfigError: A token file cannot be read, or the address needs protection that is not configured.
    """

    def __init__(self, config: HubSection) -> None:
        self.listen = _listen(config.listen)
        self._tokens = TokenBook(Path(config.agent_tokens_file)) if config.agent_tokens_file else None
        self._read_digest = _read_token(config.read_token_file)
        self.asks_agents_for_certificates = bool(config.tls_client_ca_file)
        self._require_protection(config)

    def agent_of(self, authorization: str | None) -> str | None:
        """The agent whose bearer token this is; None when it is nobody's."""
        return self._tokens.agent_of(_bearer(authorization)) if self._tokens is not None else None

    @property
    def asks_agents_for_tokens(self) -> bool:
        return self._tokens is not None

    @property
    def token_count(self) -> int:
        return len(self._tokens.entries) if self._tokens is not None else 0

    @property
    def agents_in_clear(self) -> list[str]:
        """Names of agents whose token itself stands in the file."""
        return sorted({one.agent for one in self._tokens.entries if not one.is_hashed} if self._tokens else ())

    def refresh(self) -> bool:
        """Take over what changed in the file of tokens; see `TokenBook.refresh`."""
        return self._tokens is not None and self._tokens.refresh()

    def may_read(self, authorization: str | None, query_token: str, peer_host: str, host_header: str) -> bool:
        """True for the read token; without one configured, true for loopback alone.

        Without a token the `Host` header must name loopback too, so that no web page of another site can read through a name
        that it points at 127.0.0.1.
        """
        if self._read_digest is None:
            return is_loopback(peer_host.removeprefix("::ffff:")) and is_loopback(host_name(host_header))
        return hmac.compare_digest(digest_of(query_token or _bearer(authorization)), self._read_digest)

    def _require_protection(self, config: HubSection) -> None:
        if self.listen.is_loopback:
            return
        if not config.tls_cert_file and not config.insecure:
            hint = "set hub.tls_cert_file and hub.tls_key_file, or hub.insecure = true to send everything in clear"
            raise _problem("listen", f"{self.listen} is not loopback and TLS is not configured", hint)
        if not config.agent_tokens_file and not config.tls_client_ca_file:
            hint = "make it with `rebellion hub token create AGENT`, or set hub.tls_client_ca_file"
            raise _problem("agent_tokens_file", f"must be set to listen on {self.listen}", hint)


def tls_context(config: HubSection) -> ssl.SSLContext | None:
    """The server's TLS settings; None when TLS is not configured.

    Raises:
        ConfigError: Certificate or key cannot be used.
    """
    if not config.tls_cert_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_cert_file, config.tls_key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise _problem("tls_cert_file", f"{config.tls_cert_file}: cannot be used: {error}") from None
    if config.tls_client_ca_file:
        _ask_for_certificates(context, config.tls_client_ca_file)
    return context


def _ask_for_certificates(context: ssl.SSLContext, path: str) -> None:
    """Optional for TLS, since browsers show none; the gate asks agents for one."""
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise _problem("tls_client_ca_file", f"{path}: cannot be used: {error}") from None
    context.verify_mode = ssl.CERT_OPTIONAL


def _listen(text: str) -> ListenAddress:
    try:
        return ListenAddress(*parse_listen(text))
    except ValueError as error:
        raise _problem("listen", str(error)) from None


def _read_token(path: str) -> bytes | None:
    if not path:
        return None
    words = _read(path, "read_token_file").split()
    digest = stored_digest(words[0]) if len(words) == 1 else None
    if digest is None:
        raise _problem(
            "read_token_file", f"{path}: does not hold one token", "the token and nothing else, or sha256:HEX"
        )
    return digest


def _read(path: str, key: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise _problem(key, f"{path}: cannot be read: {reason}") from None


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _problem(key: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([ConfigProblem("hub", key, message, hint)])
