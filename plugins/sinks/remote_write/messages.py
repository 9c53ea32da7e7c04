"""The two write requests of Prometheus remote write, as protobuf.

Source: Prometheus Remote-Write Specification 1.0 (2023) and 2.0 (rc.4); field numbers from their `types.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.api import Kind, Series
from agent.protocol.points import SeriesPoints
from agent.protocol.protobuf import double, message, packed, text, varint

__all__ = ["request_1", "request_2"]

_NS_PER_MS = 1_000_000
_COUNTER, _GAUGE = 1, 2
"""MetricMetadata.MetricType, the same in both versions."""


def request_1(points: SeriesPoints, labels: Mapping[str, str]) -> bytes:
    """`prometheus.WriteRequest`.

    Args:
        points: What to send.
        labels: Put on every series; the series' own win.
    """
    parts = []
    for series, samples in points.items():
        named = [message(1, text(1, name) + text(2, value)) for name, value in _labels(series, labels)]
        parts.append(message(1, b"".join(named) + _samples(samples)))
    families = {series.name: series for series in points}
    for name, series in families.items():
        parts.append(message(3, varint(1, _type(series)) + text(2, name) + text(5, series.unit)))
    return b"".join(parts)


def request_2(points: SeriesPoints, labels: Mapping[str, str]) -> bytes:
    """`io.prometheus.write.v2.Request`: every text stands once, in a table; arguments as in `request_1`."""
    symbols: dict[str, int] = {"": 0}

    def reference(symbol: str) -> int:
        return symbols.setdefault(symbol, len(symbols))

    parts = []
    for series, samples in points.items():
        references = [reference(word) for pair in _labels(series, labels) for word in pair]
        metadata = varint(1, _type(series)) + varint(4, reference(series.unit))
        parts.append(message(5, packed(1, references) + _samples(samples) + message(5, metadata)))
    return b"".join([text(4, symbol) for symbol in symbols] + parts)


def _labels(series: Series, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Sorted by name, as the specification asks; empty ones are left out."""
    all_labels = {**labels, **dict(series.labels), "__name__": series.name}
    return sorted((name, value) for name, value in all_labels.items() if value)


def _samples(samples: list[tuple[int, float]]) -> bytes:
    return b"".join(message(2, double(1, value) + varint(2, time_ns // _NS_PER_MS)) for time_ns, value in samples)


def _type(series: Series) -> int:
    """A rate is a level to the other end: it was computed here."""
    return _COUNTER if series.kind is Kind.COUNTER else _GAUGE
