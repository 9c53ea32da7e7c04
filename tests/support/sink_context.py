"""The part of a sink's context that the sinks under test use."""

from __future__ import annotations

from typing import Any

import numpy as np

from agent.model import Batch, Kind, Series
from agent.testing.clock import FakeClock

__all__ = ["IDLE", "LOAD", "REQUESTS", "SinkContext", "batch"]

LOAD = Series("load_1m")
IDLE = Series("cpu_idle_ratio", (("cpu", "0"),), "ratio")
REQUESTS = Series("http_requests_total", (("code", "200"),), "", Kind.COUNTER)
T_NS = 1_700_000_000_500_000_000


class SinkContext:
    """Runs blocking calls where it stands, and keeps what is emitted."""

    agent = "web1"
    epoch = "e1"
    name = "test"

    def __init__(self, **labels: str) -> None:
        self.labels = labels
        self.clock = FakeClock()
        self.events: list[tuple[str, dict[str, Any]]] = []

    def definition(self, series_id: int) -> Series:
        return {1: LOAD, 2: IDLE, 3: REQUESTS}[series_id]

    def emit(self, kind: str, _level: object = None, /, **detail: Any) -> None:
        self.events.append((kind, detail))

    async def run_blocking(self, function: Any, *args: Any) -> Any:
        return function(*args)


def batch(values: dict[int, float], time_ns: int = T_NS) -> Batch:
    """Values by series id: 1 is LOAD, 2 IDLE, 3 REQUESTS."""
    return Batch(time_ns, 1.0, np.array(list(values), np.uint32), np.array(list(values.values())))
