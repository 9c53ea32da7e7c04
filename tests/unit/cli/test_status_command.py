"""What `rebellion status` makes of a report."""

from __future__ import annotations

import pytest

from agent.commands.status import EXIT_CODE, judge


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
