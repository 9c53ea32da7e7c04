"""The daemon's door to the engine: series come and go by id, a tick is one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.results import Health, Reason, Statistics, TickResult
from agent.numeric.row_table import RowTable, as_slice
from agent.numeric.window_engine import EngineSettings, WindowEngine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray, IdArray
    from agent.numeric.row_table import Rows

__all__ = ["Health", "Reason", "Statistics", "TickResult", "Transformer"]

_REASON_COUNT = 10


_COPIED = (
    *("mean", "std", "minimum", "maximum", "moving_average", "ewma", "z", "robust_z", "slope", "intercept", "r2"),
    *("forecast", "forecast_low", "forecast_high", "ticks_to_limit"),
)


class Transformer:
    """Keeps a window of every series it is given and says what is unusual.

    Args:
        history_count: Ticks in the window, >= 1. A series that is absent from a tick misses it.
        anomaly_threshold: Score (robust z; z where the MAD is 0) from which a value is anomalous, > 0.
        percentiles, moving_average_count, ewma_alpha, horizon_ticks, computes_all: See `EngineSettings`.
    """

    def __init__(
        self,
        history_count: int = 120,
        anomaly_threshold: float = 3.0,
        *,
        percentiles: tuple[float, ...] = (50.0, 95.0, 99.0),
        moving_average_count: int = 5,
        ewma_alpha: float = 0.2,
        horizon_ticks: float = 60.0,
        computes_all: bool = False,
    ) -> None:
        self.engine = WindowEngine(
            EngineSettings(
                window=history_count,
                percentiles=percentiles,
                moving_average_count=moving_average_count,
                ewma_alpha=ewma_alpha,
                horizon=horizon_ticks,
                anomaly_threshold=anomaly_threshold,
                computes_all=computes_all,
            )
        )
        self._table = RowTable()
        self._last_ids: IdArray = self._table.ids
        self._last_rows: Rows = slice(0, 0)

    def __len__(self) -> int:
        return len(self._table)

    def nbytes(self) -> int:
        """Bytes held for all series, temporaries not counted."""
        return self.engine.nbytes() + self._table.nbytes() + self._last_ids.nbytes

    def tick(self, ids: IdArray, values: FloatArray) -> TickResult:
        """Take one tick.

        Args:
            ids: Series of each value, uint32, shape (n,), no id twice; unknown ones appear.
            values: float64, shape (n,); NaN is missing, an infinity is missing and counted as bad.
        Returns:
            Arrays of shape (n,), aligned with `ids`; read what you need before the next tick.
        """
        rows = self._rows_of(ids)
        self.engine.tick(rows, values)
        return TickResult(
            self.engine, rows, np.array(self.engine.rings.is_anomaly[: self.engine.rings.row_count][rows])
        )

    def prefill(self, ids: IdArray, history: FloatArray) -> None:
        """Start new series with a history, shape (ticks, n), oldest first, as if it had been ticked through."""
        self.engine.prefill(self._rows_of(ids), history)

    def forget(self, ids: IdArray) -> NDArray[np.int64]:
        """Drop series with all that was kept of them; the rows that become free. Unknown ids are fine."""
        rows = self._table.remove(np.asarray(ids, dtype=np.uint32))
        if len(rows):
            self.engine.clear(as_slice(rows))
            self._last_ids, self._last_rows = self._table.ids[:0], slice(0, 0)
        return rows

    def set_limits(self, ids: IdArray, limits: FloatArray) -> None:
        """Set what `ticks_to_limit` counts to; +inf (the default) is never reached. New ids appear."""
        rows = self._rows_of(ids)
        self.engine.rings.single("limit")[rows] = limits

    def statistics(self) -> Statistics:
        """Everything known of every series after the latest tick; see `Statistics`."""
        self.engine.complete()
        rings, rows = self.engine.rings, self._table.rows
        percents = self.engine.settings.percentiles
        return Statistics(
            ids=self._table.ids.copy(),
            count=rings.moments[0, rows],
            percentiles={percent: rings.percentiles[place, rows] for place, percent in enumerate(percents)},
            bad_count=rings.bad_count[rows],
            order_age_ticks=self.engine.settings.stale_ticks,
            **{name: rings.single(name)[rows] for name in _COPIED},
        )

    def history(self, series_id: int) -> FloatArray:
        """Window of one series, oldest first; NaN where it has no value.

        Raises:
            KeyError: The series is not known.
        """
        row = int(self._table.find(np.array([series_id], dtype=np.uint32))[0])
        if row < 0:
            raise KeyError(series_id)
        return self.engine.history(row)

    def health(self) -> Health:
        """Health of the latest tick: 1 minus the mean loss of the series that have a score.

        A series below the threshold loses nothing; from there its loss rises evenly to 1 at twice the threshold. The score is
        the one that anomalies are judged by, so a series whose MAD is 0 is not taken for an outage. 1 when nothing is scored.
        """
        rings, rows = self.engine.rings, self._table.rows
        severity = rings.single("severity")[rows]
        is_scored = np.isfinite(severity) | np.isinf(severity)
        if not is_scored.any():
            return Health(1.0)
        threshold = self.engine.settings.anomaly_threshold
        loss = np.where(rings.is_anomaly[rows], np.clip(severity / threshold - 1.0, 0.0, 1.0), 0.0)
        worst = [place for place in np.argsort(-loss, kind="stable")[:_REASON_COUNT].tolist() if loss[place] > 0]
        reasons = tuple(Reason(int(self._table.ids[at]), float(severity[at]), float(loss[at])) for at in worst)
        return Health(1.0 - float(loss.sum()) / int(is_scored.sum()), reasons)

    def _rows_of(self, ids: IdArray) -> Rows:
        if ids is self._last_ids or np.array_equal(ids, self._last_ids):
            return self._last_rows
        rows = self._table.find(ids)
        unknown = rows < 0
        if unknown.any():
            rows[unknown] = self._table.add(ids[unknown])
            self.engine.reserve(self._table.row_count)
        self._last_ids = np.array(ids, dtype=np.uint32)
        self._last_rows = as_slice(rows)
        return self._last_rows
