"""Collector `prometheus`: scrapes an address that shows Prometheus text."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.api import CollectorContext, Register, check_http_url, hookimpl

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.prometheus]`"""

    url: str = "http://127.0.0.1:9100/metrics"
    names: tuple[str, ...] = ()  # "node_*", "http_requests_total"; none = all names
    with_buckets: bool = False  # take the buckets of histograms too
    labels: dict[str, str] = {}  # put on every series; the series' own win
    token_file: str = ""  # holds a bearer token; "" = none
    ca_file: str = ""  # PEM of the authority that signed the other end's certificate; "" = the system's
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 5.0
    max_bytes: Annotated[int, Meta(ge=1024)] = 16_777_216  # a longer answer is an error

    def __post_init__(self) -> None:
        check_http_url(self.url)


def make(config: Config, context: CollectorContext) -> Any:
    """The collector; imported here so that checking a configuration does not need the client library."""
    from plugins.collectors.prometheus.collector import Scrape

    return Scrape(config, context)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("prometheus", make, config=Config)
