"""Metric transformer for use as a library: dicts of system metrics in, the same dicts with analysis out.

A thin face: names become series ids and everything is computed by `agent.numeric.transformer`, as in the daemon.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.clock import Clock, SystemClock
from agent.numeric.metric_settings import MetricSettings, SettingsConflict, differences
from agent.numeric.rate import CounterRates
from agent.numeric.raw_sections import NoValue, plain, read_section, section_fields
from agent.numeric.transformer import Transformer

if TYPE_CHECKING:
    from agent.model import FloatArray
    from agent.numeric.transformer import Statistics

__all__ = [
    "SECTIONS",
    "MetricSettings",
    "MetricTransformer",
    "SettingsConflict",
    "get_metric_transformer",
    "remove_metric_transformer",
]

SECTIONS = ("cpu", "memory", "disk", "network")
_TREND_MIN_COUNT = 5
_TREND_MIN_R2 = 0.5


class MetricTransformer:
    """Remembers the main number of each section and says how it stands. Safe for use from several threads.

    Args:
        name: Name of this transformer.
        settings: See `MetricSettings`.
        clock: For the rates of running totals.
    """

    def __init__(self, name: str, settings: MetricSettings | None = None, *, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings or MetricSettings()
        self._clock = clock or SystemClock()
        self._rates = CounterRates()
        self._lock = threading.Lock()
        self._transformer = Transformer(
            self.settings.history_size,
            self.settings.anomaly_threshold,
            percentiles=self.settings.percentiles,
            moving_average_count=self.settings.smoothing_window,
        )
        self._ids = np.arange(len(SECTIONS), dtype=np.uint32)
        self._flags: tuple[deque[bool], ...] = tuple(deque(maxlen=self.settings.history_size) for _ in SECTIONS)

    def transform_system_metrics(self, raw_metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Take one reading and return it with what is known of each section.

        Args:
            raw_metrics: Mapping with any of `cpu`, `memory`, `disk`, `network` (or the same under `data`). The number of a
                section is the first of `usage_percent`, `percent`, `total_percent`, `rate_mbps`, `bandwidth_mbps` that it has,
                directly or under its own `data`; else the fullest of `partitions[]`; else the rate of `io_stats` in megabits a
                second. It must be finite and >= 0.
        Returns:
            Only values that JSON knows. Each section that is a mapping keeps its raw keys (those named as below are
            replaced) and has, with None where nothing is known yet:

            - `current`: the number; None when there is none, and then `error` says why. The call counts as a missed reading.
            - `smoothed`: mean of the readings of the last `smoothing_window` calls.
            - `history`: readings of the last `history_size` calls, oldest first, missed ones left out.
            - `smoothed_history`: for each of `history`, what `smoothed` was then (as far as the history reaches back).
            - `anomalies`: places in `history` that were anomalies when they arrived.
            - `rate_of_change`: `current` minus the reading before it, in its own unit; 0.0 for the first.
            - `statistics`: `mean`, `min`, `max`, `std_dev` (ddof 0) and `percentiles` (`{"p50": ...}`) of `history`.
            - `trend`: `increasing` or `decreasing` when a line explains at least half of the variance of 5 or more readings,
              else `stable`; `unknown` with fewer.
            - `is_anomaly`: the reading is `anomaly_threshold` or more from the median of those before it, in MAD / 0.6745 (in
              standard deviations where the MAD is 0); False before 8 readings.

            A section that is missing or no mapping is left out. Other entries are passed through. `system_analysis` holds
            `health_score` (0..1), `status` (`normal` or `anomalous`), `anomalous_sections`, `trends`, `missing_sections`.
        """
        with self._lock:
            given = _given(raw_metrics)
            sections = {name: section_fields(given[name]) for name in SECTIONS if isinstance(given.get(name), Mapping)}
            values, errors = self._read(sections)
            self._tick(values)
            known = self._transformer.statistics()
            out = {str(key): plain(entry) for key, entry in given.items() if key not in SECTIONS}
            for place, name in enumerate(SECTIONS):
                if name in sections:
                    out[name] = {**plain(sections[name]), **self._describe(place, known)}
                    if name in errors:
                        out[name]["error"] = errors[name]
            out["system_analysis"] = self._analyse(out)
            return out

    def _read(self, sections: Mapping[str, Mapping[Any, Any]]) -> tuple[FloatArray, dict[str, str]]:
        values: FloatArray = np.full(len(SECTIONS), nan)
        errors: dict[str, str] = {}
        at_s = self._clock.monotonic_s()
        for name, found in sections.items():
            try:
                values[SECTIONS.index(name)] = read_section(found, partial(self._rate, name, at_s))
            except NoValue as problem:
                errors[name] = str(problem)
        return values, errors

    def _rate(self, section: str, at_s: float, total: float) -> float:
        return self._rates.update(section, total, at_s)

    def _tick(self, values: FloatArray) -> None:
        flags = self._transformer.tick(self._ids, values).is_anomaly.tolist()
        for remembered, flag in zip(self._flags, flags, strict=True):
            remembered.append(flag)

    def _describe(self, place: int, known: Statistics) -> dict[str, Any]:
        window = self._transformer.history(place)
        is_there = ~np.isnan(window)
        history = window[is_there].tolist()
        flags = np.zeros(len(window), dtype=bool)
        flags[len(window) - len(self._flags[place]) :] = self._flags[place]
        is_current = bool(is_there[-1])
        return {
            "current": history[-1] if is_current else None,
            "smoothed": _or_none(known.moving_average[place]),
            "history": history,
            "smoothed_history": _smoothed(window, self.settings.smoothing_window)[is_there].tolist(),
            "anomalies": np.flatnonzero(flags[is_there]).tolist(),
            "rate_of_change": _change(history) if is_current else None,
            "statistics": _statistics(place, known),
            "trend": _trend(place, known),
            "is_anomaly": bool(flags[-1]),
        }

    def _analyse(self, out: Mapping[str, Any]) -> dict[str, Any]:
        described = [name for name in SECTIONS if name in out]
        anomalous = [name for name in described if out[name]["is_anomaly"]]
        return {
            "health_score": self._transformer.health().score,
            "status": "anomalous" if anomalous else "normal",
            "anomalous_sections": anomalous,
            "trends": {name: out[name]["trend"] for name in described},
            "missing_sections": [name for name in SECTIONS if name not in out or out[name]["current"] is None],
        }


_transformers: dict[str, MetricTransformer] = {}
_transformers_lock = threading.Lock()


def get_metric_transformer(
    name: str = "default",
    history_size: int | None = None,
    smoothing_window: int | None = None,
    anomaly_threshold: float | None = None,
    percentiles: Sequence[float] | None = None,
) -> MetricTransformer:
    """The process's transformer of this name, made when it is not there yet.

    Args:
        name: Which transformer.
        history_size, smoothing_window, anomaly_threshold, percentiles: See `MetricSettings`; None: as it is, or the default
            for a new one.

    Raises:
        SettingsConflict: It is there, and something given here is not as it has it.
        ValueError: A setting is out of range.
    """
    given: dict[str, Any] = {
        "history_size": history_size,
        "smoothing_window": smoothing_window,
        "anomaly_threshold": anomaly_threshold,
        "percentiles": None if percentiles is None else tuple(float(percent) for percent in percentiles),
    }
    changes = {key: value for key, value in given.items() if value is not None}
    with _transformers_lock:
        known = _transformers.get(name)
        wanted = replace(known.settings if known else MetricSettings(), **changes)
        if known is None:
            known = _transformers[name] = MetricTransformer(name, wanted)
        elif known.settings != wanted:
            raise SettingsConflict(
                f"{name!r} is already in use with other settings: {differences(known.settings, wanted)}"
            )
        return known


def remove_metric_transformer(name: str) -> bool:
    """Forget the transformer of this name, so that it is free for other settings; False when there is none."""
    with _transformers_lock:
        return _transformers.pop(name, None) is not None


def _given(raw_metrics: object) -> Mapping[Any, Any]:
    if not isinstance(raw_metrics, Mapping):
        return {}
    nested = raw_metrics.get("data")
    if isinstance(nested, Mapping) and not any(name in raw_metrics for name in SECTIONS):
        return {**{key: value for key, value in raw_metrics.items() if key != "data"}, **nested}
    return raw_metrics


def _statistics(place: int, known: Statistics) -> dict[str, Any]:
    return {
        "mean": _or_none(known.mean[place]),
        "min": _or_none(known.minimum[place]),
        "max": _or_none(known.maximum[place]),
        "std_dev": _or_none(known.std[place]),
        "percentiles": {f"p{percent:g}": _or_none(values[place]) for percent, values in known.percentiles.items()},
    }


def _trend(place: int, known: Statistics) -> str:
    if known.count[place] < _TREND_MIN_COUNT:
        return "unknown"
    if known.r2[place] >= _TREND_MIN_R2:
        return "increasing" if known.slope[place] > 0 else "decreasing"
    return "stable"


def _smoothed(window: FloatArray, count: int) -> FloatArray:
    padded = np.concatenate((np.full(count - 1, nan), window))
    last = np.lib.stride_tricks.sliding_window_view(padded, count)
    is_there = ~np.isnan(last)
    sums = np.where(is_there, last, 0.0).sum(axis=1)
    smoothed: FloatArray = sums / np.maximum(is_there.sum(axis=1), 1)
    return smoothed


def _change(history: list[float]) -> float:
    return history[-1] - history[-2] if len(history) > 1 else 0.0


def _or_none(value: float) -> float | None:
    return float(value) if isfinite(value) else None
