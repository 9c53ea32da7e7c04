"""Damage anywhere in a spool's files: it opens, nothing that arrived comes again, and what is gone is counted."""

import random
import shutil
from collections import Counter

import numpy as np
import pytest

from agent.array_columns import ArrayColumns
from agent.collection.series_table import SeriesTable
from agent.delivery.spool import Spool, SpoolSettings
from agent.delivery.spool_database import FILE_NAME
from agent.model import Batch, Series
from agent.testing.clock import FakeClock

FILES = (FILE_NAME, FILE_NAME + "-wal")
SERIES_COUNT = 1200
"""Records of up to two pages."""


class Inline:
    async def run(self, function, /, *args):
        return function(*args)


class Life:
    """One run over a folder; batch n has the time n."""

    def __init__(self, folder, run):
        self.events, self.made, self.arrived, self.waiting = [], [], set(), []
        self.table, self.run = SeriesTable(), run
        self.ids = self.table.ids([Series("s", (("n", str(n)),)) for n in range(SERIES_COUNT)])
        self.spool = Spool(
            "sink:x",
            folder,
            SpoolSettings(),
            run=run,
            table=self.table,
            columns=ArrayColumns(),
            workers=Inline(),
            clock=FakeClock(),
            emit=lambda kind, component, *level, **detail: self.events.append((kind, detail)),
        )

    @property
    def said(self):
        """How many records it has said are gone."""
        return sum(detail.get("damaged_records", detail.get("records", 0)) for _, detail in self.events)

    async def write(self, count, series_count, *, is_sent=False):
        """Batches on disk; those that are sent stay in memory as well, and arrive before what waits here."""
        numbers = range(len(self.made) + 1, len(self.made) + count + 1)
        ids = np.array(self.ids[:series_count], np.uint32)
        batches = [Batch(n, 0.0, ids, np.random.default_rng(n).random(len(ids))) for n in numbers]
        on_disk = await self.spool.append(batches, self.run if is_sent else "", numbers[0], count if is_sent else 0)
        self.made += numbers
        if is_sent:
            self.spool.settle(on_disk, 0)
            await self.spool.forget_settled()
            self.arrived |= set(numbers)

    async def send(self, count):
        """The oldest on disk arrive; when each was numbered, and the number."""
        taken = await self.spool.read(count, 1 << 20)
        if taken:
            await self.spool.number([one.id for one in taken], self.run, taken[0].id)
            self.spool.settle([one.id for one in taken], sum(one.record.points for one in taken))
            await self.spool.forget_settled()
            self.arrived |= {one.record.time_ns for one in taken}
        return [(one.record.time_ns, one.seq) for one in taken]


async def lived(folder, rng):
    life = Life(folder, "run-a")
    await life.spool.open(may_make=True)
    for _ in range(rng.randrange(5, 40)):
        await life.write(rng.choice([1, 1, 2, 5, 20]), rng.choice([10, 100, SERIES_COUNT]), is_sent=rng.random() < 0.2)
        if rng.random() < 0.2:
            await life.send(rng.randrange(1, 20))
    return life


def killed(source, target):
    """The files as a kill leaves them: nothing is checkpointed."""
    target.mkdir()
    for name in (*FILES, "balance"):
        shutil.copy(source / name, target / name)
    return [target / name for name in FILES]


def flip_bits(data, rng):
    for _ in range(rng.choice([1, 3, 20])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def zero_a_sector(data, rng):
    at = rng.randrange(len(data) // 4096) * 4096
    data[at : at + 4096] = bytes(len(data[at : at + 4096]))


def cut_the_tail(data, rng):
    del data[rng.randrange(len(data) - 3000, len(data)) :]


async def emptied(folder):
    """The next run, once nothing is left; and what it found, with the numbers that it bore."""
    life, found = Life(folder, "run-b"), []
    await life.spool.open()
    for _ in range(2000):
        found += await life.send(64)
        if life.spool.records <= 0:
            break
    return life, found


async def test_what_arrived_before_a_kill_does_not_come_again_when_it_overtook_what_waits(tmp_path):
    life = Life(tmp_path / "a", "run-a")
    await life.spool.open(may_make=True)
    await life.write(3, 10)
    await life.write(2, 10, is_sent=True)
    killed(tmp_path / "a", tmp_path / "b")
    again, found = await emptied(tmp_path / "b")
    assert [number for number, _ in found] == [1, 2, 3]
    assert again.events == []


@pytest.mark.parametrize("damage", [flip_bits, zero_a_sector, cut_the_tail])
@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(8, 200))])
async def test_whatever_is_damaged_is_counted_and_the_rest_arrives_once(tmp_path, seed, damage):
    rng = random.Random(seed)
    life = await lived(tmp_path / "a", rng)
    files = killed(tmp_path / "a", tmp_path / "b")
    written = [path for path in files if path.stat().st_size]
    path = written[-1] if damage is cut_the_tail else rng.choice(written)
    data = bytearray(path.read_bytes())
    damage(data, rng)
    path.write_bytes(data)
    again, found = await emptied(tmp_path / "b")
    due = [number for number in life.made if number not in life.arrived]
    lost = sorted(set(due) - {number for number, _ in found})
    assert len(lost) <= again.said
    assert all(times == 1 for times in Counter(number for number, _ in found).values())
    unnumbered = {number for number, seq in found if seq == 0}
    assert not unnumbered & life.arrived, "the hub would take it for new"
    assert (again.spool.records, again.spool.points) == (0, 0)


async def test_a_log_whose_head_was_zeroed_with_the_first_page_behind_it_is_read_on(tmp_path):
    before = Life(tmp_path / "a", "run-a")
    await before.spool.open(may_make=True)
    await before.write(3, 10)
    await before.spool.close()
    life = Life(tmp_path / "a", "run-b")
    await life.spool.open()
    for _ in range(4):
        await life.write(2, 10)
    _, log = killed(tmp_path / "a", tmp_path / "b")
    log.write_bytes(bytes(4096) + log.read_bytes()[4096:])
    again, found = await emptied(tmp_path / "b")
    assert len(found) == 11
    assert again.said == 0


async def test_numbers_that_no_balance_knows_of_are_counted_up_to_the_newest_record(tmp_path):
    """Where what is left of the file is an older picture: the balance beside it is newer."""
    life = Life(tmp_path, "run-a")
    await life.spool.open(may_make=True)
    await life.write(4, 10)
    file = life.spool._file
    balances = [file._db.execute(f"SELECT * FROM {table}").fetchone() for table in ("meta", "balance")]
    await life.write(6, 10)
    file._db.execute("DELETE FROM record WHERE id IN (5, 6, 9)")
    for table, row in zip(("meta", "balance"), balances, strict=True):
        file._db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    file._db.execute("UPDATE balance SET body = x'00'")
    await life.spool.close()
    again, found = await emptied(tmp_path)
    assert [number for number, _ in found] == [1, 2, 3, 4, 7, 8, 10]
    assert again.said == 3


async def test_a_disk_too_full_for_the_repair_leaves_the_damaged_file_for_a_later_try(tmp_path):
    life = Life(tmp_path, "run-a")
    await life.spool.open(may_make=True)
    await life.write(20, SERIES_COUNT)
    await life.spool.close()
    data = bytearray((tmp_path / FILE_NAME).read_bytes())
    data[:4096] = bytes(4096)
    (tmp_path / FILE_NAME).write_bytes(data)
    (tmp_path / "repaired").write_text("in the way, as a full disk would be")
    again = Life(tmp_path, "run-b")
    assert not await again.spool.open()
    assert bytearray((tmp_path / FILE_NAME).read_bytes()) == data
    await again.spool.close()
    (tmp_path / "repaired").unlink()
    later, found = await emptied(tmp_path)
    assert len(found) + later.said == 20
