"""What the transformer hands out: the results of a tick, all statistics, and health."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray, IdArray
    from agent.numeric.row_table import Rows
    from agent.numeric.window_engine import WindowEngine

__all__ = ["Health", "Reason", "Statistics", "TickResult"]


class TickResult:
    """What the engine thinks of the values of one tick; arrays aligned with the tick's `ids`.

    Each array is copied out when first asked for; asking for a new one after the next tick is refused.
    """

    def __init__(self, engine: WindowEngine, rows: Rows, is_anomaly: NDArray[np.bool_]) -> None:
        self.is_anomaly = is_anomaly
        """bool: the score reaches the threshold (see `agent.numeric.scores.flag_anomalies`)."""
        self._engine = engine
        self._rows = rows
        self._tick = engine.tick_count

    @property
    def slots(self) -> NDArray[np.int64]:
        """Row of each series, int64: the same one tick after tick, until the series is forgotten."""
        rows = self._rows
        return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)

    @cached_property
    def robust_z(self) -> FloatArray:
        """Distance from the history's median in MAD / 0.6745; NaN with fewer than 8 values, +-inf when the MAD is 0."""
        return self._copy("robust_z")

    @cached_property
    def z(self) -> FloatArray:
        """Distance from the history's mean in standard deviations; NaN with fewer than 8 values."""
        return self._copy("z")

    @cached_property
    def severity(self) -> FloatArray:
        """|robust z|, or |z| where the MAD is 0: what the threshold decides by; NaN with fewer than 8 values."""
        return self._copy("severity")

    @cached_property
    def median(self) -> FloatArray:
        """Median of the history, the newest value left out; NaN with fewer than 1 value."""
        return self._copy("median")

    @cached_property
    def mad(self) -> FloatArray:
        """Median absolute deviation of the history from its median, the newest value left out."""
        return self._copy("mad")

    @cached_property
    def mean(self) -> FloatArray:
        """Mean of the window, the newest value included."""
        return self._copy("mean")

    @cached_property
    def std(self) -> FloatArray:
        """Standard deviation (ddof 0) of the window, the newest value included."""
        return self._copy("std")

    def _copy(self, name: str) -> FloatArray:
        if self._engine.tick_count != self._tick:
            raise RuntimeError(
                f"{name} of tick {self._tick} is gone: tick {self._engine.tick_count} has overwritten it"
            )
        return np.array(self._engine.rings.single(name)[self._rows])


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Every result of the latest tick, one element a known series; float64 unless said.

    Attributes:
        ids: Which series, rising, uint32.
        count: Valid values in the window.
        mean, std, minimum, maximum: Of the window; NaN when it is empty.
        percentiles: By percent (50.0, 95.0, ...); linear between neighbours.
        moving_average: Mean of the valid values of the last few ticks.
        ewma: Exponentially weighted average since the series appeared.
        z, robust_z: As in `TickResult`; NaN for a series that missed the latest tick.
        slope: Least squares, per tick.
        intercept: Of the line, now.
        r2: Share of the variance that the line explains; NaN when all values are equal.
        forecast, forecast_low, forecast_high: The line at the horizon with its 95 % prediction interval.
        ticks_to_limit: Until the line reaches the series' limit; 0 = it is there, +inf = never.
        bad_count: Infinities and values out of range that were taken as missing, uint32.
        order_age_ticks: Most ticks that median, MAD and percentiles may be old; 0 = exact.
    """

    ids: IdArray
    count: FloatArray
    mean: FloatArray
    std: FloatArray
    minimum: FloatArray
    maximum: FloatArray
    percentiles: dict[float, FloatArray]
    moving_average: FloatArray
    ewma: FloatArray
    z: FloatArray
    robust_z: FloatArray
    slope: FloatArray
    intercept: FloatArray
    r2: FloatArray
    forecast: FloatArray
    forecast_low: FloatArray
    forecast_high: FloatArray
    ticks_to_limit: FloatArray
    bad_count: NDArray[np.uint32]
    order_age_ticks: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One series that costs health: its id, its severity (score, >= threshold) and its share of the loss, 0..1."""

    series_id: int
    severity: float
    loss: float


@dataclass(frozen=True, slots=True)
class Health:
    """How well things are.

    Attributes:
        score: 0..1; 1 = no series is anomalous.
        reasons: The worst series, worst first, at most 10.
    """

    score: float
    reasons: tuple[Reason, ...] = ()

    def __float__(self) -> float:
        return self.score
