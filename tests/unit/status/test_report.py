"""What the agent calls its own health, and why."""

from __future__ import annotations

import pytest

from agent.status.report import health

TICK = {"age_s": 0.4, "interval_s": 1.0}
CALM = {"is_pressed": False, "reason": "buffer", "rate": 1.0}


def collector(name="cpu", state="CLOSED", last_error=""):
    return {"name": name, "state": state, "last_error": last_error}


def sink(name="hub", breaker="CLOSED", fill_ratio=0.1, spool_ratio=0.0, last_error=""):
    spool = {"fill_ratio": spool_ratio}
    return {
        "name": name,
        "breaker": breaker,
        "buffer": {"fill_ratio": fill_ratio},
        "spool": spool,
        "last_error": last_error,
    }


def test_nothing_wrong_is_ok_without_reasons():
    assert health(TICK, [collector()], [sink(), {**sink(), "spool": None}], CALM) == {"state": "ok", "reasons": []}


def test_an_agent_without_collectors_and_sinks_is_not_failing():
    assert health(TICK, [], [], CALM)["state"] == "ok"


@pytest.mark.parametrize("state", ["OPEN", "HALF_OPEN", "FORCED_OPEN"])
def test_one_of_several_breakers_that_is_not_closed_degrades_and_says_its_error(state):
    found = health(TICK, [collector(), collector("gpu", state, "OSError: gone")], [sink()], CALM)
    assert found == {"state": "degraded", "reasons": [f"collector:gpu is {state}: OSError: gone"]}


@pytest.mark.parametrize("state", ["DISABLED", "METRICS_ONLY"])
def test_a_breaker_that_lets_everything_through_is_sound(state):
    assert health(TICK, [collector(state=state)], [sink(breaker=state)], CALM)["state"] == "ok"


def test_no_sink_that_takes_anything_is_failing():
    found = health(TICK, [collector()], [sink("a", "OPEN"), sink("b", "OPEN")], CALM)
    assert found == {"state": "failing", "reasons": ["sink:a is OPEN", "sink:b is OPEN"]}


def test_no_collector_that_reads_anything_is_failing():
    assert health(TICK, [collector(state="OPEN")], [sink()], CALM)["state"] == "failing"


def test_a_beat_that_stopped_is_failing():
    found = health({"age_s": 3.5, "interval_s": 1.0}, [collector()], [sink()], CALM)
    assert found == {"state": "failing", "reasons": ["no tick for 3.5 s"]}


@pytest.mark.parametrize("full", [{"fill_ratio": 0.9}, {"spool_ratio": 0.9}])
def test_a_buffer_or_spool_that_fills_up_degrades(full):
    assert health(TICK, [], [sink(**full)], CALM) == {"state": "degraded", "reasons": ["sink:hub is 90% full"]}


def test_pressure_degrades_and_says_what_is_kept():
    pressed = {"is_pressed": True, "reason": "own_cpu", "rate": 0.25}
    assert health(TICK, [], [sink()], pressed)["reasons"] == ["pressed by own_cpu, 25% of the points are kept"]
