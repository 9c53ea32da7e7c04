"""Sink `otlp`: to OpenTelemetry collectors and backends, by OTLP over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.api import Register, SinkContext, check_http_url, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.otlp]`"""

    url: str = "http://127.0.0.1:4318/v1/metrics"
    compress: bool = True  # gzip the body
    token_file: str = ""  # holds a bearer token; "" = none
    ca_file: str = ""  # PEM of the authority that signed the other end's certificate; "" = the system's
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0

    def __post_init__(self) -> None:
        check_http_url(self.url)


def make(config: Config, context: SinkContext) -> Any:
    """The sink; imported here so that checking a configuration does not need protobuf."""
    from plugins.sinks.otlp.sink import OtlpSink

    return OtlpSink(config, context)


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    register("otlp", make, config=Config)
