"""What a replay saw, for people and for programs."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from agent.model import FloatArray
    from agent.numeric.exhaustion import Exhaustion
    from agent.numeric.forecast import Forecast
    from agent.replay.run import Alert, Replayed

__all__ = ["as_json", "as_text", "lasting", "moment", "write_scores"]

MOST_ALERTS_PRINTED = 40
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def as_text(seen: Replayed, name: str) -> str:
    """The summary: what there was, every series, alerts, forecasts, health.

    Args:
        seen: The replay.
        name: What the history is called.
    """
    return "".join(line + "\n" for line in _lines(seen, name))


def as_json(seen: Replayed, name: str) -> dict[str, Any]:
    """The same as one object; what is not a number, or infinite, is null."""
    history = seen.history
    return {
        "file": name,
        "rows": len(history.times_s),
        "backward_rows": history.backward_rows,
        "from_s": float(history.times_s[0]),
        "to_s": float(history.times_s[-1]),
        "detector": seen.judge,
        "series": [_series_fields(seen, column) for column in range(len(history.series))],
        "alerts": [_alert_fields(alert) for alert in seen.alerts],
        "events": [
            {"time_s": event.time_ns / 1e9, "kind": event.kind, "component": event.component, **event.detail}
            for event in seen.events
        ],
        "health": {
            name: {"score": one.score, "reasons": [loss.cause for loss in one.reasons]}
            for name, one in seen.health.items()
        },
    }


def write_scores(seen: Replayed, file: IO[str]) -> None:
    """One line a row and series as CSV: time, series, value, moving average, score, alert (0 or 1); empty = none."""
    alerts = {(alert.row, alert.column) for alert in seen.alerts}
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["time", "series", "value", "moving_average", "score", "alert"])
    for row, time_s in enumerate(seen.history.times_s.tolist()):
        for column, series in enumerate(seen.history.series):
            numbers = (table[row, column] for table in (seen.history.values, seen.averages, seen.scores))
            cells = (f"{number:.10g}" if isfinite(number) else "" for number in numbers)
            out.writerow([moment(time_s), series, *cells, int((row, column) in alerts)])


def moment(time_s: float) -> str:
    """`2026-05-01 12:00:00`, UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def lasting(seconds: float) -> str:
    """`3.5 h`, `12 min`; "never" when it is infinite."""
    if not isfinite(seconds):
        return "never"
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def _lines(seen: Replayed, name: str) -> Iterator[str]:
    history = seen.history
    first, last = (moment(history.times_s[at]) for at in (0, -1))
    rows = len(history.times_s)
    yield f"{name}: {rows} rows, {len(history.series)} series, {first} to {last}"
    if history.backward_rows:
        yield f"  {history.backward_rows} rows have a time before that of the row above, and were given that one's"
    yield f"{len(seen.alerts)} alerts by {seen.judge}, {1000 * len(seen.alerts) / rows:.2f} in 1,000 rows"
    yield from (_alert_line(alert) for alert in seen.alerts[:MOST_ALERTS_PRINTED])
    if len(seen.alerts) > MOST_ALERTS_PRINTED:
        yield f"  and {len(seen.alerts) - MOST_ALERTS_PRINTED} more; --json has them all"
    for column, series in enumerate(history.series):
        yield f"{series}: {_described(history.values[:, column])}"
        yield f"  {_forecast_text(seen.forecasts[column])}"
        if seen.exhaustions:
            yield f"  {_exhaustion_text(seen.exhaustions[column])}"
    for part, one in seen.health.items():
        causes = "; ".join(loss.cause for loss in one.reasons[:3])
        yield f"health of {part}: {one.score:.0f}" + (f" ({causes})" if causes else "")
    others = [event for event in seen.events if not event.kind.startswith("anomaly.")]
    yield from (f"event {moment(event.time_ns / 1e9)} {event.kind} {event.component}" for event in others)


def _alert_line(alert: Alert) -> str:
    point = alert.point
    score = f"score {point.score:.2f}" if isfinite(point.score) else "no score"
    return f"  {moment(alert.time_s)}  {point.series}  {score}  {point.explanation}"


def _described(values: FloatArray) -> str:
    kept = values[np.isfinite(values)]
    missing = f"{len(values) - len(kept)} missing"
    if not len(kept):
        return f"0 values, {missing}"
    return f"{len(kept)} values, {missing}, mean {kept.mean():.6g}, {kept.min():.6g} to {kept.max():.6g}"


def _forecast_text(made: Forecast) -> str:
    point, low, high = (float(column[-1]) for column in (made.point, made.low, made.high))
    if not isfinite(point):
        return "no forecast: there are no values"
    interval = f" (90 %: {low:.6g} to {high:.6g})" if isfinite(low) else " (no interval: too few values)"
    return f"in {lasting(made.step_s * len(made.point))}: {point:.6g}{interval}"


def _exhaustion_text(found: Exhaustion) -> str:
    if not isfinite(found.eta_s):
        return "nothing points to the limit"
    if found.eta_s == 0:
        return "has reached the limit"
    high = lasting(found.high_s) if isfinite(found.high_s) else "never"
    why = f"{found.reason}, for {lasting(found.seen_s)}"
    return f"reaches the limit in {lasting(found.eta_s)} (90 %: {lasting(found.low_s)} to {high}; {why})"


def _series_fields(seen: Replayed, column: int) -> dict[str, Any]:
    values, made = seen.history.values[:, column], seen.forecasts[column]
    kept = values[np.isfinite(values)]
    steps = made.step_s * np.arange(1, len(made.point) + 1)
    return {
        "series": str(seen.history.series[column]),
        "values": len(kept),
        "missing": len(values) - len(kept),
        "mean": float(kept.mean()) if len(kept) else None,
        "min": float(kept.min()) if len(kept) else None,
        "max": float(kept.max()) if len(kept) else None,
        "forecast": {
            "times": (seen.history.times_s[-1] + steps).tolist(),
            **{name: list(map(_plain, getattr(made, name).tolist())) for name in ("point", "low", "high")},
        },
        "exhaustion": _exhaustion_fields(seen.exhaustions[column]) if seen.exhaustions else None,
    }


def _exhaustion_fields(found: Exhaustion) -> dict[str, Any]:
    numbers = {name: _plain(getattr(found, name)) for name in ("eta_s", "low_s", "high_s", "confidence")}
    return {**numbers, "reason": found.reason}


def _alert_fields(alert: Alert) -> dict[str, Any]:
    point = alert.point
    numbers = {"value": point.value, "score": point.score, "expected_low": point.low, "expected_high": point.high}
    return {
        "row": alert.row,
        "time_s": alert.time_s,
        "series": str(point.series),
        **{name: _plain(number) for name, number in numbers.items()},
        "reason": point.reason,
        "evidence": point.evidence,
    }


def _plain(number: float) -> float | None:
    return number if isfinite(number) else None
