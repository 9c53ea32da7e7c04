"""What costs a host its health, and when that is told."""

from types import SimpleNamespace

import numpy as np
import pytest
import structlog

from agent.collection.series_table import SeriesTable
from agent.events import EventBus
from agent.foresight import Prediction
from agent.host_health import SIGNALS, HostHealth, subsystem_of
from agent.model import Batch, Level, PointFlag, Series
from agent.numeric.exhaustion import Exhaustion
from agent.resilience.breaker import CircuitState
from agent.testing.clock import FakeClock

CPU, MEMORY = Series("cpu_used_ratio"), Series("memory_used_ratio")
WAITING = Series("pressure_waiting_10s_ratio", (("resource", "io"), ("who", "full")))
VAR = Series("filesystem_used_ratio", (("mount", "/var"),))


class Bench:
    """The health of a host whose readings, breakers, drops and predictions the test sets."""

    def __init__(self):
        self.clock = FakeClock()
        self.table = SeriesTable()
        self.events = []
        bus = EventBus(self.clock, structlog.get_logger())
        bus.subscribe(self.events.append)
        self.dropped = 0
        outbox = SimpleNamespace(counts=lambda: SimpleNamespace(dropped_points=self.dropped))
        self.sink = SimpleNamespace(
            component="sink:hub", breaker=SimpleNamespace(state=CircuitState.CLOSED), outbox=outbox
        )
        self.predictions = []
        self.health = HostHealth(
            self.table.definition,
            SimpleNamespace(senders=[self.sink], collectors=[]),
            SimpleNamespace(predictions=lambda: self.predictions),
            bus,
        )

    def look(self, values, anomalous=(), times=1):
        ids = np.array(self.table.ids(values), dtype=np.uint32)
        flags = np.array([PointFlag.ANOMALOUS.value * (series in anomalous) for series in values], dtype=np.uint8)
        for _ in range(times):
            self.clock.advance(5.0)
            self.health.take(Batch(0, self.clock.monotonic_s(), ids, np.array(list(values.values())), flags))
        return {reading.labels["subsystem"]: reading.value for reading in self.health.readings()}

    def causes(self, subsystem):
        return [loss.cause for loss in self.health.found[subsystem].reasons]


def test_a_quiet_host_is_whole():
    assert Bench().look({CPU: 0.3, MEMORY: 0.5}) == {"agent": 100, "cpu": 100, "memory": 100, "host": 100}


def test_saturation_costs_the_subsystem_that_waits():
    bench = Bench()
    scores = bench.look({CPU: 0.3, WAITING: 0.8, VAR: 0.95})
    assert scores["cpu"] == 100
    assert scores["disk"] == pytest.approx(100 * (1 - 0.6) * (1 - 0.4))
    assert bench.causes("disk") == [
        'pressure_waiting_10s_ratio{resource="io",who="full"} is 0.8',
        'filesystem_used_ratio{mount="/var"} is 0.95',
    ]


def test_lasting_anomalies_count_and_a_single_one_hardly():
    bench = Bench()
    memory = {Series(f"memory_part_{n}_bytes"): 1.0 for n in range(20)}
    one = next(iter(memory))
    assert bench.look(memory, {one}, times=20)["memory"] == 100
    assert bench.look(memory, set(memory), times=20)["memory"] < 75
    assert "of its series are anomalous" in bench.causes("memory")[0]


def test_a_predicted_failure_costs_more_the_nearer_it_is():
    bench = Bench()
    scores = []
    for eta_s in (14_000.0, 7_000.0, 600.0):
        bench.predictions = [Prediction("filesystem:/var", Exhaustion(eta_s, 0, eta_s, 1.0, "it rises"), 14_400.0)]
        scores.append(bench.look({VAR: 0.5})["disk"])
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 85
    assert scores[-1] < 50
    assert bench.causes("disk") == ["filesystem:/var runs out in 10 min"]


def test_open_breakers_and_drops_cost_the_agent_and_only_while_they_last():
    bench = Bench()
    bench.sink.breaker.state, bench.dropped = CircuitState.OPEN, 12
    assert bench.look({CPU: 0.1})["agent"] == pytest.approx(100 * 0.6 * 0.7)
    assert bench.causes("agent") == ["the breaker of sink:hub is OPEN", "12 points were dropped"]
    bench.sink.breaker.state = CircuitState.CLOSED
    assert bench.look({CPU: 0.1})["host"] == 100


def test_a_change_of_band_is_told_once_with_its_reasons_when_it_lasts():
    bench = Bench()
    bench.look({CPU: 0.3, MEMORY: 0.5})
    bench.look({CPU: 0.3, MEMORY: 1.0})
    bench.look({CPU: 0.3, MEMORY: 0.5})
    assert bench.events == []
    bench.look({CPU: 1.0, MEMORY: 1.0}, times=5)
    bench.look({CPU: 0.3, MEMORY: 0.5}, times=5)
    worse, better = bench.events
    assert (worse.kind, worse.component, worse.level) == ("health.worsened", "host", Level.WARNING)
    assert (worse.detail["was"], worse.detail["now"]) == ("good", "bad")
    assert worse.detail["reason_1"] == "memory_used_ratio is 1"
    assert worse.detail["reason_2"] == "cpu_used_ratio is 1"
    assert (better.kind, better.detail["now"], better.level) == ("health.improved", "good", Level.INFO)


def test_between_two_looks_nothing_is_done():
    bench = Bench()
    bench.look({MEMORY: 0.5})
    bench.clock.advance(-4.0)
    assert bench.look({MEMORY: 1.0})["memory"] == 100


@pytest.mark.parametrize(
    ("series", "subsystem"),
    [
        (CPU, "cpu"),
        (WAITING, "disk"),
        (Series("pressure_waiting_ratio", (("resource", "memory"), ("who", "some"))), "memory"),
        (Series("cgroup_memory_used_ratio"), "memory"),
        (Series("cgroup_processes_count"), "processes"),
        (Series("agent_rss_bytes"), "agent"),
        (Series("dice_face"), ""),
    ],
)
def test_every_series_has_the_subsystem_its_name_says(series, subsystem):
    assert subsystem_of(series) == subsystem


def test_every_signal_is_documented():
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "knowing.md").read_text()
    for name, *labels in SIGNALS:
        signal = SIGNALS[name, *labels]
        row = f"| `{name}`{' ' + ', '.join(labels) if labels else ''} | {signal.good:g} | {signal.bad:g} | {signal.weight:g} |"
        assert row in text, row
