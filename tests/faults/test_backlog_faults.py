"""A large backlog on disk: it neither delays the start nor lies in memory, and live data do not wait for it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from big_spool import fill
from fault_stage import status_kib

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@dataclass
class Run:
    """What a run of the agent took: peak memory, and bytes read from files, the page cache's too."""

    rss_mib: float
    read_mib: float


class Start(NamedTuple):
    """Seconds until the agent says that it has started, until the first acknowledgement, and of processor time until then."""

    started_s: float
    acked_s: float
    cpu_s: float


def start(it):
    began_s = time.monotonic()
    it.start_agent()
    started_s = time.monotonic() - began_s
    it.agent.wait_for("sink.acked_first")
    return Start(started_s, time.monotonic() - began_s, cpu_s(it.agent.pid))


def cpu_s(pid):
    """Processor time that a process has had so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def go_on(it, ticks):
    """The agent over so many ticks, while as much of the backlog goes as its pace allows, until those ticks are stored."""
    before = it.made_numbers()
    it.wait_made(ticks)
    run = Run(status_kib(it.agent.pid, "VmHWM") / 1024, read_bytes(it.agent.pid) / 2**20)
    it.heal()
    it.wait_drained(forgiven=before)
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
    """Beside the same agent with an empty spool, in turn; the fastest starts count, as the machine does other things too."""
    with stage(f"backlog of {size_mib} MiB", 1, commit_s=1.0, sink="spool.max_bytes = 4_000_000_000") as it:
        it.start_hub()
        spool, aside = it.spool_path.parent, it.folder / "aside"
        records = fill(aside, size_mib << 20)
        spool.mkdir(parents=True)
        turns, forgiven = [], set()
        for _ in range(starts):
            for _ in range(2):
                before = it.made_numbers()
                turns.append((start(it), go_on(it, ticks)))
                it.kill_agent()
                forgiven |= it.made_numbers() - before
                exchange(spool, aside)
        exchange(spool, aside)
        verdict = it.judge(forgiven)
        verdict.drain_s = None  # the backlog goes on for hours; `drained` would mean the live data
        empty, full = turns[::2], turns[1::2]
        started_s, acked_s, cpu_s = (fastest(full, figure) - fastest(empty, figure) for figure in range(3))
        rss_mib = max(run.rss_mib for _, run in full) - min(run.rss_mib for _, run in empty)
        read_mib = max(run.read_mib for _, run in full) - min(run.read_mib for _, run in empty)
        verdict.notes |= {
            "records at the start": records,
            "at the end": it.spooled(),
            "started later by": f"{started_s:.2f} s",
            "first ack later by": f"{acked_s:.2f} s",
            "after more processor time": f"{cpu_s:.2f} s",
            "peak RSS higher by": f"{rss_mib:.1f} MiB",
            "read more by": f"{read_mib:.1f} MiB",
        }
        verdict.assert_whole()
        assert rss_mib <= 16
        assert read_mib < size_mib / 2, "it is read as it is sent, not as a whole"


def exchange(one, other):
    """Let two folders change places."""
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def fastest(turns, figure):
    return min(started[figure] for started, _ in turns)
