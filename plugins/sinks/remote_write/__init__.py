"""Sink `remote_write`: to Prometheus, VictoriaMetrics, Mimir and whatever else takes Prometheus remote write."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.api import Register, SinkContext, check_http_url, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.remote_write]`"""

    url: str  # http(s)://host/api/v1/write
    version: Literal["1.0", "2.0"] = "1.0"
    host_label: str = "instance"  # label that holds the agent's name; "" = none
    token_file: str = ""  # holds a bearer token; "" = none
    ca_file: str = ""  # PEM of the authority that signed the other end's certificate; "" = the system's
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0

    def __post_init__(self) -> None:
        check_http_url(self.url)


def make(config: Config, context: SinkContext) -> Any:
    """The sink; imported here so that checking a configuration does not need the compressor."""
    from plugins.sinks.remote_write.sink import RemoteWrite

    return RemoteWrite(config, context)


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    register("remote_write", make, config=Config)
