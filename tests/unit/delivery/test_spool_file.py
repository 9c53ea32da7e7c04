"""The spool's file under damage: it always opens, and loses only what was damaged."""

import resource
import shutil
import sqlite3

import pytest

from agent.delivery.spool_bounds import SpoolBounds, keep_within
from agent.delivery.spool_database import FILE_NAME, SpoolUnusable
from agent.delivery.spool_file import SpoolFile
from agent.delivery.spool_frame import Frame, Lane, carve, pack, unpack

SIZE = 1500


def frame(number):
    return Frame(number, number * 10**9, 3, Lane.ORDINARY, "run-1", bytes([number % 251]) * SIZE)


def written(folder, count, per_commit=1):
    file = SpoolFile(folder)
    file.open()
    for first in range(1, count + 1, per_commit):
        file.append([frame(n) for n in range(first, first + per_commit)], [], [])
    return file


def copied(source, target):
    """The file as a kill leaves it: nothing is checkpointed."""
    target.mkdir()
    for name in (FILE_NAME, FILE_NAME + "-wal"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    return target


def ids_in(file):
    found, after_id = [], 0
    while (read := file.read(after_id, 64, 1 << 20)).records or read.damaged_ids:
        found += [one.frame.id for one in read.records]
        after_id = max([*read.damaged_ids, *(one.frame.id for one in read.records)])
    return found


def reopened(folder):
    """Ids that can be read, and how many records opening or reading named as damaged."""
    file = SpoolFile(folder)
    found = file.open()
    damaged = found.damaged_records
    try:
        ids = ids_in(file)
    except sqlite3.DatabaseError:
        damaged += file.rebuild().damaged_records
        ids = ids_in(file)
    file.close()
    return ids, damaged


def test_a_frame_is_found_whole_in_any_surroundings_and_refused_with_any_bit_flipped():
    data = pack(frame(7))
    assert list(carve(b"\xf5RS" + data + b"rest" + data[:-1])) == [frame(7)]
    for at in range(0, len(data), 7):
        assert unpack(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) is None


def test_what_was_committed_is_there_after_a_kill_with_the_numbers_it_was_sent_under(tmp_path):
    file = SpoolFile(tmp_path / "a")
    file.open()
    file.append([frame(1), frame(2), frame(3)], [("run-1", 41), ("run-1", 42)], [])
    again = SpoolFile(copied(tmp_path / "a", tmp_path / "b"))
    assert again.open().totals.records == 3
    assert [(one.epoch, one.seq) for one in again.read(0, 9, 1 << 20).records] == [
        ("run-1", 41),
        ("run-1", 42),
        ("", 0),
    ]
    again.close()
    file.close()


def test_two_processes_cannot_have_one_spool(tmp_path):
    file = written(tmp_path, 1)
    with pytest.raises(SpoolUnusable, match="in use"):
        SpoolFile(tmp_path).open()
    file.close()


def test_a_log_cut_at_every_byte_of_the_last_two_records_gives_all_before_them(tmp_path):
    file = written(tmp_path / "a", 12)
    log = tmp_path / "a" / (FILE_NAME + "-wal")
    size = log.stat().st_size
    for number, cut in enumerate(range(0, 2 * 2 * 8300, 97)):
        folder = copied(tmp_path / "a", tmp_path / f"cut-{number}")
        with (folder / log.name).open("r+b") as torn:
            torn.truncate(size - cut)
        ids, _ = reopened(folder)
        assert ids[:9] == list(range(1, 10)), cut
        shutil.rmtree(folder)
    file.close()


def test_a_bit_flipped_anywhere_in_the_log_costs_at_most_its_own_record(tmp_path):
    file = written(tmp_path / "a", 20)
    log = tmp_path / "a" / (FILE_NAME + "-wal")
    size = log.stat().st_size
    for number, at in enumerate(range(32, size, 4999)):
        folder = copied(tmp_path / "a", tmp_path / f"bit-{number}")
        data = bytearray((folder / log.name).read_bytes())
        data[at] ^= 4
        (folder / log.name).write_bytes(data)
        ids, _ = reopened(folder)
        assert len(ids) >= 19, at
        assert ids == sorted(set(ids))
        shutil.rmtree(folder)
    file.close()


@pytest.mark.parametrize("damage", ["zeroed", "flipped", "truncated"])
def test_any_damaged_page_costs_only_the_records_on_it_and_says_how_many(tmp_path, damage):
    written(tmp_path / "a", 400, per_commit=50).close()
    size = (tmp_path / "a" / FILE_NAME).stat().st_size
    for page in range(0, size // 8192, 5):
        folder = copied(tmp_path / "a", tmp_path / f"page-{page}")
        data = bytearray((folder / FILE_NAME).read_bytes())
        if damage == "zeroed":
            data[page * 8192 : (page + 1) * 8192] = bytes(8192)
        elif damage == "flipped":
            data[page * 8192 + 100] ^= 255
        else:
            del data[(page + 1) * 8192 :]
        (folder / FILE_NAME).write_bytes(data)
        ids, damaged = reopened(folder)
        if damage != "truncated":
            assert len(ids) >= 400 - 5, page
            assert len(ids) + damaged >= 400, page
        assert ids == sorted(set(ids))
        shutil.rmtree(folder)


@pytest.mark.parametrize("table", ["meta", "balance"])
def test_what_is_lost_with_either_balance_is_counted_and_nothing_settled_comes_back(tmp_path, table):
    file = written(tmp_path / "a", 60, per_commit=20)
    file.delete(list(range(1, 11)))
    file.close()
    path = tmp_path / "a" / FILE_NAME
    with sqlite3.connect(path) as database:
        lost_page = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0] - 1
    database.close()
    for page in range(path.stat().st_size // 8192):
        folder = copied(tmp_path / "a", tmp_path / f"page-{page}")
        data = bytearray((folder / FILE_NAME).read_bytes())
        for zeroed in (lost_page, page):
            data[zeroed * 8192 : (zeroed + 1) * 8192] = bytes(8192)
        (folder / FILE_NAME).write_bytes(data)
        ids, damaged = reopened(folder)
        assert len(ids) + damaged >= 50, page
        assert set(ids) <= set(range(11, 61)), page


def test_no_record_that_was_settled_comes_back_after_a_repair(tmp_path):
    file = written(tmp_path / "a", 100)
    file.delete(list(range(1, 61)))
    file.rebuild()
    assert ids_in(file) == list(range(61, 101))
    file.close()


def append_many(file):
    for number in range(6, 1000):
        file.append([frame(number)], [], [])


def test_a_full_disk_refuses_and_goes_on_when_there_is_room_again(tmp_path):
    file = written(tmp_path, 5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, hard))
    try:
        with pytest.raises((sqlite3.Error, OSError)):
            append_many(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    held = file.totals.records
    assert ids_in(file) == list(range(1, held + 1))
    file.append([frame(file.last_id + 1)], [], [])
    assert file.totals.records == held + 1
    file.close()


def test_an_emptied_file_gives_its_room_back(tmp_path):
    file = written(tmp_path, 400, per_commit=50)
    file.delete(list(range(1, 401)))
    assert (tmp_path / FILE_NAME).stat().st_size < 100_000
    file.close()


class Searched(SpoolFile):
    """Notes which lanes are searched, which for a lane without records means reading the whole file."""

    def oldest(self, lane, held, limit):
        self.lanes = [*getattr(self, "lanes", []), lane]
        return super().oldest(lane, held, limit)


@pytest.mark.parametrize(
    ("age_s", "held", "expired"),
    [(60.0, (), 0), (7.5, (), 2), (7.5, (1, 2), 0), (9.5, (), 0)],
    ids=["none is too old", "two are", "those are on their way", "none yet"],
)
def test_a_long_spool_is_searched_only_when_its_oldest_record_is_too_old(tmp_path, age_s, held, expired):
    file = Searched(tmp_path)
    file.open()
    file.append([frame(n) for n in range(1, 9)], [], [])
    dropped = keep_within(file, SpoolBounds(max_age_s=age_s), 10 * 10**9, "run-1", frozenset(held))
    assert dropped == ({("expired", "unknown"): expired * 3} if expired else {})
    assert hasattr(file, "lanes") is bool(expired)
    file.close()


def test_a_record_from_the_future_does_not_shield_those_behind_it_from_their_age(tmp_path):
    file = SpoolFile(tmp_path)
    file.open()
    file.append([frame(1)._replace(wall_ns=90 * 10**9), frame(2), frame(3)], [], [])
    assert keep_within(file, SpoolBounds(max_age_s=7.5), 10 * 10**9, "run-1", frozenset()) == {
        ("expired", "unknown"): 3
    }
    assert [one.frame.id for one in file.read(0, 9, 1 << 20).records][:2] == [1, 3]
    file.close()
