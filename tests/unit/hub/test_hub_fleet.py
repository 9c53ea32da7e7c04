"""What the hub knows of an agent right now."""

from __future__ import annotations

import struct

import pytest

from agent.hub.fleet import HEALTH_SERIES, FleetAgent
from agent.hub.records import AgentRow, BatchWrite
from agent.model import PointFlag


def batch(values: dict[int, float], flags: bytes | None = None) -> BatchWrite:
    ids = struct.pack(f"<{len(values)}I", *values)
    return BatchWrite(1, 1, 1, 0, 10**9, 10**9, ids, struct.pack(f"<{len(values)}d", *values.values()), flags)


def agent(*texts: str) -> FleetAgent:
    made = FleetAgent(AgentRow(1, "web1"))
    made.define(dict(enumerate(texts, start=1)))
    return made


@pytest.mark.parametrize(
    ("values", "score"),
    [({1: 7.0, 2: 83.0}, 83.0), ({2: float("nan")}, None), ({1: 7.0}, None)],
)
def test_the_hosts_own_score_is_the_one_of_its_newest_batch(values, score):
    one = agent("load_1m", HEALTH_SERIES)
    assert one.health_score() is None
    one.latest = batch(values)
    assert one.describe()["health_score"] == score


def test_the_score_is_known_whichever_series_come_after_it():
    one = agent(HEALTH_SERIES)
    one.define({2: "load_1m"})
    one.latest = batch({1: 83.0})
    assert one.health_score() == 83.0


def test_an_agent_that_gives_no_score_has_none():
    one = agent("load_1m")
    one.latest = batch({1: 7.0})
    assert one.health_score() is None


def test_only_marked_and_defined_series_stand_out():
    one = agent("load_1m", "load_5m")
    flags = bytes([PointFlag.CRITICAL, PointFlag.ANOMALOUS, PointFlag.ANOMALOUS])
    assert one.anomalies_of(batch({1: 7.0, 2: 8.0, 9: 9.0}, flags)) == ["load_5m"]
    assert one.anomalies_of(batch({1: 7.0})) == []
