"""Upkeep that is killed, or fails, wherever it stands: nothing lost, nothing twice, and the next round goes on."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from upkeep_scenario import FIRST_LOST, LATER_S, LIMITS, ROUNDS, open_traced, play, records_of

from agent.hub import sqlite_parts, sqlite_schema
from agent.hub.records import Appended
from agent.hub.sqlite_backup import back_up
from agent.hub.sqlite_reader import SqliteReader
from agent.hub.sqlite_store import SqliteStore
from agent.hub.store import StoreError
from agent.testing.store_suite import START_NS, OpenedStore

pytestmark = pytest.mark.timeout(180)

SCENARIO = Path(__file__).parents[2] / "support" / "upkeep_scenario.py"
S = 10**9


@pytest.fixture(autouse=True)
def _fast_and_untraced(monkeypatch):
    """What a kill leaves does not depend on syncs, which are for power cuts."""
    tune = sqlite_schema._tune

    def tune_fast(connection):
        tune(connection)
        connection.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(sqlite_schema, "_tune", tune_fast)
    monkeypatch.setattr(sqlite_parts, "open_part", sqlite_parts.open_part)


def expected(last_round):
    """Every record up to that round, oldest first."""
    return sorted(record for index in range(last_round + 1) for _, record in records_of(index))


def rolled(records, step_s):
    """Start, count, smallest and largest of each stretch."""
    stretches = defaultdict(list)
    for second, value, weight in records:
        stretches[second // step_s * step_s].append((value, weight))
    return [
        (start, sum(weight for _, weight in inside), min(inside)[0], max(inside)[0])
        for start, inside in sorted(stretches.items())
    ]


def stored_points(opened):
    found = opened.points(-1, LATER_S)
    times_s = ((found.times_ns - START_NS) / S).tolist()
    return sorted(zip(times_s, found.values.tolist(), found.weights.tolist(), strict=True))


def stored_stretches(opened, step_s):
    found = opened.stretches(-1, LATER_S, step_s)
    columns = [found.columns[name].tolist() for name in ("count", "min", "max")]
    return list(zip(((found.starts_ns - START_NS) / S).tolist(), *columns, strict=True))


def check(opened, last_round):
    """What the store answers is what was appended; from some round on old points may be gone, of which roll-ups stay."""
    records = expected(last_round)
    points = stored_points(opened)
    if last_round < FIRST_LOST:
        assert points == records
    else:
        assert len(set(points)) == len(points)
        assert set(points) <= set(records)
    for step_s in (60, 3600):
        assert stored_stretches(opened, step_s) == rolled(records, step_s)


def files_of(folder):
    """Names, sizes and times of the files that outlive their process: another tuple is another state."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def check_left(folder, last_round):
    """What was left behind is whole when it is opened, when upkeep has been round again, and for good."""
    opened = OpenedStore(SqliteStore(folder / "hub.sqlite3"), SqliteReader(folder / "hub.sqlite3"))
    try:
        check(opened, last_round)
        assert opened.append(opened.batch(1, 1)) == [Appended.DUPLICATE]
        opened.keep_up(ROUNDS[last_round][2], LIMITS)
        check(opened, last_round)
    finally:
        opened.close()


def test_killed_at_any_moment_upkeep_leaves_every_point_once(tmp_path):
    """What a kill would leave on the disk is kept whenever a statement is about to run and the files have changed."""
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    current, seen, kept = [-1], set(), []

    def keep():
        state = files_of(live)
        if current[0] < 0 or state in seen:
            return
        seen.add(state)
        folder = left / str(len(kept))
        shutil.copytree(live, folder, ignore=shutil.ignore_patterns("*-shm"))
        kept.append((folder, current[0]))

    opened = open_traced(live, keep)
    play(opened, lambda index: current.__setitem__(0, index))
    check(opened, current[0])
    assert stored_points(opened) == []
    opened.close()
    assert len(kept) > 40
    for folder, last_round in kept:
        check_left(folder, last_round)


def test_a_backup_made_at_any_moment_of_upkeep_holds_every_point_once(tmp_path):
    """From a connection of its own, before every second statement that found the files changed."""
    live = tmp_path / "live"
    live.mkdir()
    current, seen, made = [-1], set(), []

    def back_up_now():
        state = files_of(live)
        if current[0] < 0 or state in seen:
            return
        seen.add(state)
        if len(seen) % 2:
            return
        folder = tmp_path / f"copy-{len(seen)}"
        try:
            back_up(live / "hub.sqlite3", folder)
        except StoreError as error:
            made.append((error, current[0]))
        else:
            made.append((folder, current[0]))

    opened = open_traced(live, back_up_now)
    play(opened, lambda index: current.__setitem__(0, index))
    opened.close()
    assert len(made) > 20
    for folder, last_round in made:
        assert isinstance(folder, Path), folder
        check_left(folder, last_round)


@pytest.mark.system
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_real_process_killed_in_upkeep_leaves_every_point_once(tmp_path, share):
    statements = count_statements(tmp_path / "counted")
    folder = tmp_path / "killed"
    folder.mkdir()
    done = subprocess.run([sys.executable, str(SCENARIO), str(folder), str(round(statements * share))])
    assert done.returncode == -signal.SIGKILL
    opened = OpenedStore(SqliteStore(folder / "hub.sqlite3"), SqliteReader(folder / "hub.sqlite3"))
    last_seq = opened.ids.last_seq
    opened.close()
    last_round = max(index for index, (seqs, _, _) in enumerate(ROUNDS) if seqs and seqs[-1] <= last_seq)
    check_left(folder, last_round)


def count_statements(folder):
    folder.mkdir()
    count = [0]
    opened = open_traced(folder, lambda: count.__setitem__(0, count[0] + 1))
    play(opened)
    opened.close()
    return count[0]
