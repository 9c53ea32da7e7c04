"""Runs a history through the transformer, the detector, the watch over what runs out, and the health of the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import structlog

from agent.anomaly_reports import AnomalyReports
from agent.array_columns import ArrayColumns
from agent.assembly import make_analysis
from agent.breaker_memory import BreakerMemory
from agent.collection.series_table import SeriesTable
from agent.collection.threads import WorkerThreads
from agent.collection.unusual import Unusual, unusual_points
from agent.errors import RebellionError
from agent.events import EventBus
from agent.foresight import Foresight
from agent.host_health import HostHealth, subsystem_of
from agent.hosting import Shared
from agent.model import Batch, Event, PointFlag
from agent.numeric.exhaustion import Exhaustion, exhaustion
from agent.numeric.forecast import Forecast, forecast
from agent.pipeline import Pipeline, PipelineSettings

if TYPE_CHECKING:
    from agent.collection.analysis import Analysis
    from agent.config.loaded import LoadedConfig
    from agent.contracts import Logger
    from agent.model import FloatArray
    from agent.numeric.health import SubsystemHealth
    from agent.replay.csv_history import CsvHistory

__all__ = ["Alert", "Replayed", "replay"]

LEAST_AHEAD, MOST_AHEAD, ROWS_FOR_EACH_AHEAD = 12, 288, 20


@dataclass(frozen=True, slots=True)
class Alert:
    """A point that begins an incident, and its place in the history."""

    row: int
    column: int
    time_s: float
    point: Unusual


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What was seen.

    Attributes:
        history: What was looked at.
        judge: Name of the detector; "threshold" without one.
        scores: Shape (rows, series); NaN where there is none.
        averages: Moving averages, shape (rows, series); NaN where there is none. Empty when they were not asked for.
        alerts: In the order of time.
        events: What the agent would have told, anomalies and failures to come among it.
        forecasts: After the last row, one a series.
        exhaustions: When each series reaches the limit; empty without one.
        health: Of the host and its subsystems after the last row; empty when no series belongs to one.
    """

    history: CsvHistory
    judge: str
    scores: FloatArray
    averages: FloatArray
    alerts: list[Alert]
    events: list[Event]
    forecasts: list[Forecast]
    exhaustions: list[Exhaustion]
    health: dict[str, SubsystemHealth]


@dataclass(slots=True)
class _RowClock:
    """Time is that of the row that is being looked at."""

    now_s: float

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return round(self.now_s * 1e9)


def replay(
    loaded: LoadedConfig,
    history: CsvHistory,
    *,
    limit: float | None = None,
    ahead: int | None = None,
    keeps_averages: bool = False,
    on_row: Callable[[int], object] = lambda _: None,
) -> Replayed:
    """Feed a history row by row, as if each were a tick; nothing sees a later row than its own.

    Args:
        loaded: Transformer, detector, forecast: those of this configuration.
        history: What is looked at.
        limit: What `exhaustions` are reckoned to; None = no limit.
        ahead: Rows that are forecast, >= 1; None = a twentieth of the history, from 12 to 288.
        keeps_averages: True keeps the moving averages, which costs a second pass over the windows a row.
        on_row: Called with the number of each row that is done.

    Raises:
        RebellionError: The configuration has no transformer.
        LoadError: The detector could not be made.
    """
    run = _Run(loaded, history, keeps_averages)
    for row in range(len(history.times_s)):
        run.look(row)
        on_row(row + 1)
    count = len(history.times_s) // ROWS_FOR_EACH_AHEAD
    steps = ahead or min(max(count, LEAST_AHEAD), MOST_AHEAD)
    columns = list(history.values.T)
    return Replayed(
        history,
        run.analysis.judge,
        run.scores,
        run.averages,
        run.alerts,
        run.events,
        [forecast(history.times_s, column, steps) for column in columns],
        [exhaustion(history.times_s, column, limit) for column in columns] if limit is not None else [],
        run.health.found if any(map(subsystem_of, history.series)) else {},
    )


class _Run:
    """One replay under way: the parts that an agent is made of, with the rows' own time as their clock."""

    def __init__(self, loaded: LoadedConfig, history: CsvHistory, keeps_averages: bool) -> None:
        self._history = history
        self._clock = _RowClock(float(history.times_s[0]))
        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
        bus = EventBus(self._clock, log)
        table = SeriesTable()
        self._ids = np.array(table.ids(history.series), dtype=np.uint32)
        self._definition = table.definition
        self.analysis = _analysis(loaded, self._clock, bus, log)
        section = loaded.config.forecast
        self._foresight = Foresight(table.definition, bus, section.horizon_s) if section.enabled else None
        settings, columns = PipelineSettings(), ArrayColumns()
        idle = Pipeline(settings, clock=self._clock, table=table, columns=columns, analysis=None, events=bus)
        self.health = HostHealth(table.definition, idle, self._foresight, bus)
        self._reports = AnomalyReports(table.definition, bus, lambda: self.analysis.judge)
        self.events: list[Event] = []
        bus.subscribe(self.events.append)
        self.alerts: list[Alert] = []
        self.scores = np.full(history.values.shape, np.nan)
        self.averages = np.full(history.values.shape if keeps_averages else (0, 0), np.nan)

    def look(self, row: int) -> None:
        """Take one row."""
        values = self._history.values[row]
        is_there = np.isfinite(values)
        if not is_there.any():
            return
        self._clock.now_s = float(self._history.times_s[row])
        ids, present = (self._ids, values) if is_there.all() else (self._ids[is_there], values[is_there])
        seen = self.analysis.look(ids, present)
        self.scores[row, is_there] = seen.score
        if len(self.averages):
            self._keep_averages(row)
        found = unusual_points(ids, present, seen, self._definition)
        self.alerts += [Alert(row, point.series_id - int(self._ids[0]), self._clock.now_s, point) for point in found]
        flags = np.where(seen.alert, PointFlag.ANOMALOUS.value, 0).astype(np.uint8)
        batch = Batch(self._clock.wall_ns(), self._clock.now_s, ids, present, flags)
        if self._foresight is not None:
            self._foresight.take(batch)
        self.health.take(batch)
        self._reports.take(batch, seen)

    def _keep_averages(self, row: int) -> None:
        statistics = self.analysis.transformer.statistics()
        self.averages[row, statistics.ids - self._ids[0]] = statistics.moving_average


def _analysis(loaded: LoadedConfig, clock: _RowClock, bus: EventBus, log: Logger) -> Analysis:
    shared = Shared(
        agent="replay",
        epoch="replay",
        labels={},
        state_dir=loaded.state_dir,
        clock=clock,
        rng=Random(0),
        log=log,
        events=bus,
        workers=WorkerThreads(),
        breakers=BreakerMemory(loaded.state_dir / "breakers.json", log),
        columns=ArrayColumns(),
    )
    analysis = make_analysis(loaded, shared)
    if analysis is None:
        raise RebellionError("transformer.enabled is false: there is nothing to replay a history through")
    return analysis
