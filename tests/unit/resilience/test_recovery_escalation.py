import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.resilience.escalation import LADDER, Escalation, EscalationSettings


def climb(escalation, now_s, component="a", means=LADDER):
    escalation.failed(component, now_s)
    return escalation.climb(component, 0, means.__contains__, now_s)


def test_scenario_43_the_component_that_failed_longest_ago_makes_room():
    escalation = Escalation(EscalationSettings(max_components=2), random.Random(1))
    for component in "abc":
        escalation.failed(component, 0.0)
    assert [component in escalation.troubled for component in "abc"] == [False, True, True]


def test_scenario_43_a_success_of_a_component_that_never_failed_is_nothing():
    assert Escalation(EscalationSettings(), random.Random(1)).succeeded("a", 0.0) is None


def test_scenario_43_well_again_at_once_where_no_calm_is_asked_for():
    escalation = Escalation(EscalationSettings(calm_s=0.0, failures=1), random.Random(1))
    assert climb(escalation, 0.0) == "reset"
    assert escalation.succeeded("a", 0.0) == "reset"
    assert escalation.escalated() == {}


@pytest.mark.parametrize("seed", range(5))
def test_scenario_43_the_second_climb_is_spread_over_a_fifth_of_ten_minutes(seed):
    escalation = Escalation(EscalationSettings(failures=1), random.Random(seed))
    assert [climb(escalation, 0.0) for _ in range(4)] == ["reset", "circuit_break", "notify", None]
    again_s = next(now_s for now_s in range(1000) if climb(escalation, now_s) == "reset")
    assert 480 <= again_s <= 721


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"failures": 0}, "failures must be >= 1 (got 0)"),
        ({"max_components": 0}, "max_components must be >= 1 (got 0)"),
        ({"window_s": 0}, "window_s must be > 0 (got 0)"),
        ({"rearm_s": -1}, "rearm_s must be > 0 (got -1)"),
        ({"calm_s": -1}, "calm_s must be >= 0 (got -1)"),
    ],
)
def test_settings_out_of_range_are_refused(bad, message):
    with pytest.raises(ValueError, match="must be") as refusal:
        EscalationSettings(**bad)
    assert str(refusal.value) == message


STEPS = st.lists(st.tuples(st.booleans(), st.floats(0.0, 40.0)), max_size=80)


@given(STEPS, st.sets(st.sampled_from(LADDER[1:])))
def test_scenario_43_against_a_model_that_remembers_everything(steps, means):
    """No climb before five failures in a minute; then a rung a failure, each once, until a minute of success."""
    escalation = Escalation(EscalationSettings(rearm_s=1e9), random.Random(1))
    now_s, failures, rungs, well_since_s = 0.0, [], [name for name in LADDER[1:] if name in means], None
    has_begun = False
    for is_failure, passed_s in steps:
        now_s += passed_s
        if is_failure:
            failures.append(now_s)
            well_since_s = None
            has_begun = has_begun or (len(failures) >= 5 and now_s - failures[-5] <= 60.0)
            expected = rungs.pop(0) if has_begun and rungs else None
            assert climb(escalation, now_s, means=means) == expected
            has_begun = has_begun and bool(means)
        else:
            escalation.succeeded("a", now_s)
            well_since_s = now_s if well_since_s is None and failures else well_since_s
            if failures and now_s - well_since_s >= 60.0:
                failures, rungs, has_begun = [], [name for name in LADDER[1:] if name in means], False
        assert ("a" in escalation.troubled) is bool(failures)
