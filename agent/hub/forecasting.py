"""Forecasts of stored series, made when somebody asks. Blocks; numpy is imported at the first one."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from agent.dashboard.answers import BadQuery, Query, number

if TYPE_CHECKING:
    from agent.hub.records import Points
    from agent.hub.store import StoreReader

__all__ = ["horizon_of", "stored_forecast"]

DEFAULT_HORIZON_S = 3600.0
MAX_HORIZON_S = 604_800.0
MIN_HISTORY_S = 1800.0
MAX_HISTORY_S = 259_200.0
HISTORY_RATIO = 6.0
MAX_STEPS = 60
_MAX_POINTS = 1_000_000


def horizon_of(query: Query) -> float:
    """`horizon_s=` of a query, seconds.

    Raises:
        BadQuery: It is not within 0 and a week.
    """
    horizon_s = number(query, "horizon_s", DEFAULT_HORIZON_S)
    if not 0 < horizon_s <= MAX_HORIZON_S:
        raise BadQuery(400, f"horizon_s= must be > 0 and <= {MAX_HORIZON_S:g} (got {query['horizon_s'][:40]!r})")
    return horizon_s


def stored_forecast(reader: StoreReader, agent_id: int, text: str, now_ns: int, horizon_s: float) -> dict[str, Any]:
    """`times`, `values`, `low` and `high` of at most 60 steps after the newest point; null where nothing can be said.

    It looks back six times the horizon, at least half an hour and at most three days.

    Raises:
        BadQuery: The agent has no such series; none of its points is that young.
        TooManyPoints: There are more than may be read at a time.
    """
    rows = reader.series(agent_id, text=text)
    if not rows:
        raise BadQuery(404, f"the agent has no series {text!r}")
    history_s = min(max(HISTORY_RATIO * horizon_s, MIN_HISTORY_S), MAX_HISTORY_S)
    series_id = rows[0].series_id
    found = reader.points(agent_id, [series_id], now_ns - round(history_s * 1e9), now_ns, limit=_MAX_POINTS)
    return _forecast(found[series_id], text, history_s, horizon_s)


def _forecast(points: Points, text: str, history_s: float, horizon_s: float) -> dict[str, Any]:
    import numpy as np

    from agent.numeric.forecast import forecast
    from agent.numeric.regular_grid import averaged, regular

    newest_ns = int(points.times_ns[-1]) if len(points.times_ns) else 0
    times_s = (np.array(points.times_ns, dtype=np.int64) - newest_ns) / 1e9
    series = regular(times_s, np.array(points.values, dtype=np.float64))
    if not len(series.values):
        raise BadQuery(404, f"series {text!r} has no points in the last {history_s:g} s")
    step_s = max(series.step_s, horizon_s / MAX_STEPS)
    coarse_s, values = averaged(series, step_s)
    made = forecast(coarse_s, values, min(MAX_STEPS, max(1, round(horizon_s / step_s))))
    ahead_s = series.end_s + made.step_s * np.arange(1, len(made.point) + 1)
    return {
        "times": (newest_ns / 1e9 + ahead_s).tolist(),
        "values": _plain(made.point.tolist()),
        "low": _plain(made.low.tolist()),
        "high": _plain(made.high.tolist()),
    }


def _plain(values: list[float]) -> list[float | None]:
    return [value if isfinite(value) else None for value in values]
