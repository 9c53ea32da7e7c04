import json

import pytest

from agent.errors import BreakerOpen, ContractError, PermanentDelivery
from agent.resilience.policy import DEFAULT_POLICIES, Policy, PolicyTable, error_name


def policy(component="*", error="*", operation="*"):
    return Policy(component, error, operation, (f"{component} {error} {operation}",))


def chosen(policies, component="sink:hub", operation="deliver", error=None):
    return PolicyTable(policies).choose(component, operation, error or ConnectionResetError("x")).strategies[0]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([policy("*"), policy("sink:*"), policy("sink:hub")], "sink:hub * *"),
        ([policy("sink:hub"), policy("sink:*"), policy("*")], "sink:hub * *"),
        ([policy("*"), policy("sink:*"), policy("sink:h*")], "sink:h* * *"),
        ([policy("sink:other"), policy("*")], "* * *"),
        ([policy(error="OSError"), policy(error="ConnectionError"), policy(error="Exception")], "* ConnectionError *"),
        ([policy(error="builtins.ConnectionResetError"), policy(error="ConnectionError")],
         "* builtins.ConnectionResetError *"),
        ([policy(error="Exception"), policy()], "* Exception *"),
        ([policy(error="ValueError"), policy()], "* * *"),
        ([policy("sink:*"), policy(error="ConnectionResetError")], "sink:* * *"),
        ([policy(error="OSError"), policy(operation="deliver")], "* OSError *"),
        ([policy(operation="deliver"), policy(operation="del*"), policy()], "* * deliver"),
    ],
)  # fmt: skip
def test_scenario_41_the_most_specific_policy_wins(policies, expected):
    assert chosen(policies) == expected


def test_scenario_41_an_error_that_no_policy_knows_gets_the_default_policy():
    assert PolicyTable([Policy("sink:a", strategies=("notify",))]).choose("b", "c", OSError()) == Policy()


def test_of_equals_the_last_wins_and_an_added_one_replaces():
    table = PolicyTable([Policy(strategies=("a",)), Policy(strategies=("b",))])
    assert table.choose("x", "y", OSError()).strategies == ("b",)
    table.add(Policy(strategies=("c",)))
    table.add(Policy("x", strategies=("d",)))
    assert table.choose("z", "y", OSError()).strategies == ("c",)
    assert table.choose("x", "y", OSError()).strategies == ("d",)


def test_the_choice_is_remembered_without_bound_on_names():
    table = PolicyTable([Policy(strategies=("a",))])
    for number in range(5000):
        assert table.choose(f"component {number}", "y", OSError()).strategies == ("a",)
    assert len(table._chosen) <= 2048


@pytest.mark.parametrize("bad", [{"strategies": ()}, {"component": ""}, {"error": ""}, {"operation": ""}])
def test_a_policy_that_says_nothing_is_refused(bad):
    with pytest.raises(ValueError, match=rf"Policy\.{next(iter(bad))} must"):
        Policy(**bad)


def test_classes_of_one_name_are_told_apart_by_their_module():
    assert error_name(json.JSONDecodeError) == "json.decoder.JSONDecodeError"
    assert error_name("OSError") == "OSError"


@pytest.mark.parametrize(
    ("component", "error", "strategies"),
    [
        ("collector:cpu", OSError("x"), ("retry",)),
        ("sink:hub", OSError("x"), ("retry",)),
        ("sink:hub", PermanentDelivery("no"), ("log_only",)),
        ("collector:cpu", ContractError("cpu", "collector", "rubbish"), ("notify",)),
        ("sink:hub", BreakerOpen("hub", 1.0), ("log_only",)),
    ],
)
def test_the_default_policies_suit_the_agent(component, error, strategies):
    assert PolicyTable(DEFAULT_POLICIES).choose(component, "any", error).strategies == strategies
