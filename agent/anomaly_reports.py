"""Tells of anomalies as events: what begins together is one incident, and incidents come no faster than can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf, isfinite
from typing import TYPE_CHECKING

from agent.collection.unusual import unusual_points
from agent.contracts import Reading
from agent.host_health import subsystem_of
from agent.model import Kind, Level
from agent.numeric.health import HOST

if TYPE_CHECKING:
    from agent.collection.analysis import Seen
    from agent.collection.unusual import Unusual
    from agent.events import EventBus
    from agent.model import Batch, Scalar, Series

__all__ = ["AnomalyReports"]

GATHER_S = 3.0
"""An incident is told so long after its first alert, with all that began meanwhile."""
PAUSE_S = 30.0
"""Least time from one event to the next. It doubles with each that had to wait for it."""
MAX_PAUSE_S = 600.0
WARNING_SERIES = 3
"""From so many series on an incident is a warning: several seldom leave their range at once by chance."""
TOLD_SERIES = 3
UNSCALED = 10.0
"""What a deviation counts as that has no scale, since the series had never moved before."""
KEPT_SERIES = 256


class AnomalyReports:
    """Makes one event `anomaly.found` of the alerts that come within three seconds, or while the last event is too young.

    Totals only ever rise, so alerts on series of kind COUNTER are marked on the points and not told.

    Args:
        definition: What a series id stands for.
        events: Where incidents are told.
        judge: Name of what judges the points now.
    """

    def __init__(self, definition: Callable[[int], Series], events: EventBus, judge: Callable[[], str]) -> None:
        self._definition = definition
        self._events = events
        self._judge = judge
        self._worst: dict[int, Unusual] = {}
        self._series: set[int] = set()
        self._alerts = 0
        self._began_s = inf
        self._told_s = -inf
        self._pause_s = PAUSE_S
        self.alerts_total: Counter[str] = Counter()
        self.incidents_total = 0

    def take(self, batch: Batch, seen: Seen) -> None:
        """Note a tick's alerts, and tell what is due. Call it with every tick."""
        now_s = batch.monotonic_s
        for point in unusual_points(batch.ids, batch.values, seen, self._definition):
            if point.series.kind is not Kind.COUNTER:
                self._note(point, now_s)
        if now_s >= max(self._began_s + GATHER_S, self._told_s + self._pause_s):
            self._tell(now_s)

    def readings(self) -> Iterator[Reading]:
        """Alerts by subsystem (`other` for none), and incidents told, since the start."""
        for subsystem, count in self.alerts_total.items():
            yield Reading("agent_alerts_total", count, {"subsystem": subsystem}, kind=Kind.COUNTER)
        yield Reading("agent_incidents_total", self.incidents_total, kind=Kind.COUNTER)

    def _note(self, point: Unusual, now_s: float) -> None:
        self.alerts_total[subsystem_of(point.series) or "other"] += 1
        self._alerts += 1
        self._series.add(point.series_id)
        self._began_s = min(self._began_s, now_s)
        known = self._worst.get(point.series_id)
        if (known is None and len(self._worst) < KEPT_SERIES) or (known and known.deviation < point.deviation):
            self._worst[point.series_id] = point

    def _tell(self, now_s: float) -> None:
        has_waited = self._began_s + GATHER_S < self._told_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S) if has_waited else PAUSE_S
        ranked = sorted(self._worst.values(), key=_rank)
        subsystems = {subsystem_of(point.series) for point in ranked}
        component = subsystems.pop() if len(subsystems) == 1 else ""
        level = Level.WARNING if len(self._series) >= WARNING_SERIES else Level.INFO
        self.incidents_total += 1
        self._events.emit("anomaly.found", component or HOST, level, **self._detail(ranked))
        self._told_s, self._began_s, self._alerts = now_s, inf, 0
        self._worst, self._series = {}, set()

    def _detail(self, ranked: list[Unusual]) -> dict[str, Scalar]:
        worst, *others = ranked[:TOLD_SERIES]
        numbers = {"value": worst.value, "score": worst.score, "expected_low": worst.low, "expected_high": worst.high}
        return {
            "series": str(worst.series),
            **{name: float(f"{number:.6g}") if isfinite(number) else None for name, number in numbers.items()},
            "reason": worst.reason,
            **({"evidence": worst.evidence} if worst.evidence else {}),
            "detector": self._judge(),
            "alerts": self._alerts,
            "series_count": len(self._series),
            **{f"series_{place}": f"{point.series}: {point.reason}" for place, point in enumerate(others, 2)},
        }


def _rank(point: Unusual) -> tuple[bool, float]:
    """The host's own series before those of the agent, and then by deviation."""
    deviation = point.deviation if isfinite(point.deviation) else UNSCALED
    return subsystem_of(point.series) == "agent", -deviation
