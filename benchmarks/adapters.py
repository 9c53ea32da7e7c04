"""Doors through which outside benchmarks drive the shipped engine with its shipped defaults."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from agent.builtin import load_builtin
from agent.numeric.exhaustion import time_to_exhaustion_s
from agent.numeric.forecast import forecast
from agent.numeric.transformer import Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from agent.contracts import Detector

    FloatArray = NDArray[np.float64]

__all__ = ["detector", "forecaster", "transformer"]

_SEVERITY_OF_NO_HEALTH = 6.0
_ENGINE_NAMES = {
    **{name: name for name in ("mean", "std", "ewma", "z", "slope", "intercept", "r2")},
    "min": "minimum",
    "max": "maximum",
    "sma5": "moving_average",
    "rz": "robust_z",
    "ttt": "ticks_to_limit",
    "fc": "forecast",
    "fc_lo": "forecast_low",
    "fc_hi": "forecast_high",
}


class TransformerAdapter:
    """All outputs of every tick, as views that the next tick overwrites.

    `health` is, for each group, 100 x (1 - mean of min(severity / 6, 1)), where severity is what the engine judges anomalies by:
    |robust z|, or |z| where the MAD is 0.
    """

    def __init__(self, n_series: int, window: int, horizon: float, alpha: float, limits: FloatArray) -> None:
        self._transformer = Transformer(window, ewma_alpha=alpha, horizon_ticks=horizon, computes_all=True)
        self._ids = np.arange(n_series, dtype=np.uint32)
        self._transformer.set_limits(self._ids, limits)
        rings = self._transformer.engine.rings
        self._views = {out: rings.single(name)[:n_series] for out, name in _ENGINE_NAMES.items()}
        self._views["n"] = rings.moments[0, :n_series]
        for place, name in enumerate(("p50", "p95", "p99")):
            self._views[name] = rings.percentiles[place, :n_series]
        self._severity = rings.single("severity")[:n_series]

    def group(self, groups: NDArray[np.int64]) -> None:
        self._groups = groups
        self._group_count = int(groups.max(initial=-1)) + 1

    def prefill(self, history: FloatArray, t0: int) -> None:
        """Start with a history, shape (ticks, series), oldest first."""
        self._transformer.prefill(self._ids, history)

    def tick(self, values: FloatArray, t: int) -> Mapping[str, FloatArray]:
        """Every output by the benchmark's name."""
        self._transformer.tick(self._ids, values)
        return {**self._views, "health": self._health()}

    def nbytes(self) -> int:
        """Bytes held for all series."""
        return self._transformer.nbytes() + self._groups.nbytes

    def _health(self) -> FloatArray:
        loss = np.minimum(self._severity / _SEVERITY_OF_NO_HEALTH, 1.0)
        is_scored = loss == loss
        loss[~is_scored] = 0.0
        total = np.bincount(self._groups, loss, self._group_count)
        scored = np.bincount(self._groups, is_scored, self._group_count)
        with np.errstate(invalid="ignore"):
            return 100.0 * (1.0 - total / scored)


def transformer(
    n_series: int,
    window: int,
    *,
    horizon: float,
    alpha: float,
    thresholds: FloatArray,
    groups: NDArray[np.int64],
) -> TransformerAdapter:
    """The shipped transformer for a fixed set of series.

    Args:
        n_series: How many, >= 0.
        window: Ticks remembered.
        horizon: Ticks that the forecast looks ahead.
        alpha: Weight of the newest value in the exponential average.
        thresholds: Upper bound of each series for the time to threshold, shape (n_series,).
        groups: Group number of each series for the health, shape (n_series,), each >= 0.
    """
    made = TransformerAdapter(n_series, window, horizon, alpha, thresholds)
    made.group(groups)
    return made


class Forecaster:
    """Forecasts and times to a limit, of one series at a time; one setting for all."""

    def forecast(self, ts: FloatArray, x: FloatArray, h: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Point, low and high of the next `h` steps, shape (h,) each; 90 % interval.

        Args:
            ts: Unix seconds, rising.
            x: Values; NaN is missing.
            h: Steps ahead, >= 1, each the median step of `ts`.
        """
        made = forecast(np.asarray(ts, dtype=np.float64), np.asarray(x, dtype=np.float64), h)
        return made.point, made.low, made.high

    def eta(self, ts: FloatArray, x: FloatArray, limit: float) -> float:
        """Seconds until `x` crosses the limit; 0 = it has, inf = nothing points to it."""
        return time_to_exhaustion_s(np.asarray(ts, dtype=np.float64), np.asarray(x, dtype=np.float64), limit)


def forecaster() -> Forecaster:
    """The shipped forecasts with their shipped defaults."""
    return Forecaster()


class OneSeries:
    """The default detector over one series."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._slot, self._value = np.zeros(1, dtype=np.int64), np.empty(1)

    def update(self, _ts: float, value: float) -> tuple[float, float]:
        """Score of the newest value, 0 while there is none, and 1 where it alerts."""
        self._value[0] = value
        scores, alerts = self._detector.learn_and_score(self._slot, self._value)
        score = scores.item()
        return 0.0 if isnan(score) else score, float(alerts.item())


def detector(name: str = "rebellion") -> OneSeries:
    """A shipped detector with its shipped defaults, for one series."""
    registration = load_builtin("detectors", name)
    assert registration.config is not None
    return OneSeries(registration.factory(registration.config(), None))
