"""Collectors against an independent reading of this host at the same moment. Each test states how far they may differ."""

import os
import re
from pathlib import Path

import psutil
import pytest

from agent.api import ProcFile
from agent.builtin import load_builtin
from agent.testing.recorder import collect

ROOT = Path(__file__).parents[3]


@pytest.fixture
def made(collector_context):
    """Makes a collector with its defaults."""
    collectors = []

    def make(name, **keys):
        registration = load_builtin("collectors", name)
        collectors.append(registration.factory(registration.config(**keys), collector_context))
        return collectors[-1]

    yield make
    for collector in collectors:
        if name := getattr(collector, "close", None):
            pending = name()
            if pending is not None:
                pending.close()


async def between(collector, read, series):
    """Read, collect, read again: (before, what was recorded, after); a running total lies in between."""
    before = read()
    value = (await collect(collector)).values[series]
    return before, value, read()


def is_rising(found):
    return found[0] <= found[1] <= found[2]


async def test_network_totals_lie_between_two_readings_of_psutil(made):
    """No tolerance."""
    network = made("network")
    for column, name in (
        ("bytes_recv", "network_received_bytes_per_s"),
        ("packets_sent", "network_sent_packets_per_s"),
    ):
        found = await between(
            network,
            lambda column=column: getattr(psutil.net_io_counters(pernic=True, nowrap=False)["lo"], column),
            f'{name}{{interface="lo"}}',
        )
        assert is_rising(found)


async def test_disk_totals_lie_between_two_readings_of_psutil(made):
    """No tolerance."""
    disk = made("disk", partitions=True, skip=())
    values = (await collect(disk)).values
    devices = {name.split('"')[1] for name in values}
    for device in devices:

        def written(device=device):
            return psutil.disk_io_counters(perdisk=True, nowrap=False)[device].write_bytes

        assert is_rising(await between(disk, written, f'disk_written_bytes_per_s{{device="{device}"}}'))


async def test_context_switches_and_interrupts_lie_between_two_readings_of_psutil(made):
    """No tolerance."""
    cpu = made("cpu")
    assert is_rising(await between(cpu, lambda: psutil.cpu_stats().ctx_switches, "cpu_context_switches_per_s"))
    assert is_rising(await between(cpu, lambda: psutil.cpu_stats().interrupts, "cpu_interrupts_per_s"))


async def test_the_share_of_used_processor_time_is_psutils(made):
    """Tolerance: 5 ticks of 10 ms, for what passes between the two readings; time passes by working."""
    cpu = made("cpu")
    before = psutil.cpu_times()
    await collect(cpu)
    while (now := psutil.cpu_times()).user - before.user < 0.3:
        sum(range(10_000))
    used = (await collect(cpu)).values["cpu_used_ratio"]
    spent = [after - earlier for earlier, after in zip(before[:8], now[:8], strict=True)]
    told = 1 - (spent[3] + spent[4]) / sum(spent)
    assert used == pytest.approx(told, abs=0.05 / sum(spent) + 0.01)


async def test_memory_agrees_with_psutil(made):
    """Tolerance: 64 MiB, for what other programs take in between."""
    values = (await collect(made("memory"))).values
    told = psutil.virtual_memory()
    assert values["memory_total_bytes"] == told.total
    assert values["memory_available_bytes"] == pytest.approx(told.available, abs=64 * 2**20)
    assert values["memory_cached_bytes"] + values["memory_slab_reclaimable_bytes"] == pytest.approx(
        told.cached, abs=64 * 2**20
    )


async def test_page_faults_lie_between_two_readings(made):
    """No tolerance."""

    def faults():
        return int(re.search(rb"\npgfault (\d+)", ProcFile("/proc/vmstat").read())[1])

    assert is_rising(await between(made("memory"), faults, "memory_page_faults_per_s"))


async def test_load_and_uptime_agree_with_the_kernel(made):
    """Tolerance: 0.5 for the load, 1 s for the uptime."""
    values = (await collect(made("load"))).values
    assert [values["load_1m"], values["load_5m"], values["load_15m"]] == pytest.approx(os.getloadavg(), abs=0.5)
    uptime_s = float(ProcFile("/proc/uptime").read().split()[0])
    assert (await collect(made("uptime"))).values["uptime_s"] == pytest.approx(uptime_s, abs=1.0)


async def test_processes_are_as_many_as_psutil_finds(made):
    """Tolerance: 20, for those that start and end in between."""
    values = (await collect(made("processes"))).values
    assert values["processes_all_count"] == pytest.approx(len(psutil.pids()), abs=20)


async def test_swap_agrees_with_psutil(made):
    """Tolerance: 16 MiB."""
    values = (await collect(made("swap"))).values
    told = psutil.swap_memory()
    assert values["swap_total_bytes"] == told.total
    assert values["swap_used_bytes"] == pytest.approx(told.used, abs=16 * 2**20)


def test_every_reading_of_the_agent_is_documented():
    code = (ROOT / "agent" / "own_readings.py").read_text()
    names = set(re.findall(r'Reading\(\s*"(\w+)"', code))
    documented = set(
        re.findall(r"^\| `(\w+)`", (ROOT / "plugins/collectors/agent/README.md").read_text(), re.MULTILINE)
    )
    assert names
    assert names <= documented
