"""Points as an OTLP metrics request, built with OpenTelemetry's own message classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, NumberDataPoint, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

import agent
from agent.api import Kind, Series
from agent.protocol.points import SeriesPoints

__all__ = ["metrics_request"]

_UNITS = {"bytes": "By", "bytes/s": "By/s", "ratio": "1", "celsius": "Cel"}
"""Ours -> the Unified Code for Units of Measure, which OpenTelemetry asks for. Others are the same in both."""


def metrics_request(points: SeriesPoints, resource: Mapping[str, str]) -> ExportMetricsServiceRequest:
    """The request.

    Args:
        points: What to send.
        resource: What the points are of: `host.name` and labels.
    """
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add(resource=Resource(attributes=_attributes(resource.items())))
    scope = resource_metrics.scope_metrics.add()
    scope.scope.name, scope.scope.version = "rebellion-agent", agent.__version__
    metrics: dict[str, Metric] = {}
    for series, samples in points.items():
        metric = metrics.get(series.name)
        if metric is None:
            metric = metrics[series.name] = _new_metric(scope, series)
        attributes = _attributes(series.labels)
        data = metric.sum if metric.HasField("sum") else metric.gauge
        data.data_points.extend(
            NumberDataPoint(attributes=attributes, time_unix_nano=time_ns, as_double=value)
            for time_ns, value in samples
        )
    return request


def _new_metric(scope: ScopeMetrics, series: Series) -> Metric:
    metric: Metric = scope.metrics.add(name=series.name, unit=_UNITS.get(series.unit, series.unit))
    if series.kind is Kind.COUNTER:
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    else:
        metric.gauge.SetInParent()
    return metric


def _attributes(pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in pairs]
