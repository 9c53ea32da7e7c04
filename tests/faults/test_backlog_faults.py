"""A large backlog on disk: it neither delays the start nor lies in memory, and live data do not wait for it."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from big_spool import fill
from fault_stage import status_kib

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@dataclass
class Run:
    """What a run of the agent took: peak memory, and bytes read from files, the page cache's too."""

    rss_mib: float
    read_mib: float


def start(it):
    """Start the agent; seconds until it says that it has, and until the first acknowledgement."""
    began_s = time.monotonic()
    it.start_agent()
    started_s = time.monotonic() - began_s
    it.agent.wait_for("sink.acked_first")
    return started_s, time.monotonic() - began_s


def go_on(it, ticks):
    """The running agent over so many ticks, while as much of the backlog goes as its pace allows."""
    it.wait_made(ticks)
    run = Run(status_kib(it.agent.pid, "VmHWM") / 1024, read_bytes(it.agent.pid) / 2**20)
    it.heal()
    it.wait_drained()
    return run


def read_bytes(pid):
    """Bytes that a process has read so far, out of the page cache too."""
    lines = Path(f"/proc/{pid}/io").read_text().split("\n")
    return int(next(line for line in lines if line.startswith("rchar:")).split()[1])


@pytest.mark.parametrize(
    ("size_mib", "ticks", "starts"),
    [pytest.param(48, 40, 1, id="48 MiB"), pytest.param(954, 200, 5, id="1 GB", marks=pytest.mark.long)],
)
def test_backlog_on_disk(stage, size_mib, ticks, starts):
    """Beside the same agent with an empty spool; of several starts the fastest counts, as the machine does other things too."""
    with stage(f"backlog of {size_mib} MiB", 1, commit_s=1.0, sink="spool.max_bytes = 4_000_000_000") as it:
        it.start_hub()
        empty_s = []
        for _ in range(starts):
            empty_s.append(start(it))
            empty = go_on(it, ticks)
            it.end()
        records = fill(it.spool_path.parent, size_mib << 20)
        full_s, forgiven = [], set()
        for number in range(starts):
            before = it.made_numbers()
            full_s.append(start(it))
            if number < starts - 1:
                it.kill_agent()
                forgiven |= it.made_numbers() - before
        full = go_on(it, ticks)
        it.kill_agent()
        verdict = it.judge(forgiven | it.made_since_heal())
        verdict.drain_s = None  # the backlog goes on for hours; `drained` would mean the live data
        started_s, acked_s = (min(one[n] for one in full_s) - min(one[n] for one in empty_s) for n in (0, 1))
        verdict.notes |= {
            "records at the start": records,
            "at the end": it.spooled(),
            "started later by": f"{started_s:.2f} s",
            "first ack later by": f"{acked_s:.2f} s",
            "peak RSS higher by": f"{full.rss_mib - empty.rss_mib:.1f} MiB",
            "read more by": f"{full.read_mib - empty.read_mib:.1f} MiB",
        }
        verdict.assert_whole()
        assert full.rss_mib - empty.rss_mib <= 16
        assert full.read_mib - empty.read_mib < size_mib / 2, "it is read as it is sent, not as a whole"
