"""`rebellion collect`: one tick of what would be sent, made by the real road and shown instead of shipped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from agent.app import Agent
from agent.builtin import Registration
from agent.config.schema import SinkSection
from agent.model import Batch, Record, Series
from agent.protocol.plain import plain_json

if TYPE_CHECKING:
    from agent.config.loaded import LoadedConfig

__all__ = ["collect_once"]

TICKS = 2
"""The first reading only starts the rates; the second is shown."""

GATHER_S = 0.9
"""A person who asks once wants everything, so slow collectors are waited for."""


@dataclass(slots=True)
class TickCatcher:
    """A sink that keeps the last batch and ends the agent after `TICKS`."""

    end: Callable[[], None] = lambda: None
    agent: str = ""
    definition: Callable[[int], Series] | None = None
    batches: list[Batch] = field(default_factory=list)

    def made(self, _settings: Any, context: Any) -> TickCatcher:
        """The factory: this very object, with its context."""
        self.agent, self.definition = context.agent, context.definition
        return self

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        self.batches += [record for record in records if isinstance(record, Batch)]
        if len(self.batches) >= TICKS:
            self.end()

    async def close(self) -> None:
        """Nothing is held."""


def collect_once(loaded: LoadedConfig, as_json: bool) -> int:
    """Collect twice, a second apart, and print the second tick; the exit code.

    Args:
        loaded: The configuration whose collectors are asked; its sinks are left alone.
        as_json: True prints one JSON object, False one line a series.
    """
    return asyncio.run(_collect(loaded, as_json))


async def _collect(loaded: LoadedConfig, as_json: bool) -> int:
    catcher = TickCatcher()
    agent = Agent(_quick(loaded, catcher), lambda: loaded, gather_s=GATHER_S)
    catcher.end = agent.stop.set
    await agent.run()
    if catcher.definition is None or len(catcher.batches) < TICKS:
        sys.stderr.write("rebellion: no collector gave a sample; the log says why\n")
        return 1
    batch = catcher.batches[TICKS - 1]
    sys.stdout.write(_json(batch, catcher) if as_json else _text(batch, catcher.definition))
    return 0


def _quick(loaded: LoadedConfig, catcher: TickCatcher) -> LoadedConfig:
    """The same collectors, each asked at every tick of one second, and the catcher as the only sink."""
    from agent.config.loaded import Instance, PluginChoice

    registration = Registration("sinks", "collect", catcher.made, None, __name__)
    section = SinkSection()
    latest = PluginChoice(loaded.manager.find("sampling", section.buffer.sampler), None)
    if latest.registration.config is not None:
        latest = replace(latest, settings=latest.registration.config())
    collectors = tuple(
        replace(one, section=msgspec.structs.replace(one.section, interval_s=0.0)) for one in loaded.collectors
    )
    config = msgspec.structs.replace(
        loaded.config,
        agent=msgspec.structs.replace(loaded.config.agent, interval_s=1.0),
        status=msgspec.structs.replace(loaded.config.status, listen=""),
    )
    return replace(
        loaded,
        config=config,
        collectors=collectors,
        sinks=(Instance("collect", "collect", registration, section, None),),
        samplers={section.buffer.sampler: latest},
    )


def _json(batch: Batch, catcher: TickCatcher) -> str:
    assert catcher.definition is not None  # noqa: S101 - checked by the caller
    return plain_json(batch, catcher.agent, catcher.definition).decode() + "\n"


def _text(batch: Batch, definition: Callable[[int], Series]) -> str:
    found = zip(map(definition, batch.ids.tolist()), batch.values.tolist(), strict=True)
    lines = sorted(f"{series}  {value:g} {series.unit}".rstrip() for series, value in found)
    return "".join(line + "\n" for line in lines) + f"{len(lines)} series\n"
