"""Ships records over a WebSocket: to a Rebellion hub with acknowledgements, or as plain JSON to other people's endpoints."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from agent.api import Register, Sink, SinkContext, hookimpl

__all__ = ["Config", "websocket"]

Seconds = Annotated[float, Meta(gt=0, le=3600)]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.websocket]`"""

    url: str  # ws://host:port or wss://host:port; without a path, the hub's own is meant
    protocol: Literal["rebellion", "plain"] = "rebellion"
    encoding: Literal["msgpack", "json"] = "msgpack"  # rebellion only; plain is always JSON
    compress: bool = True  # compress a message where that makes it smaller (msgpack only)
    token_file: str = ""  # holds the token that this agent shows the hub; "" = none
    ca_file: str = ""  # PEM of the authority that signed the hub's certificate; "" = the system's
    tls_cert_file: str = ""  # PEM chain that this agent shows the hub; "" = none
    tls_key_file: str = ""  # its key; "" = it stands in tls_cert_file too
    connect_timeout_s: Seconds = 5.0
    ping_s: Seconds = 5.0
    ping_timeout_s: Seconds = 4.0
    reconnect_s: Seconds = 1.0  # until there was a connection: the second attempt comes within this; doubles each time
    reconnect_max_s: Seconds = 5.0  # after a lost one: within this, and then once in every such time

    def __post_init__(self) -> None:
        """Refuse an address that could never be connected to, before anything runs."""
        if "@" in self.url or "#" in self.url:
            raise ValueError("url must hold neither a user nor a fragment; a token goes into token_file")
        try:
            parts = urlsplit(self.url)
            is_usable = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ValueError(f"url must be ws://host:port or wss://host:port (got {self.url!r})")
        if self.tls_cert_file and parts.scheme == "ws":
            raise ValueError("tls_cert_file needs a url that begins with wss://")
        if self.tls_key_file and not self.tls_cert_file:
            raise ValueError("tls_cert_file must be set, because tls_key_file is")


def websocket(config: Config, context: SinkContext) -> Sink:
    """The sink for this configuration; the libraries it needs are loaded here.

    Raises:
        ConfigError: The token or the certificate file cannot be read.
    """
    from plugins.sinks.websocket.connection import Connector
    from plugins.sinks.websocket.plain import PlainSink
    from plugins.sinks.websocket.rebellion import RebellionSink

    connector = Connector(config, context)
    return PlainSink(connector, context) if config.protocol == "plain" else RebellionSink(config, connector, context)


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    """Register this sink."""
    register("websocket", websocket, config=Config)
