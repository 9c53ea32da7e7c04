"""Who may listen where, send, and read: tokens, loopback and origins."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

from agent.config.listen import is_loopback, parse_listen
from agent.config.schema import HubSection
from agent.dashboard.door import host_name
from agent.errors import ConfigError, ConfigProblem

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
        self._agent_digests = _agent_tokens(config.agent_tokens_file)
        self._read_digest = _read_token(config.read_token_file)
        self._require_protection(config)

    def agent_of(self, authorization: str | None) -> str | None:
        """The agent whose bearer token this is; None when it is nobody's. Takes the same time for every wrong token."""
        digest = _digest(_bearer(authorization))
        found = None
        for agent, known in self._agent_digests:
            if hmac.compare_digest(digest, known):
                found = agent
        return found

    @property
    def asks_agents_for_tokens(self) -> bool:
        return bool(self._agent_digests)

    def may_read(self, authorization: str | None, query_token: str, peer_host: str, host_header: str) -> bool:
        """True for the read token; without one configured, true for loopback alone.

        Without a token the `Host` header must name loopback too, so that no web page of another site can read through a name
        that it points at 127.0.0.1.
        """
        if self._read_digest is None:
            return is_loopback(peer_host.removeprefix("::ffff:")) and is_loopback(host_name(host_header))
        return hmac.compare_digest(_digest(query_token or _bearer(authorization)), self._read_digest)

    def _require_protection(self, config: HubSection) -> None:
        if self.listen.is_loopback:
            return
        if not config.tls_cert_file and not config.insecure:
            hint = "set hub.tls_cert_file and hub.tls_key_file, or hub.insecure = true to send everything in clear"
            raise _problem("listen", f"{self.listen} is not loopback and TLS is not configured", hint)
        if not config.agent_tokens_file:
            raise _problem("agent_tokens_file", f"must be set to listen on {self.listen}", "lines of: agent token")


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
    return context


def _listen(text: str) -> ListenAddress:
    try:
        return ListenAddress(*parse_listen(text))
    except ValueError as error:
        raise _problem("listen", str(error)) from None


def _agent_tokens(path: str) -> list[tuple[str, bytes]]:
    if not path:
        return []
    found = []
    for number, line in enumerate(_read(path, "agent_tokens_file").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise _problem("agent_tokens_file", f"{path}:{number}: {len(words)} words, a line is: agent token")
        found.append((words[0], _digest(words[1])))
    if not found:
        raise _problem("agent_tokens_file", f"{path}: holds no token", "a line is: agent token")
    return found


def _read_token(path: str) -> bytes | None:
    if not path:
        return None
    token = _read(path, "read_token_file").strip()
    if not token:
        raise _problem("read_token_file", f"{path}: is empty")
    return _digest(token)


def _read(path: str, key: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise _problem(key, f"{path}: cannot be read: {reason}") from None


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _problem(key: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([ConfigProblem("hub", key, message, hint)])
