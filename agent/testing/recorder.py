"""What a collector's tests need: a recorder that keeps everything, and a context without an agent behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.collection.source import SeriesSource
from agent.contracts import Collector, Reading
from agent.model import Series
from agent.testing.clock import FakeClock
from agent.testing.context import FakePluginContext

__all__ = ["FakeCollectorContext", "ListRecorder", "collect"]


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


class FakeCollectorContext(FakePluginContext):
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
        super().__init__(name, state_dir=state_dir, clock=clock)
        self.interval_s = interval_s
        self.readings = list(readings)
        source = SeriesSource(name, max_series)
        self.series = source.series
        self.family = source.family

    def own_readings(self) -> Iterator[Reading]:
        return iter(self.readings)


async def collect(collector: Collector) -> ListRecorder:
    """One collect, of a plain collector or of one that runs on the event loop; what it recorded."""
    recorder = ListRecorder()
    pending = collector.collect(recorder)
    if pending is not None:
        await pending
    return recorder
