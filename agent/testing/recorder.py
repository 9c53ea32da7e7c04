"""What a collector's tests need: a recorder that keeps everything, and a context without an agent behind it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.collection.source import SeriesSource
from agent.contracts import Collector, Reading
from agent.model import Level, Scalar, Series
from agent.testing.clock import FakeClock

if TYPE_CHECKING:
    from agent.collection.threads import WorkerThreads

__all__ = ["FakeCollectorContext", "ListLogger", "ListRecorder", "collect"]

T = TypeVar("T")


class ListRecorder:
    """`Recorder` for tests.

    Attributes:
        samples: Everything recorded, in order, as given: series of kind RATE show their running totals.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[Series, float]] = []

    def add(self, series: Series, value: float) -> None:
        self.samples.append((series, value))

    @property
    def values(self) -> dict[str, float]:
        """Last value of each series by its text: `load_1m`, `disk_reads_per_s{device="sda"}`."""
        return {str(series): value for series, value in self.samples}

    @property
    def names(self) -> set[str]:
        """Names of what was recorded, without labels."""
        return {series.name for series, _ in self.samples}


class ListLogger:
    """`Logger` for tests.

    Attributes:
        entries: (level, event, facts) of everything logged, in order.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, event: str, **facts: Any) -> None:
        self.entries.append(("debug", event, facts))

    def info(self, event: str, **facts: Any) -> None:
        self.entries.append(("info", event, facts))

    def warning(self, event: str, **facts: Any) -> None:
        self.entries.append(("warning", event, facts))

    def error(self, event: str, **facts: Any) -> None:
        self.entries.append(("error", event, facts))


class FakeCollectorContext:
    """`CollectorContext` for tests: series are made and checked by the agent's own code, time moves when told.

    Args:
        name: Name of the instance.
        interval_s: Seconds between ticks, > 0.
        max_series: Series the collector may define.
        readings: What `own_readings` gives.
        state_dir: Folder of the instance; None: asking for it is an error.
        clock: None makes one.

    Attributes:
        events: (kind, level, detail) of everything emitted, in order.
    """

    def __init__(
        self,
        name: str = "test",
        *,
        interval_s: float = 1.0,
        max_series: int = 2000,
        readings: Iterable[Reading] = (),
        state_dir: Path | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.name = name
        self.interval_s = interval_s
        self.clock = clock or FakeClock()
        self.rng = random.Random(0)
        self.log = ListLogger()
        self.readings = list(readings)
        self.events: list[tuple[str, Level, dict[str, Scalar]]] = []
        source = SeriesSource(name, max_series)
        self.series = source.series
        self.family = source.family
        self._state_dir = state_dir
        self._workers: WorkerThreads | None = None

    @property
    def state_dir(self) -> Path:
        if self._state_dir is None:
            raise ValueError(f"{self.name!r} asked for its state_dir; give the context one: state_dir=tmp_path")
        self._state_dir.mkdir(parents=True, exist_ok=True)
        return self._state_dir

    def emit(self, kind: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
        self.events.append((kind, level, detail))

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        """As in the agent: on a thread, which is given up when the caller is cancelled."""
        if self._workers is None:
            from agent.collection.threads import WorkerThreads

            self._workers = WorkerThreads(core_count=1, max_count=16, patience_s=0.001)
        return await self._workers.run(function, *args)

    def own_readings(self) -> Iterable[Reading]:
        return iter(self.readings)

    def close(self) -> None:
        """End the threads that are idle; safe twice."""
        if self._workers is not None:
            self._workers.stop()
            self._workers = None


async def collect(collector: Collector) -> ListRecorder:
    """One collect, of a plain collector or of one that runs on the event loop; what it recorded."""
    recorder = ListRecorder()
    pending = collector.collect(recorder)
    if pending is not None:
        await pending
    return recorder
