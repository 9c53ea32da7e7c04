"""The engine: rows of values, one tick at a time, all rows at once.

    newest -> drop the oldest -> describe the history -> add the newest -> line, forecast -> sort the history -> scores
              (running sums)     (mean, spread)                                              (median, MAD)       (z, robust z)

Rows are worked on in blocks whose temporaries stay in cache; no result depends on how rows fall into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric import scores, smoothing, sums, trend
from agent.numeric.extrema import Extrema
from agent.numeric.order import OrderStatistics
from agent.numeric.rings import Rings

if TYPE_CHECKING:
    from agent.model import FloatArray
    from agent.numeric.rings import Block
    from agent.numeric.row_table import Rows

__all__ = ["EngineSettings", "WindowEngine"]

_EXACT_WINDOW = 300
_STALE_TICKS = 60
_BLOCK_ROWS = 2048
_ROTA_ROWS = 16


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What is computed.

    Attributes:
        window: Ticks a row remembers, >= 1. Up to 300 every result is exact at every tick; beyond, median, MAD and percentiles
            are at most `stale_ticks` ticks old, everything else is exact.
        percentiles: In percent, each 0..100.
        moving_average_count: Ticks of the moving average, >= 1.
        ewma_alpha: Weight of the newest value, 0..1.
        horizon: How many ticks ahead the forecast looks.
        anomaly_threshold: Score from which a value is anomalous, > 0.
        computes_all: True computes every result at every tick, for those who read them all; False leaves percentiles,
            extremes, moving average, line and forecast until `complete` asks for them.
    """

    window: int = 120
    percentiles: tuple[float, ...] = (50.0, 95.0, 99.0)
    moving_average_count: int = 5
    ewma_alpha: float = 0.2
    horizon: float = 60.0
    anomaly_threshold: float = 3.0
    computes_all: bool = False

    @property
    def stale_ticks(self) -> int:
        """Age in ticks that order statistics may reach; 0 = always exact."""
        return 0 if self.window <= _EXACT_WINDOW else _STALE_TICKS


class WindowEngine:
    """Rings, sums and results of many rows. Not safe for use from several threads at a time.

    Args:
        settings: See `EngineSettings`.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.rings = Rings(settings.window, len(settings.percentiles), settings.moving_average_count)
        self.tick_count = 0
        self._slot = settings.window - 1
        self._order = OrderStatistics(settings.window, settings.percentiles, _BLOCK_ROWS)
        self._extrema = Extrema(settings.window) if settings.stale_ticks else None
        self._blocks: list[Block] = []
        self._order_blocks: list[Block] = []
        self._is_complete = False

    def nbytes(self) -> int:
        """Bytes held for rows, temporaries not counted."""
        return self.rings.nbytes() + (self._extrema.nbytes() if self._extrema else 0)

    def reserve(self, row_count: int) -> None:
        """Have at least this many rows; new ones are empty."""
        if row_count <= self.rings.row_count:
            return
        self.rings.grow_to(row_count)
        stale_ticks = self.settings.stale_ticks
        self._blocks = self.rings.cut(_BLOCK_ROWS if stale_ticks else self._order.max_rows)
        if not self._extrema:
            self._order.reserve(self.rings.row_count)
        else:
            order_rows = min(self._order.max_rows, -(-self.rings.row_count // stale_ticks))
            self._order.reserve(order_rows)
            self._order_blocks = self.rings.cut(order_rows)
            self._extrema.grow_to(len(self.rings.ring))

    def clear(self, rows: Rows) -> None:
        """Empty these rows for another series."""
        self.rings.clear(rows)
        if self._extrema:
            self._extrema.clear(rows)

    def tick(self, rows: Rows, values: FloatArray) -> None:
        """Take the values of one tick and compute.

        Args:
            rows: Row of each value, each at most once; the other rows miss this tick.
            values: float64; NaN is missing, an infinity is missing and counted as bad.
        """
        with np.errstate(all="ignore"):
            self._remake_rota()
            self._take(rows, values)
            for block in self._blocks:
                self._advance(block)
            self._refresh_stale()
            self.tick_count += 1
            self._is_complete = self.settings.computes_all

    def prefill(self, rows: Rows, history: FloatArray) -> None:
        """Fill rows with a history as if it had been ticked through, but for scores; other rows miss those ticks.

        Args:
            rows: Which rows; they must be empty.
            history: (ticks, rows), oldest first; NaN is missing.
        """
        with np.errstate(all="ignore"):
            for values in history[-self.settings.window :]:
                self._take(rows, values)
                for block in self._blocks:
                    sums.fill(block, self._slot)
                    smoothing.weigh_exponentially(block, self.settings.ewma_alpha)
            self.tick_count += len(history)
            self._remake_all()
            self._is_complete = False

    def history(self, row: int) -> FloatArray:
        """What a row remembers, oldest first, shape (window,); NaN where a tick was missed or lies before the row's first."""
        return np.roll(self.rings.ring[row], -(self._slot + 1))

    def complete(self) -> None:
        """Compute what the last tick left out; nothing when it computed all."""
        if self._is_complete:
            return
        with np.errstate(all="ignore"):
            for block in self._blocks:
                sums.describe_window(block)
                if self._extrema:
                    self._extrema.update(block, self._slot)
                else:
                    self._sort(block)
                    self._order.ends(block)
                    self._order.percentiles(block)
                self._extrapolate(block)
        self._is_complete = True

    def _take(self, rows: Rows, values: FloatArray) -> None:
        self._slot = (self._slot + 1) % self.settings.window
        newest = self.rings.single("newest")
        newest.fill(np.nan)
        newest[rows] = values
        infinite = np.isinf(newest)
        if infinite.any():
            self.rings.bad_count[: len(newest)] += infinite
            newest[infinite] = np.nan

    def _advance(self, block: Block) -> None:
        settings = self.settings
        sums.drop_oldest(block, self._slot, settings.window)
        sums.restart_empty(block)
        sums.describe_history(block, self.rings, self._slot)
        sums.add_newest(block, self._slot)
        sums.describe_window(block)
        smoothing.weigh_exponentially(block, settings.ewma_alpha)
        if settings.computes_all:
            self._extrapolate(block)
        self._rank(block)
        scores.score(block)
        scores.flag_anomalies(block, settings.anomaly_threshold)

    def _rank(self, block: Block) -> None:
        """Extremes of long windows; of others, whose rows are sorted at every tick, all that the sorted row tells."""
        if self._extrema:
            self._extrema.update(block, self._slot)
            return
        self._order.sort(block, self._slot)
        self._order.centre(block)
        if self.settings.computes_all:
            self._order.ends(block)
            self._order.percentiles(block)

    def _extrapolate(self, block: Block) -> None:
        """Moving average, line and forecast; the window's sums must have just been described."""
        smoothing.average_last(block, self._slot)
        trend.fit_line(block)
        trend.forecast(block, self.settings.horizon)
        trend.time_to_limit(block)

    def _sort(self, block: Block) -> None:
        scratch = block.scratch
        np.isfinite(block.newest, out=scratch.mask)
        np.subtract(block.count, scratch.mask, out=scratch.history_count, casting="unsafe")
        self._order.sort(block, self._slot)

    def _remake_rota(self) -> None:
        """Make the sums of a few rows again, so that each row's are at most one window of ticks old."""
        window, rows = self.settings.window, self.rings.row_count
        ticks = max(1, min(window, window * _ROTA_ROWS // max(rows, 1)))
        phase = self.tick_count % window
        if (phase + 1) % ticks and phase + 1 < window:
            return
        start = phase - phase % ticks
        rota = np.arange(rows * start // window, rows * (phase + 1) // window)
        sums.remake(self.rings, rota, self._slot)

    def _refresh_stale(self) -> None:
        """Sort the rows whose turn it is."""
        if not self._extrema:
            return
        count, stale_ticks = len(self._order_blocks), self.settings.stale_ticks
        phase = self.tick_count % stale_ticks
        for block in self._order_blocks[count * phase // stale_ticks : count * (phase + 1) // stale_ticks]:
            self._refresh(block)

    def _refresh(self, block: Block) -> None:
        self._sort(block)
        self._order.centre(block)
        self._order.percentiles(block)

    def _remake_all(self) -> None:
        sums.remake(self.rings, np.arange(self.rings.row_count), self._slot, with_ages=True)
        if self._extrema:
            self._extrema.rebuild(self.rings)
            for block in self._order_blocks:
                self._refresh(block)
