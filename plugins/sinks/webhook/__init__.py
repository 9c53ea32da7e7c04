"""Sink `webhook`: tells people's tools of events, by HTTP POST of JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.api import Register, SinkContext, check_http_url, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.webhook]`"""

    url: str  # http(s)://host/path
    min_level: Literal["info", "warning", "error"] = "warning"
    kinds: tuple[str, ...] = ()  # "breaker.opened", "failure.*"; none = all kinds
    token_file: str = ""  # holds a bearer token; "" = none
    ca_file: str = ""  # PEM of the authority that signed the other end's certificate; "" = the system's
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0

    def __post_init__(self) -> None:
        check_http_url(self.url)


def make(config: Config, context: SinkContext) -> Any:
    """The sink; imported here so that checking a configuration does not."""
    from plugins.sinks.webhook.sink import WebhookSink

    return WebhookSink(config, context)


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    register("webhook", make, config=Config)
