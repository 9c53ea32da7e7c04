"""The embedded store: the contract of every store, and what is its own."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.hub import sqlite_compaction
from agent.hub.chunk import Chunk
from agent.hub.records import Appended, SeriesWrite
from agent.hub.rollup import rolled_up
from agent.hub.sqlite_reader import SqliteReader
from agent.hub.sqlite_store import SqliteStore
from agent.hub.state_folder import StateFolder
from agent.hub.statistics import of_stretches
from agent.hub.store import Limits, StoreError
from agent.testing.store_suite import START_NS, OpenedStore, StoreSuite


def open_store(folder: Path) -> tuple[SqliteStore, SqliteReader]:
    return SqliteStore(folder / "hub.sqlite3"), SqliteReader(folder / "hub.sqlite3")


class TestSqliteStore(StoreSuite):
    open_store = staticmethod(open_store)


@pytest.fixture
def opened(tmp_path):
    made = OpenedStore(*open_store(tmp_path))
    yield made
    made.close()


def part_names(folder: Path, kind: str) -> list[str]:
    return sorted(path.name for path in (folder / "hub.parts").glob(f"{kind}-*.sqlite3"))


def test_only_the_owner_may_read_the_files(opened, tmp_path):
    opened.append(opened.batch(1, 1))
    opened.keep_up(60)
    files = [tmp_path / "hub.sqlite3", tmp_path / "hub.parts", *(tmp_path / "hub.parts").iterdir()]
    assert len(files) > 2
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_a_store_that_cannot_write_says_so_and_recovers(opened):
    opened.store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="could not write"):
        opened.append(opened.batch(1, 1))
    opened.store._connection.execute("PRAGMA query_only = OFF")
    assert opened.append(opened.batch(1, 1)) == [Appended.STORED]


def test_series_that_are_known_already_cost_no_write(opened):
    """As when a fleet's agents come back after a restart of the hub, each with all its definitions."""
    known = [SeriesWrite("load_1m", (), "", "gauge"), SeriesWrite("cpu_ratio", (("core", "0"),), "ratio", "gauge")]
    changes = opened.store._connection.total_changes
    with opened.store.transaction():
        assert opened.store.define(opened.ids.agent_id, known) == [opened.load, opened.core0]
    assert opened.store._connection.total_changes == changes


def test_a_series_that_is_defined_twice_at_once_has_one_id(opened):
    fresh = SeriesWrite("load_5m", (), "", "gauge")
    with opened.store.transaction():
        first, again = opened.store.define(opened.ids.agent_id, [fresh, fresh])
    assert first == again
    assert opened.reader.agents()[0].series_count == 3


@pytest.mark.parametrize("count", [0, 1, 64, 65, 300])
def test_any_number_of_series_is_defined_at_once_and_found_again_in_any_order(opened, count):
    series = [SeriesWrite("disk_bytes", (("device", f"sd{number}"),), "bytes", "gauge") for number in range(count)]
    with opened.store.transaction():
        ids = opened.store.define(opened.ids.agent_id, series)
        again = opened.store.define(opened.ids.agent_id, series[::-1])
    stored = {row.text: row.series_id for row in opened.reader.series(opened.ids.agent_id, "disk_bytes")}
    assert ids == again[::-1] == [stored[one.text] for one in series]
    assert opened.reader.agents()[0].series_count == count + 2


def test_of_two_meanings_told_at_once_the_later_counts(opened):
    told = [SeriesWrite("load_5m", (), unit, "gauge") for unit in ("", "1")]
    with opened.store.transaction():
        ids = opened.store.define(opened.ids.agent_id, told)
    assert [(row.series_id, row.unit) for row in opened.reader.series(opened.ids.agent_id, "load_5m")] == [
        (ids[0], "1")
    ]
    assert ids[0] == ids[1]


def test_a_part_that_is_only_just_made_holds_up_no_query(opened, tmp_path):
    """The file is there before its tables are, for a moment or since a kill in between."""
    opened.append(opened.batch(1, 1))
    part = tmp_path / "hub.parts" / f"points-000001-{START_NS // 10**9}.sqlite3"
    part.touch()
    assert opened.values() == [1.0]
    opened.keep_up(60)
    assert part.stat().st_size > 0
    assert opened.values() == [1.0]


def test_folding_leaves_nothing_behind_in_the_main_file(opened):
    opened.append(*(opened.batch(seq, seq) for seq in range(1, 100)))
    opened.keep_up(200)
    assert opened.store._connection.execute("SELECT count(*) FROM batch").fetchone() == (0,)


def test_no_step_of_upkeep_folds_a_whole_fleet(opened):
    """Whatever it costs to fold one agent's batches, acknowledgements wait for a step."""
    with opened.store.transaction():
        for number in range(120):
            ids = opened.register(f"web{number}", "e1")
            opened.store.append(replace(opened.batch(1, number), agent_id=ids.agent_id, epoch_id=ids.epoch_id))
    folded = [step.folded for step in opened.store.upkeep(START_NS + 200 * 10**9, Limits(1e9, 1e9))]
    assert sum(folded) == 120
    assert max(folded) <= 50


def test_a_cell_ends_as_one_chunk(opened, tmp_path):
    for minute in range(10):
        opened.append(*(opened.batch(minute * 60 + s + 1, minute * 60 + s) for s in range(60)))
        opened.keep_up(minute * 60 + 60)
    opened.keep_up(1000)
    opened.keep_up(1060)
    (name,) = part_names(tmp_path, "points")
    with sqlite3.connect(tmp_path / "hub.parts" / name) as part:
        chunks = part.execute("SELECT is_loose, dead FROM chunk").fetchall()
    part.close()
    assert chunks == [(0, None)]


def test_a_part_is_a_file_of_an_eighth_of_the_retention(opened, tmp_path):
    for hour in range(6):
        opened.append(opened.batch(hour + 1, hour * 3600))
        opened.keep_up(hour * 3600 + 1, Limits(points_s=16 * 3600, rollups_s=1e9))
    assert len(part_names(tmp_path, "points")) == 3


def test_the_oldest_points_go_when_there_are_too_many_bytes(opened, tmp_path):
    limits = Limits(points_s=1e9, rollups_s=1e9, max_bytes=1_600_000)
    sizes = []
    for seq in range(1, 301):
        noise = {10_000 + n: (n * seq * 0.123456789) ** 2 for n in range(1000)}
        opened.append(opened.batch(seq, seq, {opened.load: float(seq), **noise}))
        if seq % 10 == 0:
            opened.keep_up(seq, limits)
            sizes.append(sum(path.stat().st_size for path in (tmp_path / "hub.parts").iterdir()))
    assert max(sizes) < 2_000_000
    assert 50 < len(opened.values()) < 290
    assert opened.values() == [float(seq) for seq in range(301 - len(opened.values()), 301)]


def test_a_first_version_file_is_read_on_and_folded(tmp_path):
    """The tables as version 1 made them, with two batches and an event."""
    made = sqlite3.connect(tmp_path / "hub.sqlite3")
    made.executescript((Path(__file__).parent / "store_v1.sql").read_text())
    made.close()
    store, reader = open_store(tmp_path)
    values = [reader.points(1, [1], 0, 2 * START_NS, limit=9)[1].values.tolist()]
    list(store.upkeep(START_NS + 60_000_000_000, Limits(1e9, 1e9)))
    values.append(reader.points(1, [1], 0, 2 * START_NS, limit=9)[1].values.tolist())
    assert values == [[0.5, 0.75]] * 2
    assert [row.points_total for row in reader.agents()] == [4]
    assert [event.kind for event in reader.events(1, 0, 2 * START_NS, 9)] == ["breaker.opened"]
    reader.close()
    store.close()


def test_batches_of_a_damaged_first_version_file_are_saved(tmp_path):
    """The page of the series table is gone, which shows only while the file is brought up to date."""
    path = tmp_path / "hub.sqlite3"
    with sqlite3.connect(path) as made:
        made.executescript((Path(__file__).parent / "store_v1.sql").read_text())
        (page,) = made.execute("SELECT rootpage FROM sqlite_master WHERE name = 'series'").fetchone()
        (size,) = made.execute("PRAGMA page_size").fetchone()
    made.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    store, reader = open_store(tmp_path)
    assert reader.points(1, [1], 0, 2 * START_NS, limit=9)[1].values.tolist() == [0.5, 0.75]
    reader.close()
    store.close()


def test_roll_ups_of_a_third_version_file_are_read_on_and_say_that_no_error_is_known(tmp_path, monkeypatch):
    """Their chunks lack what schema 4 added."""
    new = {"over_time", "covered_s", "error", "max_error", "marks"}

    def stripped(chunks, step_ns):
        made = rolled_up(chunks, step_ns)
        return Chunk(made.ids, made.times_ns, {name: one for name, one in made.columns.items() if name not in new})

    with monkeypatch.context() as older:
        older.setattr(sqlite_compaction, "rolled_up", stripped)
        opened = OpenedStore(*open_store(tmp_path))
        opened.append(*(opened.batch(seq, seq * 10) for seq in range(1, 61)))
        opened.keep_up(2000)
        opened.close()
    with sqlite3.connect(tmp_path / "hub.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    opened = OpenedStore(*open_store(tmp_path))
    opened.append(*(opened.batch(seq, seq * 10, received_s=5000) for seq in range(61, 181)))
    for now_s in (5000, 10_000, 100_000):
        opened.keep_up(now_s)
        found = of_stretches(opened.stretches(0, 2000, 60).columns)
        assert (found.count, found.weighted_mean, found.covered_s) == (180.0, pytest.approx(90.5), 31 * 60.0)
        assert (found.error_bound, found.methods) == (None, ())
        assert of_stretches(opened.stretches(0, 3599, 3600).columns).error_bound is None
        newer = of_stretches(opened.stretches(660, 2000, 60).columns)
        assert (newer.error_bound, newer.count) == (0.0, 115.0)
    opened.close()


def test_parts_that_do_not_tell_which_series_a_chunk_holds_are_read_on(tmp_path, filled):
    """Before upkeep has opened them, and after."""
    for name in part_names(tmp_path, "points") + part_names(tmp_path, "rollups"):
        with sqlite3.connect(tmp_path / "hub.parts" / name) as older:
            older.executescript("ALTER TABLE chunk DROP COLUMN first_id; ALTER TABLE chunk DROP COLUMN last_id;")
            older.execute("PRAGMA user_version = 2")
        older.close()
    reader = SqliteReader(tmp_path / "hub.sqlite3")
    assert reader.points(1, [1], 0, 2 * START_NS, limit=10**6)[1].values.tolist() == filled
    reader.close()
    opened = OpenedStore(*open_store(tmp_path))
    opened.append(opened.batch(1001, 1001))
    opened.keep_up(5000)
    assert opened.values() == [*filled, 1001.0]
    for name in part_names(tmp_path, "points"):
        with sqlite3.connect(tmp_path / "hub.parts" / name) as newer:
            assert newer.execute("SELECT max(first_id), min(last_id) FROM chunk").fetchone() == (1, 2)
        newer.close()
    opened.close()


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


@pytest.fixture
def filled(tmp_path):
    """A closed store of ten minutes, all of them folded into a part."""
    opened = OpenedStore(*open_store(tmp_path))
    for minute in range(10):
        opened.append(*(opened.batch(minute * 60 + s + 1, minute * 60 + s) for s in range(60)))
        opened.keep_up(minute * 60 + 60)
    opened.keep_up(1000)
    values = opened.values()
    opened.close()
    return values


def test_a_main_file_that_is_no_database_is_set_aside_and_the_parts_are_read_on(tmp_path, filled):
    main = tmp_path / "hub.sqlite3"
    main.write_bytes(b"no database" * 1000)
    for left in ("-wal", "-shm"):
        main.with_name(main.name + left).unlink(missing_ok=True)
    opened = OpenedStore(*open_store(tmp_path))
    assert [path.name for path in tmp_path.glob("hub.sqlite3.damaged*")]
    assert opened.values() == filled
    opened.close()


def test_a_damaged_part_is_set_aside_and_new_points_are_taken(tmp_path, filled):
    (name,) = part_names(tmp_path, "points")
    (tmp_path / "hub.parts" / name).write_bytes(b"no database" * 1000)
    opened = OpenedStore(*open_store(tmp_path))
    opened.append(opened.batch(1001, 1001))
    assert len(opened.values()) == 1
    opened.close()
