"""Parts made by a reload fit those that run already."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import structlog

from agent.array_columns import ArrayColumns
from agent.assembly import Assembly, make_columns
from agent.breaker_memory import BreakerMemory
from agent.collection.series_table import SeriesTable
from agent.columns import PlainColumns
from agent.config.load import load_agent_config
from agent.config.schema import TransformerSection
from agent.model import Batch
from agent.testing.clock import FakeClock


def test_columns_are_plain_where_nothing_computes_with_them():
    assert isinstance(make_columns(TransformerSection(enabled=False)), PlainColumns)
    assert isinstance(make_columns(TransformerSection()), ArrayColumns)


@pytest.mark.parametrize("columns", [PlainColumns(), ArrayColumns()], ids=["plain", "arrays"])
@pytest.mark.parametrize("enabled", ["true", "false"])
def test_a_buffer_takes_what_the_running_pipeline_makes_whatever_a_reload_says(tmp_path, columns, enabled):
    """`transformer.enabled` counts from the next start; a sink that is new in the same reload must not know better."""
    path = tmp_path / "agent.toml"
    path.write_text(
        f"[transformer]\nenabled = {enabled}\n[sinks.file]\npath = '{tmp_path}/out.jsonl'\nbuffer.max_points = 100\n"
    )
    loaded = load_agent_config([path], {"STATE_DIRECTORY": str(tmp_path)})
    clock, log = FakeClock(), structlog.get_logger()
    shared = SimpleNamespace(
        columns=columns,
        clock=clock,
        rng=None,
        log=log,
        events=SimpleNamespace(emit=print),
        workers=None,
        epoch="e",
        state_dir=tmp_path,
        breakers=BreakerMemory(tmp_path / "breakers.json", log),
        agent="a",
        labels={},
    )
    assembly = Assembly(loaded, shared, SeriesTable(), lambda: iter(()))
    (instance,) = loaded.sinks
    buffer = assembly.sender(instance, assembly.sink(instance)).buffer
    for number in range(50):
        ids, values = columns.ids(range(1, 11)), columns.values([1.0] * 10)
        assert buffer.put(Batch(number, float(number), ids, values))
    counts = buffer.counts()
    assert counts.is_balanced
    assert counts.dropped["sampled"] > 0
    assert buffer.sampler_fault_count == 0
