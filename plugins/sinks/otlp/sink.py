"""Sends metrics requests and reads what the other end did not take."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.api import ConfigError, ConfigProblem, HttpEndpoint, Level, Record, SinkContext
from agent.protocol.points import points_by_series

if TYPE_CHECKING:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    from plugins.sinks.otlp import Config

__all__ = ["OtlpSink"]


class OtlpSink:
    """`Sink` for OTLP over HTTP, binary protobuf. A group is delivered when the other end has answered 2xx.

    Raises:
        ConfigError: OpenTelemetry's message classes are not installed.
    """

    def __init__(self, config: Config, context: SinkContext) -> None:
        try:
            from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

            from plugins.sinks.otlp.messages import metrics_request
        except ImportError:
            hint = "install the extra: pip install 'rebellion-agent[otlp]'"
            problem = ConfigProblem("sinks.otlp", "url", "the package opentelemetry-proto is not installed", hint)
            raise ConfigError([problem]) from None
        self._request, self._response = metrics_request, ExportMetricsServiceResponse
        self._context = context
        self._compress = config.compress
        self._endpoint = HttpEndpoint(
            config.url, token_file=config.token_file, ca_file=config.ca_file, timeout_s=config.timeout_s
        )
        self._resource = {"host.name": context.agent, **context.labels}

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        points = points_by_series(records, self._context.definition)
        if points:
            self._report(await self._context.run_blocking(self._post, self._request(points, self._resource)))

    async def close(self) -> None:
        """Nothing is held: each request has its own connection."""

    def _post(self, request: ExportMetricsServiceRequest) -> bytes:
        body, headers = request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
        if self._compress:
            body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
        return self._endpoint.deliver(body, headers)

    def _report(self, answer: bytes) -> None:
        """The other end may take a part only, and says so in an answer that is otherwise fine."""
        from google.protobuf.message import DecodeError

        try:
            refused = self._response.FromString(answer).partial_success
        except DecodeError:
            return
        if refused.rejected_data_points:
            self._context.emit(
                "points.refused", Level.WARNING, points=refused.rejected_data_points, reason=refused.error_message[:200]
            )
