"""What the table of processes reads, what it leaves for later, and that its sums are always those of what it knows."""

import shutil
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.collectors.processes.table import REST_AFTER_COUNT, ProcessTable

REST_LOOKS = 5


class Proc:
    """A folder like /proc that is changed between looks."""

    def __init__(self, root):
        self.root = root
        self.forks = 0
        self.now_s = 0.0

    def put(self, pid, name="idle", state="S", ticks=0, start=1, pages=10):
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        line = f"{pid} ({name}) {state} 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {start} 0 {pages} 0"
        (folder / "stat").write_text(line)

    def end(self, pid):
        shutil.rmtree(self.root / str(pid))

    def fork(self):
        """Move the mark that tells of new processes."""
        self.forks += 1
        (self.root / "loadavg").write_text(f"0.10 0.20 0.30 1/99 {self.forks}\n")

    def look(self, table):
        self.now_s += 1.0
        table.look(self.now_s)


@pytest.fixture
def proc(tmp_path):
    made = Proc(tmp_path)
    made.fork()
    return made


@pytest.fixture
def table(tmp_path):
    made = ProcessTable(str(tmp_path), REST_LOOKS)
    yield made
    made.close()


def rest(proc, table):
    for _ in range(REST_AFTER_COUNT + 1):
        proc.look(table)


def looks_until(proc, table, is_seen):
    for count in range(1, 3 * REST_LOOKS):
        proc.look(table)
        if is_seen():
            return count
    raise AssertionError("never seen")


def test_what_a_resting_process_did_is_seen_within_its_rest_as_the_rate_of_that_time(proc, table):
    proc.put(7)
    rest(proc, table)
    proc.look(table)
    proc.put(7, ticks=40)
    looks_until(proc, table, lambda: table.ticks_per_s)
    assert 40 / REST_LOOKS <= table.ticks_per_s["idle"] <= 40


def test_a_process_that_woke_up_is_read_in_every_look(proc, table):
    proc.put(7)
    rest(proc, table)
    proc.put(7, ticks=40)
    looks_until(proc, table, lambda: table.ticks_per_s)
    proc.put(7, ticks=90)
    proc.look(table)
    assert table.ticks_per_s == {"idle": 50.0}


@pytest.mark.parametrize("state", ["R", "D", "Z"])
def test_only_what_sleeps_may_rest(proc, table, state):
    proc.put(7, state=state)
    rest(proc, table)
    proc.put(7, state=state, ticks=5)
    proc.look(table)
    assert table.ticks_per_s == {"idle": 5.0}


def test_who_comes_and_goes_is_seen_at_once_when_a_number_was_given(proc, table):
    proc.put(7)
    rest(proc, table)
    proc.end(7)
    proc.put(8, name="new", ticks=3)
    proc.fork()
    proc.look(table)
    assert set(table.usage) == {"new"}
    assert table.ticks_per_s == {"new": 3.0}


def test_who_went_unannounced_is_missed_within_a_rest(proc, table):
    """The count of threads is the host's: in a container others may make up for one that ended."""
    proc.put(6)
    proc.put(7, name="gone")
    rest(proc, table)
    proc.end(7)
    assert looks_until(proc, table, lambda: "gone" not in table.usage) <= REST_LOOKS
    assert len(table) == 1


def test_another_process_of_the_same_number_starts_anew(proc, table):
    proc.put(7, state="R", ticks=500, start=1)
    proc.look(table)
    proc.put(7, state="R", ticks=4, start=2)
    proc.look(table)
    assert table.ticks_per_s == {"idle": 4.0}


def test_nobody_used_anything_in_the_first_look(proc, table):
    proc.put(7, ticks=500)
    proc.look(table)
    assert table.ticks_per_s == {}


processes = st.dictionaries(
    st.integers(1, 6),
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from("SRZ"), st.integers(0, 9), st.integers(0, 5)),
)


@given(st.lists(processes, min_size=1, max_size=6))
def test_sums_are_those_of_the_processes_there_are(tmp_path_factory, history):
    proc = Proc(tmp_path_factory.mktemp("proc"))
    table = ProcessTable(str(proc.root), 1)
    there = set()
    for moment in history:
        for pid in there - moment.keys():
            proc.end(pid)
        for pid, (name, state, ticks, pages) in moment.items():
            proc.put(pid, name, state, ticks, pages=pages)
        there = set(moment)
        proc.look(table)
        assert len(table) == len(moment)
        assert +table.states == Counter(state for _, state, _, _ in moment.values())
        assert {name: used.count for name, used in table.usage.items()} == Counter(one[0] for one in moment.values())
        assert sum(used.resident_pages for used in table.usage.values()) == sum(one[3] for one in moment.values())
    table.close()
