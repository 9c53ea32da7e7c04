"""What `rebellion top` remembers of the reports before: rates, and the small curves in its head."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["LENGTH", "Trail"]

LENGTH = 60

Report = dict[str, Any]


class Trail:
    """Rates between one report and the next, newest last; a restart of the agent begins anew.

    Attributes:
        points_per_s: Points that all collectors gave.
        cpu_ratio: Cores that the agent used, 1.0 = a whole one.
        tick_s: How long the newest tick took, seconds.
        delivered_per_s: By sink, of the newest two reports.
    """

    def __init__(self) -> None:
        self._before: Report | None = None
        self.points_per_s: deque[float] = deque(maxlen=LENGTH)
        self.cpu_ratio: deque[float] = deque(maxlen=LENGTH)
        self.tick_s: deque[float] = deque(maxlen=LENGTH)
        self.delivered_per_s: dict[str, float] = {}

    def add(self, report: Report) -> None:
        """Take in a report; one that is no later than the one before changes nothing."""
        before = self._before
        if before is None or before["epoch"] != report["epoch"]:
            self._begin()
        else:
            elapsed_s = report["uptime_s"] - before["uptime_s"]
            if elapsed_s <= 0:
                return
            self._add_rates(before, report, elapsed_s)
        self.tick_s.append(report["tick"]["duration_s"])
        self._before = report

    def _begin(self) -> None:
        for curve in (self.points_per_s, self.cpu_ratio, self.tick_s):
            curve.clear()
        self.delivered_per_s = {}

    def _add_rates(self, before: Report, report: Report, elapsed_s: float) -> None:
        self.points_per_s.append((report["tick"]["points"] - before["tick"]["points"]) / elapsed_s)
        self.cpu_ratio.append((report["process"]["cpu_s"] - before["process"]["cpu_s"]) / elapsed_s)
        were = {sink["name"]: sink["delivered"] for sink in before["sinks"]}
        self.delivered_per_s = {
            sink["name"]: max(0, sink["delivered"] - were[sink["name"]]) / elapsed_s
            for sink in report["sinks"]
            if sink["name"] in were
        }
