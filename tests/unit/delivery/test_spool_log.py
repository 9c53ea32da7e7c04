"""SQLite's log beside a spool: what was committed counts, whatever lies before it."""

import shutil

import pytest

from agent.delivery.spool_database import FILE_NAME, PAGE_BYTES
from agent.delivery.spool_file import SpoolFile
from agent.delivery.spool_frame import Frame, Lane
from agent.delivery.spool_log import Log, mend, newest_pages

LOG = FILE_NAME + "-wal"
FRAME_BYTES = PAGE_BYTES + 24


@pytest.fixture
def killed(tmp_path):
    """A folder as a kill leaves it: ten records, one of them sent, then three others deleted."""
    file = SpoolFile(tmp_path / "a")
    file.open()
    for number in range(1, 11):
        file.append([Frame(number, number, 3, Lane.ORDINARY, "run-1", bytes([number]) * 1500)], [], [])
    file.number([5], "run-1", 77, [])
    file.delete([1, 2, 8])
    shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns("*-shm"))
    file.close()
    return tmp_path / "b"


def damaged(path, frame, offset, data):
    """Overwrite so many bytes of one frame, -1 = the last."""
    log = bytearray(path.read_bytes())
    at = 32 + (frame % ((len(log) - 32) // FRAME_BYTES)) * FRAME_BYTES + offset
    log[at : at + len(data)] = data
    path.write_bytes(log)


def found(folder):
    """Numbers of the records, what they were sent under, and how many were said to be damaged."""
    file = SpoolFile(folder)
    said = file.open().damaged_records
    records = {one.frame.id: one.seq for one in file.read(0, 64, 1 << 20).records}
    file.close()
    return records, said


WHOLE = {3: 0, 4: 0, 5: 77, 6: 0, 7: 0, 9: 0, 10: 0}


def test_a_whole_log_is_left_alone(killed):
    before = (killed / LOG).read_bytes()
    assert mend(killed / LOG, PAGE_BYTES) == Log()
    assert (killed / LOG).read_bytes() == before
    assert found(killed) == (WHOLE, 0)


@pytest.mark.parametrize("offset", [24 + 4000, 16, 8], ids=["page", "checksum", "salt"])
@pytest.mark.parametrize("frame", [0, 5, 20])
def test_what_is_behind_a_damaged_frame_is_neither_lost_nor_undone(killed, frame, offset):
    damaged(killed / LOG, frame, offset, b"\xa5")
    assert mend(killed / LOG, PAGE_BYTES).damaged_frames > 0
    assert mend(killed / LOG, PAGE_BYTES).damaged_frames == 0
    assert found(killed) == (WHOLE, 0), "every page of these was written again later"


def test_a_damaged_head_hides_nothing(killed):
    log = bytearray((killed / LOG).read_bytes())
    log[:24] = bytes(24)
    (killed / LOG).write_bytes(log)
    assert found(killed) == (WHOLE, 0)


def test_a_log_that_was_just_begun_anew_brings_nothing_older_back(killed):
    """Its head is new, all frames behind it are not: a kill came between the head and the first of the new ones."""
    file = SpoolFile(killed)
    file.open()
    old = (killed / LOG).read_bytes()
    file._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    file.append([Frame(11, 11, 3, Lane.ORDINARY, "run-1", b"new")], [], [])
    new = (killed / LOG).read_bytes()
    file.close()
    assert new[:32] != old[:32]
    (killed / LOG).write_bytes(new[:32] + old[32:])
    assert mend(killed / LOG, PAGE_BYTES).damaged_frames == 0
    assert found(killed) == (WHOLE | {11: 0}, 0)


def test_a_frame_without_a_page_number_is_passed_over(killed):
    damaged(killed / LOG, 5, 0, bytes(24))
    assert found(killed) == (WHOLE, 0)


def test_only_the_newest_picture_of_a_page_counts(killed):
    assert len(newest_pages(killed / LOG, PAGE_BYTES)) < (len((killed / LOG).read_bytes()) - 32) // FRAME_BYTES


@pytest.mark.parametrize("data", [b"", b"short", bytes(100_000)])
def test_what_is_no_log_holds_nothing(tmp_path, data):
    (tmp_path / LOG).write_bytes(data)
    assert mend(tmp_path / LOG, PAGE_BYTES).damaged_frames == 0
    assert newest_pages(tmp_path / LOG, PAGE_BYTES) == {}
