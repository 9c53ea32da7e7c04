"""Brings a running pipeline from one configuration to the next, touching only what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.model import Level
from agent.resilience.breaker import CircuitState

if TYPE_CHECKING:
    from agent.assembly import Assembly
    from agent.config.loaded import LoadedConfig
    from agent.contracts import Sink
    from agent.events import EventBus
    from agent.pipeline import Pipeline

__all__ = ["Changes", "changes", "keys_that_need_a_restart", "reload_pipeline"]

_ONLY_AT_START = ("name", "interval_s", "labels", "state_dir", "drain_s", "series_idle_s")


class Changes:
    """What differs between two configurations, by instance name.

    Attributes:
        gone: Instances to stop.
        changed: Instances to replace.
        new: Instances to start.
    """

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.gone = sorted(old.keys() - new.keys())
        self.new = sorted(new.keys() - old.keys())
        self.changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])


def changes(old: LoadedConfig, new: LoadedConfig) -> tuple[Changes, Changes]:
    """What happens to the collectors, and what to the sinks."""
    return (
        Changes(_collectors(old), _collectors(new)),
        Changes(_sinks(old), _sinks(new)),
    )


def keys_that_need_a_restart(old: LoadedConfig, new: LoadedConfig) -> list[str]:
    """Keys that differ and are read only when the agent starts."""
    keys = [
        f"agent.{key}" for key in _ONLY_AT_START if getattr(old.config.agent, key) != getattr(new.config.agent, key)
    ]
    sections = ("status", "transformer", "forecast")
    return keys + [name for name in sections if getattr(old.config, name) != getattr(new.config, name)]


async def reload_pipeline(
    pipeline: Pipeline, assembly: Assembly, old: LoadedConfig, new: LoadedConfig, events: EventBus
) -> None:
    """Stop what is gone, replace what changed under its buffer, start what is new; the rest does not notice.

    Collectors that recovery had given up are asked again: a reload is how a person says that the cause is gone.

    Raises:
        LoadError: A new sink could not be made; nothing was changed.
    """
    collectors, sinks = changes(old, new)
    made = {one.name: assembly.sink(one) for one in new.sinks if one.name in {*sinks.changed, *sinks.new}}
    instances = {instance.name: instance for instance in new.collectors}
    for name in collectors.gone + collectors.changed:
        await pipeline.remove_collector(name)
    for name in collectors.changed + collectors.new:
        pipeline.add_collector(assembly.collector(instances[name]))
    await _reload_sinks(pipeline, assembly, new, sinks, made)
    for collector in pipeline.collectors:
        collector.recovery = assembly.recovery
        if collector.breaker.state is CircuitState.FORCED_OPEN:
            collector.breaker.reset()
    for sender in pipeline.senders:
        sender.recovery = assembly.recovery
    needs_restart = keys_that_need_a_restart(old, new)
    if needs_restart:
        events.emit("config.needs_restart", "agent", Level.WARNING, keys=", ".join(needs_restart))
    events.emit(
        "config.reloaded",
        "agent",
        collectors_changed=len(collectors.gone + collectors.changed + collectors.new),
        sinks_changed=len(sinks.gone + sinks.changed + sinks.new),
    )


async def _reload_sinks(
    pipeline: Pipeline, assembly: Assembly, new: LoadedConfig, sinks: Changes, made: dict[str, Sink]
) -> None:
    instances = {instance.name: instance for instance in new.sinks}
    for name in sinks.gone:
        sender = await pipeline.remove_sender(name)
        await sender.close()
    for name in sinks.changed:
        sender = await pipeline.pause_sender(name)
        await sender.close_sink()
        pipeline.replace_sender(assembly.sender(instances[name], made[name], predecessor=sender))
    for name in sinks.new:
        pipeline.add_sender(assembly.sender(instances[name], made[name]))


def _collectors(loaded: LoadedConfig) -> dict[str, Any]:
    return {one.name: (one.plugin, one.section, one.settings) for one in loaded.collectors}


def _sinks(loaded: LoadedConfig) -> dict[str, Any]:
    return {
        one.name: (one.plugin, one.section, one.settings, loaded.samplers[one.section.buffer.sampler].settings)
        for one in loaded.sinks
    }
