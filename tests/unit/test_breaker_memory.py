import random

import pytest
import structlog
from structlog.testing import capture_logs

from agent.breaker_memory import BreakerMemory
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
from agent.testing.clock import FakeClock

SETTINGS = BreakerSettings(open_s=10.0, jitter_ratio=0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "breakers.json"


def breaker(name, clock):
    return Breaker(name, SETTINGS, clock=clock, rng=random.Random(1))


def run_of(path, clock, *names):
    memory = BreakerMemory(path, structlog.get_logger())
    memory.load()
    breakers = [breaker(name, clock) for name in names]
    for one in breakers:
        memory.adopt(one)
    return memory, breakers


def test_an_open_breaker_goes_on_for_the_rest_of_its_wait_and_a_closed_one_is_not_written(path):
    clock = FakeClock()
    memory, (hub, _disk) = run_of(path, clock, "sink:hub", "collector:disk")
    hub.trip()
    clock.advance(4.0)
    memory.save()
    assert b"collector:disk" not in path.read_bytes()
    _, (hub, disk) = run_of(path, clock, "sink:hub", "collector:disk")
    assert (hub.state, hub.retry_in_s) == (CircuitState.OPEN, 6.0)
    assert disk.state is CircuitState.CLOSED


def test_what_was_left_counts_once(path):
    clock = FakeClock()
    memory, (hub,) = run_of(path, clock, "sink:hub")
    hub.trip()
    memory.save()
    memory, (hub,) = run_of(path, clock, "sink:hub")
    successor = breaker("sink:hub", clock)
    memory.adopt(successor)
    assert (hub.state, successor.state) == (CircuitState.OPEN, CircuitState.CLOSED)
    assert not path.exists()


def test_a_component_given_up_for_good_gets_its_chance_again(path):
    memory, (disk,) = run_of(path, FakeClock(), "collector:disk")
    disk.force_open()
    memory.save()
    assert not path.exists()


@pytest.mark.parametrize("rubbish", [b"{", b'{"sink:hub": {"state": "OPEN"}}', b'{"sink:hub": 3}'])
def test_a_file_that_is_rubbish_costs_a_warning(path, rubbish):
    path.parent.mkdir()
    path.write_bytes(rubbish)
    with capture_logs() as logs:
        _, (hub,) = run_of(path, FakeClock(), "sink:hub")
    assert hub.state is CircuitState.CLOSED
    assert [entry["event"] for entry in logs] == ["breakers.load_failed"]


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    memory = BreakerMemory(tmp_path / "state" / "breakers.json", structlog.get_logger())
    hub = breaker("sink:hub", FakeClock())
    memory.adopt(hub)
    hub.trip()
    with capture_logs() as logs:
        memory.save()
    assert [entry["event"] for entry in logs] == ["breakers.save_failed"]
