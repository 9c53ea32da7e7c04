"""One name, one breaker, one set of settings."""

from __future__ import annotations

import asyncio
import random
import threading
import types

import pytest

from agent.resilience.breaker import Breaker, BreakerSettings
from agent.resilience.registry import Registry, SettingsConflict, breakers, get_breaker, guard
from agent.resilience.websocket_breaker import get_circuit_breaker

A = BreakerSettings(open_s=1.0)
B = BreakerSettings(open_s=2.0, probes=1)


@pytest.fixture
def registry(clock):
    return Registry(
        lambda name, settings: Breaker(name, settings, clock=clock, rng=random.Random(1)), BreakerSettings()
    )


def test_scenario_29_the_same_name_and_settings_give_the_same_object(registry):
    first = registry.get("x", A)
    assert registry.get("x", BreakerSettings(open_s=1.0)) is first
    assert registry.get("x") is first
    assert registry.get("x", open_s=1.0) is first
    assert registry.get("y", A) is not first
    assert (first.name, first.settings) == ("x", A)
    assert {breaker.name for breaker in registry} == {"x", "y"}
    assert len(registry) == 2


def test_scenario_29_other_settings_are_refused_naming_the_fields_and_both_values(registry):
    registry.get("x", A)
    with pytest.raises(SettingsConflict) as info:
        registry.get("x", B)
    assert str(info.value) == (
        "'x' is already in use with other settings: open_s is 1.0, asked for 2.0, probes is 3, asked for 1"
    )
    with pytest.raises(ValueError, match="probes is 3, asked for 5"):
        registry.get("x", probes=5)
    assert registry.get("x").settings == A


def test_scenario_29_a_new_one_without_settings_has_the_defaults(registry):
    assert registry.get("x").settings == BreakerSettings()
    assert registry.get("y", probes=7).settings == BreakerSettings(probes=7)
    with pytest.raises(ValueError, match="open_s must be"):
        registry.get("z", open_s=-1)
    assert registry.find("z") is None


async def test_scenario_29_fifty_racing_tasks_get_one_instance(registry):
    async def ask():
        await asyncio.sleep(0)
        return registry.get("x", A)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask()) for _ in range(50)]
    assert len({id(task.result()) for task in tasks}) == 1


def test_scenario_29_so_do_racing_threads(registry):
    together, got = threading.Barrier(8), []

    def ask():
        together.wait(10)
        got.append(registry.get("x", A))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_scenario_29_removal_frees_the_name_and_leaves_nothing_running(registry):
    before = threading.active_count()
    first = registry.get("x", A)
    first.trip()
    assert registry.remove("x")
    assert not registry.remove("x")
    assert registry.find("x") is None
    assert registry.get("x", B) is not first
    assert threading.active_count() == before


def test_scenario_29_unnamed_functions_of_equal_name_in_two_modules_do_not_collide():
    source = "def fetch():\n    raise OSError(__name__)\n"
    made = []
    for name in ("one", "two"):
        module = types.ModuleType(f"breaker_registry_{name}")
        exec(source, module.__dict__)
        made.append(guard(settings=BreakerSettings(min_calls=1))(module.fetch))
    with pytest.raises(OSError, match="one"):
        made[0]()
    with pytest.raises(OSError, match="two"):
        made[1]()
    for name in ("one", "two"):
        assert breakers.remove(f"breaker_registry_{name}.fetch")


def test_functions_guarded_by_one_name_share_one_breaker():
    @guard("shared by two")
    def left():
        return "left"

    @guard("shared by two")
    def right():
        return "right"

    assert (left(), right()) == ("left", "right")
    assert get_breaker("shared by two").snapshot().totals.successes == 2
    assert breakers.remove("shared by two")


def test_the_two_faces_have_their_own_names():
    assert get_circuit_breaker("a name of its own").breaker is not get_breaker("a name of its own")
    assert breakers.remove("a name of its own")
