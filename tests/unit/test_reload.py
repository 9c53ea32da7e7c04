from types import SimpleNamespace

import msgspec
import pytest

from agent.config.schema import AgentConfig, AgentSection, SinkSection, TransformerSection
from agent.errors import LoadError
from agent.reload import changes, keys_that_need_a_restart, reload_pipeline
from agent.resilience.breaker import CircuitState


def instance(name, settings=None, section=None):
    return SimpleNamespace(name=name, plugin=name, settings=settings, section=section)


def loaded(collectors=(), sinks=(), sampler=None, **agent):
    return SimpleNamespace(
        config=AgentConfig(agent=AgentSection(**agent)),
        collectors=[instance(*one) for one in collectors],
        sinks=[instance(*one, SinkSection()) for one in sinks],
        samplers={"hybrid": SimpleNamespace(settings=sampler)},
    )


class Part:
    """A collector or sender of the pipeline, as far as a reload touches it."""

    def __init__(self, name, state=CircuitState.CLOSED):
        self.name = name
        self.breaker = SimpleNamespace(state=state, reset=lambda: setattr(self.breaker, "state", CircuitState.CLOSED))
        self.recovery = "old"
        self.log = []

    async def close(self):
        self.log.append("closed")

    async def close_sink(self):
        self.log.append("sink closed")


class Pipeline:
    """Notes what is added and removed."""

    def __init__(self, collectors, senders):
        self.by_name = {part.name: part for part in (*collectors, *senders)}
        self.collectors, self.senders, self.log = list(collectors), list(senders), []

    def add_collector(self, part):
        self.log.append(f"+{part.name}")

    def add_sender(self, part):
        self.log.append(f"+{part.name}")

    async def remove_collector(self, name):
        self.log.append(f"-{name}")

    async def remove_sender(self, name):
        self.log.append(f"-{name}")
        return self.by_name[name]

    async def pause_sender(self, name):
        self.log.append(f"paused {name}")
        return self.by_name[name]

    def replace_sender(self, part):
        self.log.append(f"={part.name}")


class Assembly:
    recovery = "new"

    def collector(self, one):
        return Part(one.name)

    def sink(self, one):
        if one.settings == "broken":
            raise LoadError(one.name, "sink", "could not be made")
        return f"sink {one.name}"

    def sender(self, one, sink, predecessor=None):
        assert sink == f"sink {one.name}"
        return Part(f"{one.name} after {predecessor.name}" if predecessor else one.name)


class Events:
    def __init__(self):
        self.emitted = []

    def emit(self, kind, component, *level, **detail):
        self.emitted.append((kind, detail))


def test_only_what_differs_is_touched():
    old = loaded([("cpu", 1), ("load", 1), ("swap", 1)], [("file", 1)])
    new = loaded([("cpu", 1), ("load", 2), ("disk", 1)], [("file", 1)])
    collectors, sinks = changes(old, new)
    assert (collectors.gone, collectors.changed, collectors.new) == (["swap"], ["load"], ["disk"])
    assert (sinks.gone, sinks.changed, sinks.new) == ([], [], [])


def test_a_sinks_sampler_counts_as_part_of_the_sink():
    _, sinks = changes(loaded([], [("file", 1)], sampler=1), loaded([], [("file", 1)], sampler=2))
    assert sinks.changed == ["file"]


def test_keys_that_are_read_at_start_only_are_named():
    old, new = loaded(name="a"), loaded(name="b", drain_s=1.0)
    new.config = msgspec.structs.replace(new.config, transformer=TransformerSection(enabled=False))
    assert keys_that_need_a_restart(old, new) == ["agent.name", "agent.drain_s", "transformer"]


async def test_parts_are_replaced_in_place_and_everybody_gets_the_new_recovery():
    kept, given_up = Part("cpu"), Part("load", CircuitState.FORCED_OPEN)
    sinks = [Part("file"), Part("gone")]
    pipeline, events = Pipeline([kept, given_up], sinks), Events()
    old = loaded([("cpu", 1), ("load", 1), ("swap", 1)], [("file", 1), ("gone", 1)], name="a")
    new = loaded([("cpu", 1), ("load", 1), ("disk", 1)], [("file", 2), ("console", 1)], name="b")
    await reload_pipeline(pipeline, Assembly(), old, new, events)
    assert pipeline.log == ["-swap", "+disk", "-gone", "paused file", "=file after file", "+console"]
    assert [part.log for part in sinks] == [["sink closed"], ["closed"]]
    assert kept.recovery == sinks[0].recovery == "new"
    assert given_up.breaker.state is CircuitState.CLOSED
    assert events.emitted == [
        ("config.needs_restart", {"keys": "agent.name"}),
        ("config.reloaded", {"collectors_changed": 2, "sinks_changed": 3}),
    ]


async def test_a_sink_that_cannot_be_made_leaves_everything_as_it_was():
    pipeline = Pipeline([], [Part("file")])
    old, new = loaded([("cpu", 1)], [("file", 1)]), loaded([], [("file", "broken")])
    with pytest.raises(LoadError, match="could not be made"):
        await reload_pipeline(pipeline, Assembly(), old, new, Events())
    assert pipeline.log == []
