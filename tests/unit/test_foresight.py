"""What can run out is watched by the minute and told in time, once, and taken back."""

from itertools import pairwise

import numpy as np
import structlog

from agent.collection.series_table import SeriesTable
from agent.events import EventBus
from agent.foresight import MAX_RESOURCES, Foresight
from agent.model import Batch, Level, Series
from agent.testing.clock import FakeClock

VAR = Series("filesystem_used_ratio", (("mount", "/var"),), "ratio")
MEMORY = Series("memory_used_ratio", (), "ratio")
THREADS, PIDS = Series("load_threads_count"), Series("process_ids_max_count")
OTHER = Series("cpu_used_ratio", (), "ratio")


class Bench:
    """A foresight fed with one tick every 10 s."""

    def __init__(self, horizon_s=4 * 3600.0):
        self.clock = FakeClock()
        self.table = SeriesTable()
        self.events = []
        bus = EventBus(self.clock, structlog.get_logger())
        bus.subscribe(self.events.append)
        self.foresight = Foresight(self.table.definition, bus, horizon_s)

    def tick(self, values):
        self.clock.advance(10.0)
        ids = np.array(self.table.ids(values), dtype=np.uint32)
        self.foresight.take(Batch(0, self.clock.monotonic_s(), ids, np.array(list(values.values()), dtype=float)))

    def minutes(self, count, value_of, others=None):
        """Tick through so many minutes; `value_of(minute)` gives the fill of /var, None for none."""
        for tick in range(count * 6):
            value = value_of(tick / 6)
            self.tick({OTHER: 0.99, **(others or {}), **({} if value is None else {VAR: value})})

    def kinds(self):
        return [event.kind for event in self.events]


def test_a_filling_filesystem_is_told_with_its_evidence_hours_ahead():
    bench = Bench()
    bench.minutes(60, lambda _: 0.4)
    bench.minutes(60, lambda minute: 0.4 + minute / 60 * 0.2)
    (event,) = bench.events
    assert (event.kind, event.component, event.level) == ("failure.predicted", "filesystem:/var", Level.WARNING)
    detail = event.detail
    assert detail["resource"] == "filesystem:/var"
    assert 0.5 * 7200 < detail["low_s"] <= detail["eta_s"] <= detail["high_s"] < 3 * 7200
    assert 0 < detail["confidence"] <= 1
    assert detail["evidence"].startswith("it rises steadily, for ")
    (told,) = bench.foresight.predictions()
    assert told.resource == "filesystem:/var"


def test_time_left_is_a_series_while_there_is_a_trend_and_no_longer():
    bench = Bench()
    bench.minutes(60, lambda minute: 0.4 + minute / 60 * 0.2)
    (reading,) = bench.foresight.readings()
    assert (reading.name, reading.labels, reading.unit) == ("exhaustion_s", {"resource": "filesystem:/var"}, "s")
    assert abs(reading.value - 7200) < 600
    bench.minutes(120, lambda _: 0.6)
    assert list(bench.foresight.readings()) == []


def test_what_has_stopped_filling_is_taken_back_once():
    bench = Bench()
    bench.minutes(60, lambda minute: 0.4 + minute / 60 * 0.2)
    bench.minutes(180, lambda _: 0.6)
    assert bench.kinds() == ["failure.predicted", "failure.cleared"]
    assert bench.foresight.predictions() == []


def test_it_is_told_again_when_half_of_the_time_is_left_and_as_an_error_at_the_end():
    bench = Bench()
    bench.minutes(170, lambda minute: 0.2 + minute / 180 * 0.8)
    levels = [event.level for event in bench.events]
    assert 3 <= len(levels) <= 10
    assert set(bench.kinds()) == {"failure.predicted"}
    assert (levels[0], levels[-1]) == (Level.WARNING, Level.ERROR)
    etas = [event.detail["eta_s"] for event in bench.events]
    assert all(later <= max(earlier / 2, 1) + 1 for earlier, later in pairwise(etas))


def test_a_resource_that_is_gone_is_taken_back():
    bench = Bench()
    bench.minutes(60, lambda minute: 0.4 + minute / 60 * 0.2)
    bench.minutes(15, lambda _: None, others={MEMORY: 0.5})
    assert bench.kinds() == ["failure.predicted", "failure.cleared"]
    assert bench.events[-1].detail["evidence"] == "it is no longer there"


def test_a_saw_tooth_is_never_told_after_it_was_seen_twice():
    bench = Bench()
    bench.minutes(240, lambda minute: 0.1 + 0.5 * (minute % 18) / 18)
    assert bench.events == []


def test_process_ids_are_threads_of_all_numbers():
    bench = Bench()
    for tick in range(360):
        bench.tick({THREADS: 1000 + 20 * tick, PIDS: 32768})
    assert {event.component for event in bench.events} == {"process_ids"}


def test_no_more_than_so_many_resources_are_watched():
    bench = Bench()
    mounts = [Series("filesystem_used_ratio", (("mount", f"/{n}"),), "ratio") for n in range(MAX_RESOURCES + 5)]
    for tick in range(300):
        bench.tick(dict.fromkeys(mounts, tick / 600))
    assert len(list(bench.foresight.readings())) == MAX_RESOURCES


def test_memory_is_bounded_however_long_it_runs():
    bench = Bench()
    for _minute in range(1600):
        bench.clock.advance(50.0)
        bench.tick({MEMORY: 0.5})
    (kept,) = bench.foresight._resources.values()
    assert len(kept._values) <= 1500 < 1600
