"""What happens to the disks: full ones at either end, damaged spools, agents killed at full rate."""

import json
import signal

import pytest
from fault_stage import SEEDS, limit_files
from process_support import Process, wait_until
from synthetic import made_ticks

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

COMMIT_S = 0.5
WRITE_S = 0.25
"""A record is in memory alone until the write that takes it is over."""


@SEEDS
def test_spool_on_a_full_disk(stage, seed):
    """With a buffer that does not hold the outage, so that something has to go."""
    sink = 'buffer.max_points = 1000\n buffer.sampler = "latest"'
    with stage("spool on a full disk", seed, sink=sink) as it:
        it.start()
        it.begin_fault()
        limit_files(it.agent.pid, 65_536)
        it.hub.kill()
        it.wait_detected("spool.failed")
        it.wait_made(it.rng.randrange(30, 50))
        assert it.agent.is_running
        limit_files(it.agent.pid, -1)
        it.agent.wait_for("spool.recovered")
        it.start_hub()
        it.heal()
        it.agent.wait_for("sink.resumed")
        it.wait_emptied()
        it.wait_made(10)
        it.end()
        verdict = it.judge()
        reasons = [event["detail"]["reason"] for event in it.gaps()]
        verdict.notes |= {"dropped for": "/".join(sorted(set(reasons)))}
        verdict.assert_whole()
        assert verdict.declared > 0


@SEEDS
def test_hub_with_a_full_disk(stage, seed):
    with stage("hub's disk full", seed) as it:
        it.start()
        it.begin_fault()
        it.hub.limit_files(0)
        it.wait_detected()
        assert any("store.failed" in line for line in it.hub.log)
        before = it.stored_numbers()
        it.wait_made(it.rng.randrange(20, 40))
        assert it.stored_numbers() == before, "nothing is acknowledged that is not stored"
        it.heal()
        it.hub.limit_files(-1)
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        failed = [entry["error"] for entry in it.agent.events() if entry.get("event") == "sink.failed"]
        assert any("could not write" in error for error in failed), failed


def flip_bits(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(20):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zero_a_page(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(3):
        page = rng.randrange(len(data) // 4096) * 4096
        data[page : page + 4096] = bytes(4096)
    path.write_bytes(data)


def cut_the_tail(path, rng):
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) - 3000, len(data))])


@SEEDS
def test_damaged_spool(stage, seed):
    """Every cut of the last two records, every bit and every page are tried on the file itself in test_spool_file."""
    with stage("torn tail, flipped bits, zeroed pages", seed) as it:
        said = 0
        on_disk = set()
        for damage in (cut_the_tail, flip_bits, zero_a_page):
            it.start_agent()
            it.wait_made(20)  # a repair was said long before that
            wait_until(lambda: it.spooled() > 15, "the spool grows")
            it.kill_agent()
            said += damaged_records(it.agent)
            whole = spooled_ticks(it.config)
            for path in (it.spool_path, it.spool_path.with_name("spool.db-wal")):
                if path.exists() and path.stat().st_size > 20_000:
                    damage(path, it.rng)
            on_disk |= whole
        it.start_hub()
        it.start_agent()
        it.heal()
        it.agent.wait_for("sink.acked_first")
        it.wait_emptied()
        it.end()
        said += damaged_records(it.agent)
        forgiven = {number for number, *_ in made_ticks(it.made_path)} - it.stored_numbers()
        lost_from_disk = on_disk - it.stored_numbers()
        verdict = it.judge(forgiven)
        verdict.notes |= {"records on disk": len(on_disk), "damaged": len(lost_from_disk), "said to be damaged": said}
        verdict.assert_whole()
        assert len(lost_from_disk) <= said, str(verdict)


def damaged_records(agent):
    """How many records the agent said were damaged."""
    return sum(
        int(entry.get("damaged_records", 0) or entry.get("records", 0))
        for entry in agent.events()
        if entry.get("event") in {"spool.repaired", "spool.damaged"}
    )


def spooled_ticks(config):
    """Ticks that lie in the spool, as its export tells."""
    with Process("spool", "export", "--config", str(config)) as export:
        assert export.wait() == 0, export.lines
        lines = [json.loads(line) for line in export.lines]
    return {int(one["value"]) for line in lines for one in line.get("metrics", ())}


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 4), pytest.param(2, 100, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_agent_killed_at_full_rate(stage, seed, kills):
    """With the hub there for half of the kills and away for the other half."""
    with stage(f"agent killed -9 at full rate, {kills} times", seed, commit_s=COMMIT_S) as it:
        windows_s = []
        for number in range(kills):
            if number % 2 == 0:
                it.start_hub()
            elif number:
                it.hub.kill()
            it.start_agent()
            it.wait_made(it.rng.randrange(5, 35))
            it.kill_agent()
        if kills % 2 == 0:
            it.start_hub()
        it.start_agent()
        it.heal()
        it.wait_made(10)
        it.wait_emptied()
        it.end()
        made = made_ticks(it.made_path)
        missing = {number for number, *_ in made} - it.stored_numbers()
        for run in {number >> 24 for number, *_ in made[:-1]}:
            ticks = [(number, wall_s) for number, _, wall_s in made if number >> 24 == run]
            lost = [(number, wall_s) for number, wall_s in ticks if number in missing]
            assert lost == ticks[len(ticks) - len(lost) :], "only the newest of a run may be missing"
            windows_s += [ticks[-1][1] - wall_s for _, wall_s in lost[:1]]
        verdict = it.judge(missing)
        verdict.notes |= {
            "ticks lost in the commit window": len(missing),
            f"widest of at most {COMMIT_S:g} s": f"{max(windows_s, default=0):.2f} s",
        }
        verdict.assert_whole()
        assert max(windows_s, default=0) <= COMMIT_S + WRITE_S


@SEEDS
def test_agent_suspended(stage, seed):
    """Stopped and continued; wall clock steps and ten minutes are in test_clock_faults."""
    with stage("agent suspended", seed) as it:
        it.start()
        it.begin_fault()
        made = len(made_ticks(it.made_path))
        it.agent.kill(signal.SIGSTOP)
        wait_until(lambda: it.proxy.silence_s > 1.5 + it.rng.random(), "the agent is suspended for a while")
        it.agent.kill(signal.SIGCONT)
        it.wait_made(1)
        it.heal()
        it.wait_made(20)
        moments = [monotonic_s for _, monotonic_s, _ in made_ticks(it.made_path)[made:]]
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        slept_s = moments[-1] - moments[0]
        assert len(moments) <= slept_s / it.interval_s + 3, "ticks that were slept through are not made up for"
