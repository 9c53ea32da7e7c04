"""What a plugin is given beside its configuration: the contexts of `agent.contracts`, for real."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.breaker_memory import BreakerMemory
from agent.clock import Clock
from agent.collection.source import SeriesSource
from agent.collection.threads import WorkerThreads
from agent.columns import Columns
from agent.contracts import Logger, Reading
from agent.events import EventBus
from agent.model import Level, Scalar, Series

__all__ = ["CollectorHost", "PluginHost", "Shared", "SinkHost"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all plugins of one agent share.

    Attributes:
        agent: The agent's name.
        epoch: Tells this run from every other.
        labels: The host's labels.
        state_dir: Where instances get their own folders.
        breakers: What is kept of breakers over a restart.
        columns: Makes the columns of batches.
    """

    agent: str
    epoch: str
    labels: Mapping[str, str]
    state_dir: Path
    clock: Clock
    rng: random.Random
    log: Logger
    events: EventBus
    workers: WorkerThreads
    breakers: BreakerMemory
    columns: Columns


class PluginHost:
    """`PluginContext` of one instance.

    Args:
        kind: `collector`, `sink`, `sampler`, `recovery`, `detector`: the first word of its component name.
        name: Name of the instance.
        shared: See `Shared`.
    """

    def __init__(self, kind: str, name: str, shared: Shared) -> None:
        self.name = name
        self.component = f"{kind}:{name}"
        self.clock = shared.clock
        self.rng = shared.rng
        self.log = shared.log
        self._shared = shared

    @property
    def state_dir(self) -> Path:
        folder = self._shared.state_dir / self.component.replace(":", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def emit(self, kind: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
        self._shared.events.emit(kind, self.component, level, **detail)

    async def run_blocking(self, function: Callable[..., T], /, *args: object) -> T:
        return await self._shared.workers.run(function, *args)


class CollectorHost(PluginHost):
    """`CollectorContext` of one instance: the series come from its `SeriesSource`."""

    def __init__(
        self,
        name: str,
        shared: Shared,
        *,
        interval_s: float,
        source: SeriesSource,
        own_readings: Callable[[], Iterable[Reading]],
    ) -> None:
        super().__init__("collector", name, shared)
        self.interval_s = interval_s
        self.own_readings = own_readings
        self.series = source.series
        self.family = source.family


class SinkHost(PluginHost):
    """`SinkContext` of one instance."""

    def __init__(self, name: str, shared: Shared, definition: Callable[[int], Series]) -> None:
        super().__init__("sink", name, shared)
        self.agent = shared.agent
        self.epoch = shared.epoch
        self.labels = shared.labels
        self.definition = definition
