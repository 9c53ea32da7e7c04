"""Prometheus text exposition, read by Prometheus' own Python client and given names that series may have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

__all__ = ["TextSample", "text_samples"]

_NOT_A_NAME = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class TextSample:
    """One sample. `name` and the label names are `lower_snake_case`; `is_total` is True for what only ever rises."""

    name: str
    labels: dict[str, str]
    value: float
    is_total: bool


def text_samples(text: str, *, with_buckets: bool) -> Iterator[TextSample]:
    """Every finite sample, in order.

    Args:
        text: The exposition.
        with_buckets: False leaves out the buckets of histograms, which are many.

    Raises:
        ImportError: prometheus_client is not installed.
        ValueError: A line is none of the format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            is_bucket = family.type == "histogram" and sample.name.endswith("_bucket")
            if isfinite(sample.value) and (with_buckets or not is_bucket):
                labels = {_plain(name): value for name, value in sample.labels.items()}
                yield TextSample(_plain(sample.name), labels, sample.value, _is_total(family.type, sample.name))


def _plain(name: str) -> str:
    """`http:Requests` becomes `http_requests`, `2xx` `n2xx`."""
    plain = _NOT_A_NAME.sub("_", name.lower()).strip("_") or "unnamed"
    return plain if plain[0].isalpha() else f"n{plain}"


def _is_total(family_type: str, sample_name: str) -> bool:
    if family_type in {"histogram", "summary"}:
        return sample_name.endswith(("_bucket", "_count", "_sum"))
    return family_type == "counter" and not sample_name.endswith("_created")
