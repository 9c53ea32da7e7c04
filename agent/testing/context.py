"""What a plugin's factory is given, without an agent behind it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.model import Level, Scalar, Series
from agent.testing.clock import FakeClock

if TYPE_CHECKING:
    from agent.collection.threads import WorkerThreads

__all__ = ["FakePluginContext", "FakeSinkContext", "ListLogger"]

T = TypeVar("T")


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


class FakePluginContext:
    """`PluginContext` for tests: time moves when told.

    Args:
        name: Name of the instance.
        state_dir: Folder of the instance; None: asking for it is an error.
        clock: None makes one.

    Attributes:
        events: (kind, level, detail) of everything emitted, in order.
    """

    def __init__(self, name: str = "test", *, state_dir: Path | None = None, clock: FakeClock | None = None) -> None:
        self.name = name
        self.clock = clock or FakeClock()
        self.rng = random.Random(0)
        self.log = ListLogger()
        self.events: list[tuple[str, Level, dict[str, Scalar]]] = []
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

    def close(self) -> None:
        """End the threads that are idle; safe twice."""
        if self._workers is not None:
            self._workers.stop()
            self._workers = None


class FakeSinkContext(FakePluginContext):
    """`SinkContext` for tests.

    Args:
        name: Name of the instance.
        definitions: What each series id stands for.
        labels: Labels of the host.
        state_dir: Folder of the instance; None: asking for it is an error.
        clock: None makes one.
    """

    def __init__(
        self,
        name: str = "test",
        *,
        definitions: Mapping[int, Series] | None = None,
        labels: Mapping[str, str] | None = None,
        state_dir: Path | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        super().__init__(name, state_dir=state_dir, clock=clock)
        self.agent = "web1"
        self.epoch = "e1"
        self.labels = dict(labels or {})
        self.definitions = dict(definitions or {})

    def definition(self, series_id: int) -> Series:
        return self.definitions[series_id]
