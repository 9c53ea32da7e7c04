"""What every store of the hub must do: a test class inherits from `StoreSuite` and says how to open its store."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from agent.hub.records import Appended, BatchWrite, EventWrite, Points, Registered, Registration, SeriesWrite, Stretches
from agent.hub.statistics import of_points, of_stretches
from agent.hub.store import Limits, Store, StoreReader, TooManyPoints
from agent.model import PointFlag

__all__ = ["DAY_S", "START_NS", "OpenedStore", "StoreSuite"]

DAY_S = 86_400
START_NS = 1_700_006_400_000_000_000
"""A whole day in UTC."""

_S = 1_000_000_000
_FOREVER = Limits(points_s=1e9, rollups_s=1e9)
_LOAD = SeriesWrite("load_1m", (), "", "gauge")
_CORE0 = SeriesWrite("cpu_ratio", (("core", "0"),), "ratio", "gauge")


class OpenedStore:
    """A store, its reader, one agent and two series; times in tests are seconds after START_NS."""

    def __init__(self, store: Store, reader: StoreReader) -> None:
        self.store = store
        self.reader = reader
        with store.transaction():
            self.ids = self.register("web1", "e1")
            self.load, self.core0 = store.define(self.ids.agent_id, [_LOAD, _CORE0])

    def register(self, agent: str, epoch: str) -> Registered:
        """Make an agent and its epoch known; inside a transaction."""
        return self.store.register(Registration(agent, epoch, "0.1", {"dc": "north"}, 5))

    def batch(
        self,
        seq: int,
        time_s: float,
        values: dict[int, float] | None = None,
        *,
        received_s: float | None = None,
        after_seq: int = 0,
        weights: list[float] | None = None,
        flags: list[int] | None = None,
        bounds: list[float] | None = None,
    ) -> BatchWrite:
        """A batch; without values of both series, the number and a tenth of it."""
        values = {self.load: float(seq), self.core0: seq / 10} if values is None else values
        count = len(values)
        return BatchWrite(
            self.ids.agent_id,
            self.ids.epoch_id,
            seq,
            after_seq,
            START_NS + round(time_s * _S),
            START_NS + round((time_s if received_s is None else received_s) * _S),
            struct.pack(f"<{count}I", *values),
            struct.pack(f"<{count}d", *values.values()),
            None if flags is None else bytes(flags),
            None if weights is None else struct.pack(f"<{count}d", *weights),
            None if bounds is None else struct.pack(f"<{count}f", *bounds),
        )

    def event(self, seq: int, time_s: float = 0.0, *, gap_points: int = 0) -> EventWrite:
        """An event."""
        time_ns = START_NS + round(time_s * _S)
        ids = self.ids
        kind = ("breaker.opened", "sink:hub", "warning", "{}")
        return EventWrite(ids.agent_id, ids.epoch_id, seq, 0, time_ns, time_ns, *kind, gap_points)

    def append(self, *writes: BatchWrite | EventWrite) -> list[Appended]:
        """Store records in one transaction."""
        with self.store.transaction():
            return [self.store.append(write) for write in writes]

    def keep_up(self, now_s: float, limits: Limits = _FOREVER) -> int:
        """Run a round of upkeep to its end; how much was let go of."""
        return sum(done.expired for done in self.store.upkeep(START_NS + round(now_s * _S), limits))

    def points(self, from_s: float, to_s: float, series_id: int | None = None, *, limit: int = 10**6) -> Points:
        """Points of one series, `load_1m` when none is named."""
        one = self.load if series_id is None else series_id
        span = (START_NS + round(from_s * _S), START_NS + round(to_s * _S))
        return self.reader.points(self.ids.agent_id, [one], *span, limit=limit)[one]

    def values(self, from_s: float = -1e9, to_s: float = 7e9) -> list[float]:
        """Values of `load_1m`."""
        return list(self.points(from_s, to_s).values.tolist())

    def stretches(self, from_s: float, to_s: float, step_s: int, *, limit: int = 10**6) -> Stretches:
        """Stretches of `load_1m`."""
        span = (START_NS + round(from_s * _S), START_NS + round(to_s * _S))
        found = self.reader.stretches(self.ids.agent_id, [self.load], *span, step_ns=step_s * _S, limit=limit)
        return found[self.load]

    def close(self) -> None:
        """Close both."""
        self.reader.close()
        self.store.close()


class StoreSuite:
    """The contract of `Store` and `StoreReader`, test by test."""

    def open_store(self, folder: Path) -> tuple[Store, StoreReader]:
        """A store in that folder, new or as it was left, and a reader of it."""
        raise NotImplementedError

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[OpenedStore]:
        made = OpenedStore(*self.open_store(tmp_path))
        yield made
        made.close()

    def reopen(self, opened: OpenedStore, folder: Path) -> None:
        """Close the store and open it again."""
        opened.close()
        opened.store, opened.reader = self.open_store(folder)

    def test_points_come_back_by_series_and_time(self, opened: OpenedStore) -> None:
        opened.append(*(opened.batch(seq, seq) for seq in (1, 2, 3)))
        found = opened.points(2, 3, opened.core0)
        assert found.times_ns.tolist() == [START_NS + 2 * _S, START_NS + 3 * _S]
        assert found.values.tolist() == [0.2, 0.3]
        assert found.weights.tolist() == [1.0, 1.0]
        assert found.flags.tolist() == [0, 0]

    def test_a_series_without_points_gives_empty_arrays(self, opened: OpenedStore) -> None:
        assert opened.points(0, 10).times_ns.tolist() == []
        assert opened.points(0, 10, 999).values.tolist() == []

    def test_an_answer_that_would_be_too_large_is_refused(self, opened: OpenedStore) -> None:
        opened.append(*(opened.batch(seq, seq) for seq in range(1, 5)))
        assert len(opened.points(0, 99, limit=4).values) == 4
        with pytest.raises(TooManyPoints, match="more than 3 points"):
            opened.points(0, 99, limit=3)

    def test_a_record_sent_twice_is_stored_once(self, opened: OpenedStore) -> None:
        assert opened.append(opened.batch(1, 1), opened.batch(1, 1)) == [Appended.STORED, Appended.DUPLICATE]
        assert opened.append(opened.batch(1, 1)) == [Appended.DUPLICATE]
        opened.keep_up(60)
        assert opened.append(opened.batch(1, 1)) == [Appended.DUPLICATE]
        assert opened.values() == [1.0]
        assert opened.reader.agents()[0].duplicates_total == 3

    def test_a_record_is_not_stored_before_the_one_sent_before_it(self, opened: OpenedStore) -> None:
        assert opened.append(opened.batch(2, 2, after_seq=1)) == [Appended.OUT_OF_ORDER]
        both = opened.append(opened.batch(1, 1), opened.batch(2, 2, after_seq=1))
        assert both == [Appended.STORED, Appended.STORED]

    def test_numbers_start_anew_with_each_epoch(self, opened: OpenedStore) -> None:
        opened.append(opened.batch(7, 7))
        with opened.store.transaction():
            again, fresh = opened.register("web1", "e1"), opened.register("web1", "e2")
        assert (again.last_seq, fresh.last_seq) == (7, 0)
        assert fresh.agent_id == opened.ids.agent_id

    def test_what_a_failed_transaction_wrote_never_was(self, opened: OpenedStore) -> None:
        class PoweredOff:
            """A record whose storing fails."""

            @property
            def epoch_id(self) -> int:
                raise ValueError("power off")

        with pytest.raises(ValueError, match="power off"):
            opened.append(opened.batch(1, 1), cast("BatchWrite", PoweredOff()))
        assert opened.append(opened.batch(1, 1)) == [Appended.STORED]
        row = opened.reader.agents()[0]
        assert (row.batches_total, row.points_total, row.last_seq) == (1, 2, 1)

    def test_a_series_keeps_its_id_over_restarts_and_takes_a_new_unit(
        self, opened: OpenedStore, tmp_path: Path
    ) -> None:
        self.reopen(opened, tmp_path)
        with opened.store.transaction():
            ids = opened.store.define(opened.ids.agent_id, [SeriesWrite("load_1m", (), "1", "gauge")])
        assert ids == [opened.load]
        assert [row.unit for row in opened.reader.series(opened.ids.agent_id, "load_1m")] == ["1"]

    def test_series_are_listed_by_text_and_by_name(self, opened: OpenedStore) -> None:
        with opened.store.transaction():
            opened.store.define(opened.register("web2", "e1").agent_id, [_LOAD])
        assert [row.text for row in opened.reader.series(opened.ids.agent_id)] == ['cpu_ratio{core="0"}', "load_1m"]
        assert [row.labels for row in opened.reader.series(opened.ids.agent_id, "cpu_ratio")] == [{"core": "0"}]
        assert len(opened.reader.series(None, "load_1m")) == 2

    def test_a_series_is_found_by_its_text_among_others_of_its_name(self, opened: OpenedStore) -> None:
        with opened.store.transaction():
            core1 = SeriesWrite("cpu_ratio", (("core", "1"),), "ratio", "gauge")
            (expected,) = opened.store.define(opened.ids.agent_id, [core1])
        found = opened.reader.series(opened.ids.agent_id, text='cpu_ratio{core="1"}')
        assert [row.series_id for row in found] == [expected]
        assert opened.reader.series(opened.ids.agent_id, text="cpu_ratio") == []

    def test_everything_survives_a_restart(self, opened: OpenedStore, tmp_path: Path) -> None:
        opened.append(opened.batch(1, 1), opened.event(2, gap_points=30))
        opened.keep_up(60)
        opened.append(opened.batch(3, 3))
        self.reopen(opened, tmp_path)
        row = opened.reader.agents()[0]
        assert (row.name, row.labels, row.batches_total, row.points_total) == ("web1", {"dc": "north"}, 2, 4)
        assert (row.gap_points_total, row.last_seq, row.series_count) == (30, 3, 2)
        assert opened.values() == [1.0, 3.0]

    def test_events_are_the_newest_and_stand_oldest_first(self, opened: OpenedStore) -> None:
        opened.append(*(opened.event(seq, seq) for seq in range(1, 6)))
        found = opened.reader.events(None, 0, START_NS + 4 * _S, 2)
        assert [event.time_ns - START_NS for event in found] == [3 * _S, 4 * _S]
        assert opened.reader.events(999, 0, 2 * START_NS, 10) == []

    def test_upkeep_changes_no_answer(self, opened: OpenedStore) -> None:
        """Points, weights, flags and bounds of an hour, with a series that is there now and then and a value not finite."""
        nan, count = float("nan"), 3600
        for first in range(1, count + 1, 600):
            batches = []
            for seq in range(first, first + 600):
                values = {opened.load: nan if seq == 7 else seq * 0.5} | ({opened.core0: seq * 0.1} if seq % 3 else {})
                weights, flags = [1.0 + seq % 5] * len(values), [seq % 4] * len(values)
                bounds = None if seq % 2 else [seq / 4 if seq % 6 else nan] * len(values)
                batches.append(opened.batch(seq, seq, values, weights=weights, flags=flags, bounds=bounds))
            opened.append(*batches)
            opened.keep_up(first + 600)
        opened.keep_up(2 * count)
        opened.keep_up(5 * count)
        found, other = opened.points(1, count), opened.points(1, count, opened.core0)
        every = range(1, count + 1)
        assert ["nan" if value != value else value for value in found.values.tolist()] == [  # noqa: PLR0124 - NaN
            "nan" if seq == 7 else seq * 0.5 for seq in every
        ]
        assert found.times_ns.tolist() == [START_NS + seq * _S for seq in every]
        assert found.weights.tolist() == [1.0 + seq % 5 for seq in every]
        assert found.flags.tolist() == [seq % 4 for seq in every]
        bounds = [0.0 if seq % 2 else seq / 4 if seq % 6 else nan for seq in every]
        np.testing.assert_array_equal(found.bounds, bounds)
        assert other.values.tolist() == [seq * 0.1 for seq in every if seq % 3]
        assert len(opened.points(100, 110).values) == 11

    def test_each_of_many_series_is_found_wherever_upkeep_stands(self, opened: OpenedStore) -> None:
        """Also together, and with a point that comes when its neighbours are brought together already."""
        with opened.store.transaction():
            names = [SeriesWrite("disk_bytes", (("n", f"{one:03d}"),), "bytes", "gauge") for one in range(150)]
            ids = opened.store.define(opened.ids.agent_id, names)
        opened.append(*(opened.batch(seq, seq, {one: one * 1000.0 + seq for one in ids}) for seq in range(1, 31)))
        opened.append(opened.batch(31, 31, {ids[5]: 1.5, ids[140]: 2.5}))
        for now_s, late_s in ((60, 40), (2000, 50), (9000, 55)):
            opened.keep_up(now_s)
            opened.append(opened.batch(now_s, late_s, {ids[70]: float(late_s)}, received_s=now_s + 1))
            found = opened.reader.points(opened.ids.agent_id, ids, START_NS, START_NS + 99 * _S, limit=10**6)
            for one in (ids[0], ids[63], ids[64], ids[70], ids[140], ids[149]):
                alone = opened.points(0, 99, one)
                assert alone.values.tolist() == found[one].values.tolist()
                assert alone.values.tolist()[:30] == [one * 1000.0 + seq for seq in range(1, 31)]
            assert found[ids[140]].values.tolist()[30:] == [2.5]
            assert found[ids[70]].values.tolist()[-1] == late_s
            assert sum(len(points.values) for points in found.values()) == 150 * 30 + 2 + (40, 50, 55).index(late_s) + 1

    def test_a_batch_without_points_is_stored_and_changes_no_answer(self, opened: OpenedStore) -> None:
        opened.append(opened.batch(1, 1, {}), opened.batch(2, 700), opened.batch(3, 2000, {}))
        for now_s in (2100, 5000, 50_000):
            opened.keep_up(now_s)
            assert opened.values() == [2.0]

    def test_late_points_and_steps_of_the_clock_are_stored_and_found(self, opened: OpenedStore) -> None:
        """What waited in an agent's spool for hours, and a clock that was wrong by a year for a moment."""
        year_s = 365.0 * DAY_S
        opened.append(opened.batch(1, 10_000), opened.batch(2, 10_001 + year_s), opened.batch(3, 10_001 - year_s))
        opened.keep_up(10_060)
        opened.append(opened.batch(4, 500, received_s=10_070), opened.batch(5, 10_002))
        opened.keep_up(10_120)
        opened.keep_up(20_000)
        opened.append(opened.batch(6, 501, received_s=20_010))
        assert opened.values(10_000, 10_010) == [1.0, 5.0]
        assert opened.values(0, 1000) == [4.0, 6.0]
        assert opened.values(-2 * year_s, -year_s + 20_000) == [3.0]
        assert opened.values(year_s, 2 * year_s) == [2.0]
        opened.keep_up(30_000)
        assert opened.values(-2 * year_s, 2 * year_s) == [3.0, 4.0, 6.0, 1.0, 5.0, 2.0]

    def test_two_batches_of_the_same_time_are_both_kept(self, opened: OpenedStore) -> None:
        opened.append(opened.batch(1, 5), opened.batch(2, 5))
        opened.keep_up(60)
        opened.append(opened.batch(3, 5, received_s=70))
        opened.keep_up(1000)
        assert sorted(opened.values()) == [1.0, 2.0, 3.0]

    def test_stretches_are_the_same_wherever_upkeep_stands(self, opened: OpenedStore) -> None:
        seconds = range(4000, 9000, 10)
        batches = [
            opened.batch(seq, second, {opened.load: float(seq * 7 % 101)}, weights=[1.0 + seq % 3])
            for seq, second in enumerate(seconds, start=1)
        ]
        for first in range(0, len(batches), 50):
            opened.append(*batches[first : first + 50])
            self._check_stretches(opened, seconds[: first + 50])
            opened.keep_up(seconds[first] + 490)
        for later_s in (10_000, 20_000, 100_000):
            opened.keep_up(later_s)
            self._check_stretches(opened, seconds)

    @staticmethod
    def _check_stretches(opened: OpenedStore, seconds: range) -> None:
        points = [(second, float(seq * 7 % 101), 1.0 + seq % 3) for seq, second in enumerate(seconds, start=1)]
        for step_s in (50, 60, 120, 3600, 7200):
            found = opened.stretches(0, 10_000, step_s)
            starts = sorted({second // step_s * step_s for second in seconds})
            assert [(start - START_NS) // _S for start in found.starts_ns.tolist()] == starts
            for index, start in enumerate(starts):
                inside = [one for one in points if start <= one[0] < start + step_s]
                count = sum(weight for _, _, weight in inside)
                mean = sum(value * weight for _, value, weight in inside) / count
                values = [value for _, value, _ in inside]
                columns = {name: float(column[index]) for name, column in found.columns.items()}
                assert columns.pop("mean") == pytest.approx(mean)
                expected = {"count": count, "min": min(values), "max": max(values), "last": values[-1]}
                assert {name: columns[name] for name in expected} == expected

    def test_points_that_come_late_are_in_the_stretches(self, opened: OpenedStore) -> None:
        opened.append(opened.batch(1, 130, {opened.load: 5.0}))
        opened.keep_up(200)
        opened.keep_up(2000)
        opened.append(opened.batch(2, 125, {opened.load: 1.0}, received_s=2010))
        for now_s in (2010, 2020, 5000, 50_000, 100_000):
            found = opened.stretches(0, 300, 60)
            assert found.starts_ns.tolist() == [START_NS + 120 * _S]
            assert {name: column.tolist() for name, column in found.columns.items()} == {
                "count": [2.0],
                "min": [1.0],
                "max": [5.0],
                "mean": [3.0],
                "last": [5.0],
                "over_time": [3.0],
                "covered_s": [60.0],
                "error": [0.0],
                "max_error": [0.0],
                "marks": [0.0],
            }
            assert opened.stretches(0, 300, 3600).columns["count"].tolist() == [2.0]
            opened.keep_up(now_s)

    def test_stretches_hold_how_wrong_they_may_be(self, opened: OpenedStore) -> None:
        """Points kept for their shape, every 40 s for two hours: ways begin in one stretch, and one step of upkeep, and end in
        another."""
        seconds = range(0, 7200, 40)
        for seq, second in enumerate(seconds, start=1):
            flags, bounds = [PointFlag.SHAPED.value], [seq % 7 / 8]
            value = {opened.load: float(seq * 7 % 101)}
            opened.append(opened.batch(seq, second, value, weights=[40.0], flags=flags, bounds=bounds))
            if second % 600 == 560:
                opened.keep_up(second)
        exact = of_points(opened.points(0, 7200))
        assert (exact.covered_s, exact.max_error) == (7160.0, 0.75)
        for later_s in (10_000, 20_000, 100_000):
            opened.keep_up(later_s)
            for step_s in (60, 3600):
                found = of_stretches(opened.stretches(0, 7200, step_s).columns)
                assert found.mean == pytest.approx(exact.mean)
                assert found.error_bound == pytest.approx(exact.error_bound)
                assert (found.covered_s, found.max_error, found.methods) == (7160.0, 0.75, ("shape",))

    def test_stretches_of_which_nothing_was_left_out_are_not_wrong(self, opened: OpenedStore) -> None:
        opened.append(*(opened.batch(seq, seq * 10) for seq in range(1, 400)))
        for now_s in (4000, 10_000, 100_000):
            opened.keep_up(now_s)
            for step_s in (60, 3600):
                found = of_stretches(opened.stretches(0, 4000, step_s).columns)
                assert (found.error_bound, found.max_error, found.methods, found.covered_s) == (0.0, 0.0, (), 4020.0)

    def test_stretches_of_points_of_which_nothing_is_said_have_no_bound(self, opened: OpenedStore) -> None:
        opened.append(*(opened.batch(seq, seq * 10, weights=[2.0, 2.0]) for seq in range(1, 400)))
        for now_s in (4000, 10_000, 100_000):
            opened.keep_up(now_s)
            for step_s in (60, 3600):
                found = of_stretches(opened.stretches(0, 4000, step_s).columns)
                assert (found.error_bound, found.max_error, found.count) == (None, None, 798.0)

    def test_too_many_stretches_are_refused(self, opened: OpenedStore) -> None:
        opened.append(*(opened.batch(seq, seq * 60) for seq in range(1, 5)))
        with pytest.raises(TooManyPoints, match="more than 3 stretches"):
            opened.stretches(0, 1000, 60, limit=3)

    def test_what_came_too_long_ago_goes_and_the_rest_stays(self, opened: OpenedStore) -> None:
        """Points by age, their roll-ups later; what an agent's clock says does not matter."""
        limits = Limits(points_s=2 * DAY_S, rollups_s=100 * DAY_S)
        expired = 0
        for day in range(12):
            opened.append(opened.batch(day + 1, day * DAY_S - 9e6, received_s=day * DAY_S))
            for later_s in (0, 200, 4000, 60_000):
                expired += opened.keep_up(day * DAY_S + later_s, limits)
        assert expired >= 8
        assert opened.values(-1e7, 1e7) == [9.0, 10.0, 11.0, 12.0][-len(opened.values(-1e7, 1e7)) :]
        assert 2 <= len(opened.values(-1e7, 1e7)) <= 4
        assert opened.stretches(-1e7, 1e7, 60).columns["last"].tolist() == [float(day) for day in range(1, 13)]
        opened.keep_up(300 * DAY_S, limits)
        assert opened.values(-1e7, 1e7) == []
        assert opened.stretches(-1e7, 1e7, 60).columns["last"].tolist() == []

    def test_what_landed_too_long_ago_goes_without_being_brought_into_form(self, opened: OpenedStore) -> None:
        opened.append(opened.batch(1, 0), opened.event(2, 0), opened.batch(3, 100))
        assert opened.keep_up(200, Limits(points_s=150, rollups_s=1000)) == 2
        assert opened.values() == [3.0]
        assert opened.reader.events(None, 0, 2 * START_NS, 10) == []

    def test_newest_values_are_known_however_they_came(self, opened: OpenedStore) -> None:
        assert opened.reader.latest() == []
        opened.append(opened.batch(1, 50), opened.batch(2, 40))
        assert [batch.seq for batch in opened.reader.latest()] == [1]
        opened.keep_up(60)
        opened.append(opened.batch(3, 30))
        assert [batch.seq for batch in opened.reader.latest(opened.ids.agent_id)] == [1]
        opened.append(opened.batch(4, 55))
        assert [batch.seq for batch in opened.reader.latest()] == [4]
        opened.keep_up(100)
        assert [batch.seq for batch in opened.reader.latest()] == [4]
        assert opened.reader.latest(999) == []

    def test_upkeep_and_appending_take_turns(self, opened: OpenedStore) -> None:
        opened.append(*(opened.batch(seq, seq) for seq in range(1, 1500)))
        seq = 1500
        for _ in opened.store.upkeep(START_NS + 2000 * _S, _FOREVER):
            opened.append(opened.batch(seq, seq))
            seq += 1
            assert len(opened.values()) == seq - 1
        assert opened.values() == [float(one) for one in range(1, seq)]
