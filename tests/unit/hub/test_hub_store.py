from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.hub.sqlite_reader import SqliteReader
from agent.hub.sqlite_store import SqliteStore
from agent.hub.state_folder import StateFolder
from agent.hub.store import Appended, BatchWrite, EventWrite, Registration, SeriesWrite, StoreError, TooManyPoints

LOAD = SeriesWrite("load_1m", (), "", "gauge")
CORE0 = SeriesWrite("cpu_ratio", (("core", "0"),), "ratio", "gauge")


class PoweredOff:
    """A record whose storing fails half-way."""

    @property
    def epoch_id(self):
        raise ValueError("power off")


class Opened:
    """A store and its reader with one agent and two series."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hub.sqlite3"
        self.store = SqliteStore(self.path)
        self.reader = SqliteReader(self.path)
        with self.store.transaction():
            self.ids = self.store.register(Registration("web1", "e1", "0.1", {"dc": "north"}, 5))
            self.load, self.core0 = self.store.define(self.ids.agent_id, [LOAD, CORE0])

    def batch(self, seq: int, *, after_seq: int = 0, time_ns: int | None = None, received_ns: int = 0) -> BatchWrite:
        return BatchWrite(
            self.ids.agent_id,
            self.ids.epoch_id,
            seq,
            after_seq,
            seq * 10 if time_ns is None else time_ns,
            received_ns,
            struct.pack("<2I", self.load, self.core0),
            struct.pack("<2d", seq, seq / 10),
        )

    def event(self, seq: int, *, gap_points: int = 0) -> EventWrite:
        ids = self.ids
        return EventWrite(
            ids.agent_id, ids.epoch_id, seq, 0, seq * 10, 0, "breaker.opened", "sink:hub", "warning", "{}", gap_points
        )

    def append(self, *writes) -> list[Appended]:
        with self.store.transaction():
            return [self.store.append(write) for write in writes]

    def close(self) -> None:
        self.reader.close()
        self.store.close()


@pytest.fixture
def opened(tmp_path):
    made = Opened(tmp_path)
    yield made
    made.close()


def test_points_come_back_by_series_and_time(opened):
    opened.append(*(opened.batch(seq) for seq in (1, 2, 3)))
    found = opened.reader.points(opened.ids.agent_id, [opened.core0], 20, 30, 99)
    assert found[opened.core0].times_ns == [20, 30]
    assert found[opened.core0].values == [0.2, 0.3]


def test_a_series_without_points_gives_empty_arrays(opened):
    found = opened.reader.points(opened.ids.agent_id, [opened.load, 999], 0, 10**18, 99)
    assert (found[opened.load].times_ns, found[999].values) == ([], [])


def test_an_answer_that_would_be_too_large_is_refused(opened):
    opened.append(*(opened.batch(seq) for seq in range(1, 5)))
    both = [opened.load, opened.core0]
    assert len(opened.reader.points(opened.ids.agent_id, both, 0, 99, 8)) == 2
    with pytest.raises(TooManyPoints, match="more than 7 points"):
        opened.reader.points(opened.ids.agent_id, both, 0, 99, 7)


def test_only_the_owner_may_read_the_file(opened):
    assert opened.path.stat().st_mode & 0o077 == 0


def test_a_record_sent_twice_is_stored_once(opened):
    assert opened.append(opened.batch(1), opened.batch(1)) == [Appended.STORED, Appended.DUPLICATE]
    assert opened.append(opened.batch(1)) == [Appended.DUPLICATE]
    assert len(opened.reader.points(opened.ids.agent_id, [opened.load], 0, 99, 99)[opened.load].values) == 1
    assert opened.reader.agents()[0].duplicates_total == 2


def test_a_record_is_not_stored_before_the_one_sent_before_it(opened):
    assert opened.append(opened.batch(2, after_seq=1)) == [Appended.OUT_OF_ORDER]
    assert opened.append(opened.batch(1), opened.batch(2, after_seq=1)) == [Appended.STORED, Appended.STORED]


def test_numbers_start_anew_with_each_epoch(opened):
    opened.append(opened.batch(7))
    with opened.store.transaction():
        again = opened.store.register(Registration("web1", "e1", "0.1", {}, 6))
        fresh = opened.store.register(Registration("web1", "e2", "0.1", {}, 7))
    assert (again.last_seq, fresh.last_seq) == (7, 0)
    assert fresh.agent_id == opened.ids.agent_id


def test_what_a_failed_transaction_wrote_never_was(opened):
    with pytest.raises(ValueError, match="power off"):
        opened.append(opened.batch(1), PoweredOff())
    assert opened.append(opened.batch(1)) == [Appended.STORED]
    row = opened.reader.agents()[0]
    assert (row.batches_total, row.points_total, row.last_seq) == (1, 2, 1)


def test_a_store_that_cannot_write_says_so_and_recovers(opened):
    opened.store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="could not write"):
        opened.append(opened.batch(1))
    opened.store._connection.execute("PRAGMA query_only = OFF")
    assert opened.append(opened.batch(1)) == [Appended.STORED]


def test_a_series_keeps_its_id_over_restarts_and_takes_a_new_unit(opened):
    opened.close()
    opened.store = SqliteStore(opened.path)
    opened.reader = SqliteReader(opened.path)
    with opened.store.transaction():
        ids = opened.store.define(opened.ids.agent_id, [SeriesWrite("load_1m", (), "1", "gauge")])
    assert ids == [opened.load]
    assert [row.unit for row in opened.reader.series(opened.ids.agent_id, "load_1m")] == ["1"]


def test_series_are_listed_by_text_and_by_name(opened):
    assert [row.text for row in opened.reader.series(opened.ids.agent_id)] == ['cpu_ratio{core="0"}', "load_1m"]
    assert [row.labels for row in opened.reader.series(opened.ids.agent_id, "cpu_ratio")] == [{"core": "0"}]


def test_totals_survive_a_restart(opened):
    opened.append(opened.batch(1), opened.event(2, gap_points=30))
    opened.close()
    opened.store = SqliteStore(opened.path)
    opened.reader = SqliteReader(opened.path)
    row = opened.reader.agents()[0]
    assert (row.name, row.labels, row.batches_total, row.points_total) == ("web1", {"dc": "north"}, 1, 2)
    assert (row.gap_points_total, row.last_seq, row.series_count) == (30, 2, 2)


def test_events_are_the_newest_and_stand_oldest_first(opened):
    opened.append(*(opened.event(seq) for seq in range(1, 6)))
    assert [event.time_ns for event in opened.reader.events(None, 0, 45, 2)] == [30, 40]
    assert opened.reader.events(999, 0, 100, 10) == []


def test_what_is_too_old_goes_in_small_steps_and_the_rest_stays(opened):
    opened.append(*(opened.batch(seq, received_ns=seq) for seq in range(1, 11)))
    steps = []
    for _ in range(4):
        with opened.store.transaction():
            steps.append(opened.store.expire(before_ns=8, limit=3))
    assert steps == [3, 3, 1, 0]
    assert opened.reader.points(opened.ids.agent_id, [opened.load], 0, 999, 99)[opened.load].values == [8.0, 9.0, 10.0]


def test_a_wrong_clock_of_an_agent_does_not_decide_what_is_deleted(opened):
    opened.append(opened.batch(1, time_ns=1, received_ns=100))
    with opened.store.transaction():
        assert opened.store.expire(before_ns=50, limit=10) == 0


def test_a_file_that_is_no_store_is_refused_in_one_line(tmp_path):
    (tmp_path / "hub.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.raises(
        StoreError, match=r"hub\.sqlite3: cannot be opened as a store: file is not a database"
    ) as caught:
        SqliteStore(tmp_path / "hub.sqlite3")
    assert "\n" not in str(caught.value)


def test_a_store_of_a_newer_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "hub.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(tmp_path / "hub.sqlite3")


def test_a_second_hub_on_the_same_folder_is_refused(tmp_path):
    with StateFolder(tmp_path), pytest.raises(StoreError, match="another hub"), StateFolder(tmp_path):
        pass
    with StateFolder(tmp_path) as folder:
        folder.open_store().close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"state_dir: .*/file/state: cannot be written"),
        StateFolder(tmp_path / "file" / "state"),
    ):
        pass
