from types import SimpleNamespace

import structlog

from agent.events import EventBus
from agent.model import Level
from agent.regulator import Regulator, host_pressures
from agent.resilience.breaker import CircuitState
from agent.testing.clock import FakeClock


class Bench:
    """A regulator over two sinks whose buffers are as full as the test says."""

    def __init__(self):
        self.clock = FakeClock()
        self.senders = [
            SimpleNamespace(
                buffer=SimpleNamespace(fill_ratio=0.0, keep_ratio=1.0, oldest_age_s=0.0),
                breaker=SimpleNamespace(state=CircuitState.CLOSED),
                retry_ratio=1.0,
            )
            for _ in range(2)
        ]
        self.pipeline = SimpleNamespace(senders=self.senders, interval_factor=1.0)
        self.events = []
        self.own_cpu_ratio = 0.0
        bus = EventBus(self.clock, structlog.get_logger())
        bus.subscribe(self.events.append)
        self.regulator = Regulator(self.pipeline, self.clock, bus, {"own_cpu": lambda: self.own_cpu_ratio})

    def run(self, seconds, fill_ratio):
        self.senders[1].buffer.fill_ratio = fill_ratio
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.regulator.step()

    @property
    def keep_ratios(self):
        return {sender.buffer.keep_ratio for sender in self.senders}


def test_the_fullest_buffer_thins_intake_fast_and_calm_brings_it_back_slowly():
    bench = Bench()
    bench.run(2, fill_ratio=0.9)
    assert bench.keep_ratios == {0.25}
    bench.run(1, fill_ratio=0.1)
    assert bench.keep_ratios == {0.25 * 1.05}
    bench.run(60, fill_ratio=0.1)
    assert bench.keep_ratios == {1.0}


def test_being_pressed_and_relieved_is_said_with_its_reason():
    bench = Bench()
    bench.run(1, fill_ratio=0.9)
    bench.run(30, fill_ratio=0.1)
    assert [(event.kind, event.level) for event in bench.events] == [
        ("load.pressed", Level.WARNING),
        ("load.relieved", Level.INFO),
    ]
    assert bench.events[0].detail["reason"] == "buffer"


def test_retries_shrink_with_it_and_full_buffers_do_not_stretch_intervals():
    bench = Bench()
    bench.run(1, fill_ratio=0.9)
    assert {sender.retry_ratio for sender in bench.senders} == {0.5}
    assert bench.pipeline.interval_factor == 1.0


def test_what_presses_the_host_stretches_intervals_too():
    bench = Bench()
    bench.own_cpu_ratio = 1.2
    bench.run(2, fill_ratio=0.0)
    assert bench.pipeline.interval_factor == 4.0
    assert bench.events[0].detail["reason"] == "own_cpu"


def test_the_readers_of_this_host_give_figures():
    clock = FakeClock()
    found = host_pressures(clock)
    clock.advance(1.0)
    assert set(found) == {"own_cpu", "own_memory", "memory_stall"}
    assert found["own_cpu"]() >= 0.0
    assert found["own_memory"]() > 0.0


def test_steps_are_a_second_apart_however_often_it_is_called():
    bench = Bench()
    bench.senders[0].buffer.fill_ratio = 0.9
    for _ in range(10):
        bench.regulator.step()
    assert bench.keep_ratios == {0.5}


def test_the_decision_and_its_inputs_are_readings():
    bench = Bench()
    bench.run(1, fill_ratio=0.6)
    found = {(one.name, one.labels.get("input")): one.value for one in bench.regulator.readings()}
    assert found["agent_pressure_input_ratio", "buffer"] == 0.6
    assert found["agent_sampling_ratio", None] == 1.0
    assert ("agent_pressure_ratio", None) in found


def test_52_a_queue_that_stands_before_a_sink_that_takes_is_shed_and_a_burst_is_not():
    bench = Bench()
    bench.senders[0].buffer.oldest_age_s = 20.0
    bench.run(29, fill_ratio=0.3)
    bench.senders[0].buffer.oldest_age_s = 1.0
    bench.run(1, fill_ratio=0.3)
    assert bench.keep_ratios == {1.0}
    bench.senders[0].buffer.oldest_age_s = 20.0
    bench.run(31, fill_ratio=0.3)
    assert bench.keep_ratios == {0.5}
    assert bench.events[-1].detail["reason"] == "queue_delay"


def test_57_a_sink_that_is_away_is_no_queue_and_holds_the_rates_where_they_are():
    bench = Bench()
    bench.run(1, fill_ratio=0.9)
    bench.senders[0].breaker.state = CircuitState.OPEN
    bench.senders[0].buffer.oldest_age_s = 600.0
    bench.run(60, fill_ratio=0.1)
    assert bench.keep_ratios == {0.5}
    assert bench.regulator.decision.reason == "sink_breaker"
    bench.senders[0].breaker.state = CircuitState.CLOSED
    bench.senders[0].buffer.oldest_age_s = 0.0
    bench.run(60, fill_ratio=0.1)
    assert bench.keep_ratios == {1.0}
