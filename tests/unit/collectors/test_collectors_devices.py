"""Disks, filesystems, networks, processes and the rest: against the trees of other hosts, and against this one."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.api import CollectError, ProcFile
from agent.builtin import ASKED_FOR, BUILTIN, load_builtin
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import collect
from plugins.collectors.file_descriptors import Config as FileDescriptorsConfig
from plugins.collectors.file_descriptors import FileDescriptors
from plugins.collectors.pressure import Config as PressureConfig
from plugins.collectors.pressure import Pressure
from plugins.collectors.processes import Config as ProcessesConfig
from plugins.collectors.processes.collector import Processes
from plugins.collectors.processes.table import parsed
from plugins.collectors.sensors import Sensors
from plugins.collectors.swap import Config as SwapConfig
from plugins.collectors.swap import Swap

PLUGINS = Path(__file__).parents[3] / "plugins" / "collectors"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.mark.parametrize("name", [name for name in BUILTIN["collectors"] if name not in ASKED_FOR])
async def test_every_collector_keeps_its_contract_on_this_host(name, collector_context):
    registration = load_builtin("collectors", name)
    config = registration.config and registration.config()
    readme = PLUGINS / name / "README.md"
    report = await check_collector(registration.factory, config, context=collector_context, readme=readme)
    assert report.series or name in {"agent", "cgroup", "sensors", "pressure"}


def test_a_process_name_may_hold_spaces_and_parentheses():
    stat = parsed(b"42 (tmux: server (1) x) S 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 4 0 99 1000 25 0")
    assert stat == ("tmux: server (1) x", "S", 10, 99, 25)
    assert parsed(b"42 (short) S 1 1") is None
    assert parsed(b"") is None


def test_threads_of_the_kernel_lose_what_they_are_at():
    kernel, user = (
        f"7 (kworker/0:1-events) I 2 0 0 0 -1 {flags} 0 0 0 0 0 1 0 0 0 0 1 0 6 0 0 0" for flags in (0x4208060, 0)
    )
    assert parsed(kernel.encode()).name == "kworker"
    assert parsed(user.encode()).name == "kworker/0:1-events"


async def test_names_that_do_nothing_and_own_nothing_are_not_shown(tmp_path, collector_context):
    collector = Processes(ProcessesConfig(proc_dir=processes(tmp_path, a=0, b=0)), collector_context)
    write(tmp_path, {"3/stat": "3 (idle) S 2 0 0 0 -1 0 0 0 0 0 0 0 0 0 0 1 0 6 0 0 0"})
    await collect(collector)
    collector_context.clock.advance(1.0)
    assert 'process_cpu_cores{process="idle"}' not in (await collect(collector)).values


def processes(root, **ticks):
    for number, (name, used) in enumerate(ticks.items(), 1):
        line = f"{number} ({name}) S 1 1 1 0 -1 0 0 0 0 0 {used} 0 0 0 20 0 1 0 {number} 0 {100 * number} 0"
        write(root, {f"{number}/stat": line})
    return str(root)


async def test_processor_time_is_of_the_interval_and_processes_that_end_are_left_out(tmp_path, collector_context):
    hertz = os.sysconf("SC_CLK_TCK")
    config = ProcessesConfig(top=1, proc_dir=processes(tmp_path, idle=0, busy=0, gone=0))
    collector = Processes(config, collector_context)
    assert "process_cpu_cores" not in (await collect(collector)).names
    processes(tmp_path, idle=0, busy=3 * hertz)
    shutil.rmtree(tmp_path / "3")
    collector_context.clock.advance(2.0)
    values = (await collect(collector)).values
    assert values['process_cpu_cores{process="busy"}'] == pytest.approx(1.5)
    assert values["processes_all_count"] == 2
    assert values['process_resident_bytes{process="busy"}'] == 200 * PAGE_BYTES


async def test_this_very_process_is_among_the_processes(collector_context):
    """Tolerance: 16 MiB of resident memory, for what other tests free in between."""
    name = parsed(ProcFile("/proc/self/stat").read()).name
    own_bytes = int(ProcFile("/proc/self/statm").read().split()[1]) * PAGE_BYTES
    values = (await collect(Processes(ProcessesConfig(top=100), collector_context))).values
    assert values[f'process_resident_bytes{{process="{name}"}}'] >= own_bytes - 16 * 2**20
    assert values["processes_all_count"] == sum(v for key, v in values.items() if key.startswith("processes_count{"))


async def test_a_proc_without_processes_is_an_error(tmp_path, collector_context):
    with pytest.raises(CollectError, match="shows no process"):
        await collect(Processes(ProcessesConfig(proc_dir=str(tmp_path)), collector_context))


async def test_a_kernel_without_pressure_gives_nothing_and_says_so_once(tmp_path, collector_context):
    pressure = Pressure(PressureConfig(proc_dir=str(tmp_path)), collector_context)
    assert (await collect(pressure)).samples == []
    assert (await collect(pressure)).samples == []
    assert [event for _, event, _ in collector_context.log.entries] == ["pressure.absent"]


async def test_pressure_is_shares_and_seconds(tmp_path, collector_context):
    proc = write(tmp_path, {"pressure/cpu": "some avg10=12.50 avg60=0 avg300=0 total=1500000\n"})
    assert (await collect(Pressure(PressureConfig(proc_dir=proc), collector_context))).values == {
        'pressure_waiting_10s_ratio{resource="cpu",who="some"}': 0.125,
        'pressure_waiting_ratio{resource="cpu",who="some"}': 1.5,
    }


async def test_swap_of_a_host_that_has_none(tmp_path, collector_context):
    proc = write(tmp_path, {"meminfo": "SwapTotal: 0 kB\nSwapFree: 0 kB\n"})
    values = (await collect(Swap(SwapConfig(proc_dir=proc), collector_context))).values
    assert values == {"swap_total_bytes": 0, "swap_used_bytes": 0, "swap_cached_bytes": 0}


async def test_swap_of_a_host_that_has_some(tmp_path, collector_context):
    files = {"meminfo": "SwapTotal: 8 kB\nSwapFree: 6 kB\n", "vmstat": "pswpin 10\npswpout 0\n"}
    values = (await collect(Swap(SwapConfig(proc_dir=write(tmp_path, files)), collector_context))).values
    assert values["swap_used_ratio"] == 0.25
    assert values["swap_in_bytes_per_s"] == 10 * PAGE_BYTES


@pytest.mark.parametrize(("most", "has_ratio"), [("9223372036854775807", False), ("1000", True)])
async def test_files_in_use_are_those_given_out_less_those_free_again(tmp_path, collector_context, most, has_ratio):
    files = {"sys/fs/file-nr": f"811\t11\t{most}\n", "sys/fs/inode-nr": "70\t20\n", "sys/kernel/pid_max": "4194304\n"}
    config = FileDescriptorsConfig(proc_dir=write(tmp_path, files))
    values = (await collect(FileDescriptors(config, collector_context))).values
    assert values["file_descriptors_used_count"] == 800
    assert ("file_descriptors_used_ratio" in values) is has_ratio


async def test_a_file_that_says_something_else_is_an_error_in_words(tmp_path, collector_context):
    config = FileDescriptorsConfig(proc_dir=write(tmp_path, {"sys/fs/file-nr": "many"}))
    with pytest.raises(CollectError, match=r"file-nr must hold 3 numbers \(got"):
        await collect(FileDescriptors(config, collector_context))


class FakeSensors:
    """What psutil gives on a laptop; faked, since virtual machines have no sensors."""

    def __init__(self):
        self.asked = 0
        self.temperatures = {}

    def sensors_temperatures(self):
        self.asked += 1
        return self.temperatures

    def sensors_battery(self):
        raise OSError("odd driver")


def sensors_that_ask(fake, root, context):
    """The collector of a host that lists a device, with something else for psutil."""
    sensors = Sensors(None, context, Path(write(root, {"hwmon/hwmon0/name": "coretemp"})))
    sensors._psutil = fake
    return sensors


async def test_sensors_are_asked_seldom_where_there_are_none(tmp_path, collector_context):
    fake = FakeSensors()
    sensors = sensors_that_ask(fake, tmp_path, collector_context)
    for _ in range(61):
        assert (await collect(sensors)).samples == []
    assert fake.asked == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists them in folders")
async def test_psutil_is_not_asked_where_no_device_is_listed(tmp_path, collector_context):
    fake = FakeSensors()
    sensors = Sensors(None, collector_context, tmp_path)
    sensors._psutil = fake
    assert (await collect(sensors)).samples == []
    assert fake.asked == 0


async def test_a_device_that_comes_later_is_seen_within_a_minute_of_ticks(tmp_path, collector_context):
    sensors = Sensors(None, collector_context, tmp_path)
    await collect(sensors)
    fake = sensors._psutil = FakeSensors()
    fake.temperatures = {"coretemp": [SimpleNamespace(label="", current=47.0)]}
    write(tmp_path, {"hwmon/hwmon0/name": "coretemp"})
    seen = [len((await collect(sensors)).samples) for _ in range(60)]
    assert seen == [0] * 59 + [1]


async def test_sensors_without_a_label_are_numbered(tmp_path, collector_context):
    fake = FakeSensors()
    fake.temperatures = {
        "coretemp": [SimpleNamespace(label="", current=47.0), SimpleNamespace(label="Core 1", current=45.0)]
    }
    sensors = sensors_that_ask(fake, tmp_path, collector_context)
    assert (await collect(sensors)).values == {
        'sensor_temperature_celsius{chip="coretemp",sensor="0"}': 47.0,
        'sensor_temperature_celsius{chip="coretemp",sensor="Core 1"}': 45.0,
    }
