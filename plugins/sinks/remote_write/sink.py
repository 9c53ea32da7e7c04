"""Sends what it is given as snappy-compressed write requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.api import ConfigError, ConfigProblem, HttpEndpoint, Record, SinkContext
from agent.protocol.points import points_by_series
from plugins.sinks.remote_write.messages import request_1, request_2

if TYPE_CHECKING:
    from plugins.sinks.remote_write import Config

__all__ = ["RemoteWrite"]

_HEADERS = {
    "1.0": {"Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"},
    "2.0": {
        "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "X-Prometheus-Remote-Write-Version": "2.0.0",
    },
}


class RemoteWrite:
    """`Sink` for remote write. A group is delivered when the other end has answered 2xx; its points stand together by series.

    Raises:
        ConfigError: The compressor is not installed.
    """

    def __init__(self, config: Config, context: SinkContext) -> None:
        try:
            from cramjam import snappy
        except ImportError:
            hint = "install the extra: pip install 'rebellion-agent[prometheus]'"
            raise ConfigError(
                [ConfigProblem("sinks.remote_write", "url", "the package cramjam is not installed", hint)]
            ) from None
        self._compress = snappy.compress_raw
        self._context = context
        self._endpoint = HttpEndpoint(
            config.url, token_file=config.token_file, ca_file=config.ca_file, timeout_s=config.timeout_s
        )
        self._request = request_1 if config.version == "1.0" else request_2
        self._headers = {"Content-Encoding": "snappy", **_HEADERS[config.version]}
        own = {config.host_label: context.agent} if config.host_label else {}
        self._labels = {**context.labels, **own}

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        points = points_by_series(records, self._context.definition)
        if points:
            body = bytes(self._compress(self._request(points, self._labels)))
            await self._context.run_blocking(self._endpoint.deliver, body, self._headers)

    async def close(self) -> None:
        """Nothing is held: each request has its own connection."""
