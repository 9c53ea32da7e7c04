"""What `rebellion status` makes of a report."""

from __future__ import annotations

import pytest

from agent.commands.status import EXIT_CODE, judge, recent_incidents


def report(state="ok", reasons=(), score=80.0, accepted=100, **dropped):
    sink = {"name": "hub", "accepted": accepted, "dropped": sum(dropped.values()), "dropped_by_reason": dropped}
    return {"health": {"state": state, "reasons": list(reasons), "score": score}, "sinks": [sink]}


def test_well_is_0_without_reasons():
    assert judge(report(), 40, 0.01) == ("ok", [])
    assert EXIT_CODE["ok"] == 0


@pytest.mark.parametrize("state", ["degraded", "failing"])
def test_what_the_agent_says_of_itself_counts_first(state):
    assert judge(report(state, ["sink:hub is OPEN"], score=10.0), 40, 0.01)[0] == state


def test_a_host_below_the_band_is_degraded_and_the_band_is_the_askers():
    assert judge(report(score=39.4), 40, 0.01) == ("degraded", ["health of the host is 39, below 40"])
    assert judge(report(score=39.4), 30, 0.01)[0] == "ok"
    assert judge(report(score=None), 40, 0.01)[0] == "ok"


def test_drops_beyond_the_share_degrade_and_name_their_reason():
    found = judge(report(sampled=1, expired=4), 40, 0.01)
    assert found == ("degraded", ["sink:hub has dropped 5.0% of its points, most of them for: expired"])
    assert judge(report(sampled=1), 40, 0.01)[0] == "ok"
    assert judge(report(accepted=0), 40, 0.0)[0] == "ok"


def incident(time_s, series_count=1, kind="anomaly.found"):
    detail = {"series": "cpu_used_ratio", "reason": "0.97, above the usual 0.1 to 0.3", "series_count": series_count}
    return {"time_s": time_s, "kind": kind, "detail": detail}


def test_incidents_of_the_last_ten_minutes_are_told_and_no_other_event():
    events = [incident(399.0), incident(880.0, 4), incident(940.0), incident(950.0, kind="breaker.opened")]
    assert list(recent_incidents({"time_s": 1000.0, "events": events})) == [
        "anomaly 2 min ago: cpu_used_ratio 0.97, above the usual 0.1 to 0.3 (and 3 more series)",
        "anomaly 1 min ago: cpu_used_ratio 0.97, above the usual 0.1 to 0.3",
    ]
