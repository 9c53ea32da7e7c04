"""The contract of every collector on this very host, and the trees of other kernels for cpu, load, memory and uptime."""

import msgspec
import pytest

from agent.api import CollectError, Reading
from agent.model import Kind
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import collect
from plugins.collectors.agent import Agent
from plugins.collectors.agent import Config as AgentConfig
from plugins.collectors.cpu import MODES, Cpu
from plugins.collectors.cpu import Config as CpuConfig
from plugins.collectors.load import Config as LoadConfig
from plugins.collectors.load import Load
from plugins.collectors.memory import Config as MemoryConfig
from plugins.collectors.memory import Memory
from plugins.collectors.uptime import Config as UptimeConfig
from plugins.collectors.uptime import Uptime

STAT = """\
cpu  1000 100 500 8000 200 0 100 {steal} 300 50
cpu0 500 50 250 4000 100 0 50 0 150 25
cpu1 500 50 250 4000 100 0 50 0 150 25
intr 123456 0 0 7 0
ctxt 99
btime 1700000000
processes 42
procs_running 3
procs_blocked 1
softirq 77 1 2 3
"""


@pytest.fixture
def stat(tmp_path):
    def write(text):
        (tmp_path / "stat").write_text(text)
        return CpuConfig(proc_dir=str(tmp_path))

    return write


async def test_modes_share_out_the_time_since_the_last_look(stat, collector_context):
    cpu = Cpu(stat(STAT.format(steal=0)), collector_context)
    first = await collect(cpu)
    assert not any(name.endswith("_ratio") for name in first.names)
    stat("cpu  1040 110 520 8100 210 0 105 15 310 60\ncpu0 0 0 0 0 0 0 0 0 0 0\n")
    values = (await collect(cpu)).values
    assert values["cpu_user_ratio"] == pytest.approx(30 / 200)
    assert values["cpu_nice_ratio"] == pytest.approx(0 / 200)
    assert values["cpu_guest_ratio"] == pytest.approx(20 / 200)
    assert values["cpu_steal_ratio"] == pytest.approx(15 / 200)
    assert values["cpu_used_ratio"] == pytest.approx(90 / 200)
    assert sum(values[f"cpu_{mode}_ratio"] for mode in MODES) == pytest.approx(1)


async def test_a_core_that_comes_and_goes_disturbs_nothing(stat, collector_context):
    cpu = Cpu(stat("cpu  10 0 0 10\ncpu0 10 0 0 10\n"), collector_context)
    await collect(cpu)
    stat("cpu  20 0 0 20\ncpu0 15 0 0 15\ncpu7 5 0 0 5\n")
    assert (await collect(cpu)).values['cpu_core_used_ratio{core="0"}'] == 0.5
    stat("cpu  30 0 0 30\ncpu7 10 0 0 10\n")
    values = (await collect(cpu)).values
    assert values["cpu_count"] == 1
    assert values['cpu_core_used_ratio{core="7"}'] == 0.5


async def test_iowait_that_steps_back_counts_as_none(stat, collector_context):
    cpu = Cpu(stat("cpu  10 0 0 10 50\ncpu0 10 0 0 10 50\n"), collector_context)
    await collect(cpu)
    stat("cpu  20 0 0 20 40\ncpu0 20 0 0 20 40\n")
    values = (await collect(cpu)).values
    assert values["cpu_iowait_ratio"] == 0
    assert values["cpu_used_ratio"] == 0.5


async def test_many_cores_show_only_how_busy_they_are(stat, collector_context):
    config = msgspec.structs.replace(stat(STAT.format(steal=0)), detail_max_cores=1)
    cpu = Cpu(config, collector_context)
    await collect(cpu)
    stat(STAT.replace(" 4000 ", " 4100 ").format(steal=9))
    names = (await collect(cpu)).names
    assert {name for name in names if name.startswith("cpu_core_")} == {"cpu_core_used_ratio"}


async def test_cores_can_be_left_out(stat, collector_context):
    config = msgspec.structs.replace(stat(STAT.format(steal=0)), per_core=False)
    cpu = Cpu(config, collector_context)
    await collect(cpu)
    stat(STAT.format(steal=9))
    recorded = await collect(cpu)
    assert not any(name.startswith("cpu_core_") for name in recorded.names)
    assert recorded.values["cpu_steal_ratio"] == 1


async def test_a_stat_without_cores_is_an_error(stat, collector_context):
    with pytest.raises(CollectError, match="no line that starts with cpu"):
        await collect(Cpu(stat("intr 1\n"), collector_context))


async def test_counters_are_recorded_as_running_totals(stat, collector_context):
    recorded = await collect(Cpu(stat(STAT.format(steal=0)), collector_context))
    totals = {series.name: value for series, value in recorded.samples if series.kind is Kind.RATE}
    assert totals == {
        "cpu_context_switches_per_s": 99,
        "cpu_interrupts_per_s": 123456,
        "cpu_softirqs_per_s": 77,
        "cpu_forks_per_s": 42,
    }


async def test_memory_used_is_what_nobody_else_could_get(tmp_path, collector_context):
    (tmp_path / "meminfo").write_text(
        "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  250 kB\nHugePages_Total:  3\n"
    )
    (tmp_path / "vmstat").write_text("pgfault 12\npgpgin 5\nunheard_of 7\n")
    values = (await collect(Memory(MemoryConfig(proc_dir=str(tmp_path)), collector_context))).values
    assert values["memory_used_bytes"] == 750 * 1024
    assert values["memory_used_ratio"] == 0.75
    assert values["memory_page_faults_per_s"] == 12
    assert values["memory_paged_in_bytes_per_s"] == 5 * 1024
    assert "memory_oom_kills_per_s" not in values


async def test_memory_of_a_kernel_that_does_not_say_available(tmp_path, collector_context):
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 350 kB\n")
    values = (await collect(Memory(MemoryConfig(proc_dir=str(tmp_path)), collector_context))).values
    assert values["memory_used_ratio"] == 0.5


async def test_memory_without_vmstat_gives_its_levels(tmp_path, collector_context):
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 100 kB\n")
    values = (await collect(Memory(MemoryConfig(proc_dir=str(tmp_path)), collector_context))).values
    assert values["memory_total_bytes"] == 1_024_000


async def test_load_of_a_golden_line(tmp_path, collector_context):
    (tmp_path / "loadavg").write_text("0.42 1.50 2.00 2/345 6789\n")
    values = (await collect(Load(LoadConfig(proc_dir=str(tmp_path)), collector_context))).values
    assert values == {
        "load_1m": 0.42,
        "load_5m": 1.5,
        "load_15m": 2.0,
        "load_runnable_count": 2,
        "load_threads_count": 345,
    }


@pytest.mark.parametrize(
    ("factory", "config"), [(Load, LoadConfig), (Memory, MemoryConfig), (Uptime, UptimeConfig), (Cpu, CpuConfig)]
)
async def test_a_missing_file_is_a_collect_error_that_names_it_and_heals(tmp_path, collector_context, factory, config):
    collector = factory(config(proc_dir=str(tmp_path)), collector_context)
    with pytest.raises(CollectError, match=str(tmp_path)):
        await collect(collector)
    for name, text in {
        "loadavg": "0 0 0 1/2 3",
        "meminfo": "MemTotal: 4 kB",
        "uptime": "5 6",
        "stat": "cpu 1 2 3 4",
    }.items():
        (tmp_path / name).write_text(text)
    assert (await collect(collector)).samples


async def test_readings_become_series_with_their_labels(collector_context):
    collector_context.readings = [
        Reading("agent_rss_bytes", 7, unit="bytes"),
        Reading("agent_dropped_points_total", 3, {"sink": "a", "reason": "sampled"}, kind=Kind.COUNTER),
        Reading("agent_dropped_points_total", 4, {"sink": "a", "reason": "expired"}, kind=Kind.COUNTER),
    ]
    report = await check_collector(Agent, AgentConfig(), context=collector_context)
    assert report.last == {
        "agent_rss_bytes": 7,
        'agent_dropped_points_total{reason="sampled",sink="a"}': 3,
        'agent_dropped_points_total{reason="expired",sink="a"}': 4,
    }
    assert {series.kind for series in report.series} == {Kind.GAUGE, Kind.COUNTER}
