"""How alerts become events: together what begins together, and never a storm."""

from types import SimpleNamespace

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.anomaly_reports import GATHER_S, MAX_PAUSE_S, PAUSE_S, AnomalyReports
from agent.collection.analysis import Seen
from agent.collection.series_table import SeriesTable
from agent.events import EventBus
from agent.model import Batch, Kind, Level, Series
from agent.testing.clock import FakeClock

CPU, LOAD, QUEUE = Series("cpu_used_ratio"), Series("load_1m_count"), Series("queue_count", (("name", "mail"),))
TOTAL, OWN = Series("requests_total", kind=Kind.COUNTER), Series("agent_series_count")
ALL = (CPU, LOAD, QUEUE, TOTAL, OWN)


class Bench:
    """A host of five series, usually at 10 with a robust standard deviation of about 1.5."""

    def __init__(self):
        self.clock = FakeClock(monotonic_s=1000.0)
        table = SeriesTable()
        self.ids = np.array(table.ids(ALL), dtype=np.uint32)
        self.events = []
        bus = EventBus(self.clock, structlog.get_logger())
        bus.subscribe(self.events.append)
        self.told_s = []
        bus.subscribe(lambda _: self.told_s.append(self.clock.monotonic_s()))
        self.reasons = {}
        self.reports = AnomalyReports(table.definition, bus, lambda: "rebellion")

    def tick(self, *alerting, value=20.0, seconds=1.0, spread=1.0):
        values = np.array([value if one in alerting else 10.0 for one in ALL])
        severity = np.abs(values - 10.0) if spread else np.where(values == 10.0, 0.0, np.inf)
        result = SimpleNamespace(median=np.full(len(ALL), 10.0), mad=np.full(len(ALL), spread), severity=severity)
        seen = Seen(np.full(len(ALL), 0.25), np.isin(values, [value]) & (value != 10.0), result, self.reasons)
        self.reports.take(Batch(0, self.clock.monotonic_s(), self.ids, values), seen)
        self.clock.advance(seconds)

    def ticks(self, count, *alerting):
        for _ in range(count):
            self.tick(*alerting)


@pytest.fixture
def bench():
    return Bench()


def test_one_alert_is_one_event_with_what_was_expected(bench):
    bench.tick(QUEUE)
    assert bench.events == []
    bench.ticks(60)
    (event,) = bench.events
    assert (event.kind, event.component, event.level) == ("anomaly.found", "host", Level.INFO)
    assert dict(event.detail) == {
        "series": 'queue_count{name="mail"}',
        "value": 20.0,
        "score": 0.25,
        "expected_low": 5.55219,
        "expected_high": 14.4478,
        "reason": "20, above the usual 5.55219 to 14.4478",
        "detector": "rebellion",
        "alerts": 1,
        "series_count": 1,
    }


def test_what_the_detector_saw_of_the_worst_is_its_evidence(bench):
    bench.reasons = {ALL.index(QUEUE): "level 20, before 5 to 15", ALL.index(CPU): "level 12, before 5 to 11"}
    bench.tick(QUEUE)
    bench.tick(CPU, value=12.0)
    bench.ticks(60)
    (event,) = bench.events
    assert event.detail["evidence"] == "level 20, before 5 to 15"


def test_an_incident_across_series_is_one_warning_with_the_worst_first(bench):
    bench.tick(CPU)
    bench.tick(LOAD, value=90.0)
    bench.tick(QUEUE)
    bench.ticks(10)
    (event,) = bench.events
    assert (event.level, event.component) == (Level.WARNING, "host")
    assert event.detail["series"] == "load_1m_count"
    assert (event.detail["alerts"], event.detail["series_count"]) == (3, 3)
    assert event.detail["series_2"].startswith("cpu_used_ratio: 20, above")
    assert event.detail["series_3"].startswith('queue_count{name="mail"}: 20, above')


def test_an_incident_of_one_subsystem_bears_its_name(bench):
    bench.tick(CPU, LOAD)
    bench.ticks(5)
    assert [(event.component, event.level) for event in bench.events] == [("cpu", Level.INFO)]


def test_values_that_never_moved_before_are_told_without_a_number_that_is_none(bench):
    bench.tick(CPU, spread=0.0)
    bench.tick(LOAD, spread=np.nan)
    bench.ticks(5)
    (event,) = bench.events
    assert event.detail["series"] == "cpu_used_ratio"
    assert (event.detail["expected_low"], event.detail["expected_high"]) == (10.0, 10.0)
    assert event.detail["series_2"] == "load_1m_count: 20, with nothing known before it"


def test_a_series_that_never_moved_comes_behind_a_great_deviation_and_the_agents_own_comes_last(bench):
    bench.tick(OWN, value=900.0)
    bench.tick(CPU, spread=0.0)
    bench.tick(QUEUE, value=90.0)
    bench.tick(LOAD, value=15.0)
    bench.ticks(5)
    (event,) = bench.events
    assert event.detail["series"] == 'queue_count{name="mail"}'
    assert event.detail["series_2"].startswith("cpu_used_ratio: 20, where 10 is usual")
    assert event.detail["series_3"].startswith("load_1m_count: 15")
    assert event.detail["series_count"] == 4


def test_totals_are_not_told(bench):
    bench.tick(TOTAL)
    bench.ticks(60)
    assert bench.events == []
    assert [reading.value for reading in bench.reports.readings()] == [0]


def test_alerts_that_go_on_are_told_ever_less_often(bench):
    bench.ticks(3600, CPU)
    gaps = np.diff(bench.told_s)
    assert bench.told_s[0] == 1000.0 + GATHER_S
    assert gaps[:6].tolist() == [PAUSE_S, 60.0, 120.0, 240.0, 480.0, 600.0]
    assert sum(event.detail["alerts"] for event in bench.events) == 3600 - (3599 - (bench.told_s[-1] - 1000.0))


def test_after_a_calm_the_next_incident_is_told_at_once_again(bench):
    bench.ticks(400, CPU)
    bench.ticks(700)
    began_s = bench.clock.monotonic_s()
    bench.tick(CPU)
    bench.ticks(40)
    assert bench.told_s[-1] == began_s + GATHER_S
    bench.tick(CPU)
    bench.ticks(5)
    assert bench.told_s[-1] == began_s + 41 + GATHER_S


def test_counts_are_readings_by_subsystem(bench):
    bench.tick(CPU, LOAD, QUEUE)
    bench.ticks(10)
    found = {(one.name, *one.labels.values()): one.value for one in bench.reports.readings()}
    assert found == {
        ("agent_alerts_total", "cpu"): 2,
        ("agent_alerts_total", "other"): 1,
        ("agent_incidents_total",): 1,
    }


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sets(st.sampled_from([0, 1, 2])), st.floats(0.1, 60.0)), max_size=60))
def test_every_alert_is_told_once_and_no_two_events_are_closer_than_the_pause(ticks):
    bench = Bench()
    alerts = 0
    for chosen, seconds in ticks:
        alerts += len(chosen)
        bench.tick(*(ALL[place] for place in chosen), seconds=seconds)
    bench.tick(seconds=MAX_PAUSE_S)
    bench.tick()
    assert sum(event.detail["alerts"] for event in bench.events) == alerts
    assert (np.diff(bench.told_s) >= PAUSE_S - 1e-6).all()
    assert all(event.detail["alerts"] >= event.detail["series_count"] >= 1 for event in bench.events)
