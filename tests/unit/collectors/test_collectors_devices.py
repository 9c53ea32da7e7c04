"""Disks, filesystems, networks, processes and the rest: against the trees of other hosts, and against this one."""

import asyncio
import os
import shutil
import threading
from math import isclose
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.api import CollectError, ProcFile
from agent.builtin import BUILTIN, load_builtin
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import collect
from plugins.collectors.cgroup import Config as CgroupConfig
from plugins.collectors.cgroup.collector import Cgroup
from plugins.collectors.disk import is_partition
from plugins.collectors.file_descriptors import Config as FileDescriptorsConfig
from plugins.collectors.file_descriptors import FileDescriptors
from plugins.collectors.filesystem import Config as FilesystemConfig
from plugins.collectors.filesystem.collector import Filesystems, mounts
from plugins.collectors.network import snmp_tables, socket_counts
from plugins.collectors.pressure import Config as PressureConfig
from plugins.collectors.pressure import Pressure
from plugins.collectors.processes import Config as ProcessesConfig
from plugins.collectors.processes.collector import Processes, parsed
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


@pytest.mark.parametrize("name", BUILTIN["collectors"])
async def test_every_collector_keeps_its_contract_on_this_host(name, collector_context):
    registration = load_builtin("collectors", name)
    config = registration.config and registration.config()
    readme = PLUGINS / name / "README.md"
    report = await check_collector(registration.factory, config, context=collector_context, readme=readme)
    assert report.series or name in {"agent", "cgroup", "sensors", "pressure"}


async def test_the_root_filesystem_agrees_with_statvfs(collector_context):
    """Tolerance: 1 % of the size, for what is written in between."""
    config = FilesystemConfig(include_types=("overlay", "tmpfs"))
    values = (await collect(Filesystems(config, collector_context))).values
    stat = os.statvfs("/")
    size_bytes = stat.f_blocks * stat.f_frsize
    assert values['filesystem_total_bytes{mount="/"}'] == size_bytes
    used_bytes = size_bytes - stat.f_bfree * stat.f_frsize
    assert isclose(values['filesystem_used_bytes{mount="/"}'], used_bytes, abs_tol=size_bytes / 100)


def test_mount_points_with_spaces_are_unescaped():
    text = b"/dev/sda1 /mnt/my\\040disk ext4 rw 0 0\nshort\n"
    assert list(mounts(text)) == [("/dev/sda1", "/mnt/my disk", "ext4")]


async def test_a_dead_mount_is_not_asked_again_until_it_answers(tmp_path, monkeypatch, collector_context):
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    alive.mkdir()
    dead.mkdir()
    release, asked, real = threading.Event(), [], os.statvfs

    def statvfs(path):
        asked.append(path)
        if path == str(dead):
            release.wait()
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    lines = f"/dev/a {alive} ext4 rw 0 0\nserver:/x {dead} nfs4 rw 0 0\n"
    proc = write(tmp_path / "proc", {"self/mounts": lines})
    config = FilesystemConfig(proc_dir=proc, mount_deadline_s=0.05, skip_mounts=())
    filesystems = Filesystems(config, collector_context)
    is_alive, is_dead = (f'filesystem_responding{{mount="{path}"}}' for path in (alive, dead))
    for _ in range(2):
        values = (await collect(filesystems)).values
        assert (values[is_alive], values[is_dead]) == (1, 0)
    assert asked.count(str(dead)) == 1
    release.set()
    while not (await collect(filesystems)).values[is_dead]:
        await asyncio.sleep(0)
    await filesystems.close()


async def test_closing_does_not_wait_for_a_dead_mount(tmp_path, monkeypatch, collector_context):
    release = threading.Event()
    monkeypatch.setattr(os, "statvfs", lambda _path: release.wait())
    proc = write(tmp_path, {"self/mounts": "/dev/a /x ext4 rw 0 0\n"})
    filesystems = Filesystems(FilesystemConfig(proc_dir=proc, mount_deadline_s=0.01), collector_context)
    await collect(filesystems)
    await filesystems.close()
    release.set()


async def test_a_mount_that_fails_shows_as_not_responding_and_a_device_shows_once(tmp_path, collector_context):
    found = (f"/dev/a {tmp_path}/nowhere ext4", "/dev/b / ext4", f"/dev/b {tmp_path} ext4", "proc /proc proc")
    proc = write(tmp_path, {"self/mounts": "".join(f"{line} rw 0 0\n" for line in found)})
    config = FilesystemConfig(proc_dir=proc, skip_mounts=())
    values = (await collect(Filesystems(config, collector_context))).values
    responding = {name: value for name, value in values.items() if name.startswith("filesystem_responding")}
    assert responding == {
        f'filesystem_responding{{mount="{tmp_path}/nowhere"}}': 0,
        'filesystem_responding{mount="/"}': 1,
    }


@pytest.mark.parametrize("whole", ["sda", "nvme0n1", "mmcblk0", "dm-0", "md0", "xvda"])
def test_whole_devices_are_no_partitions(whole):
    assert not is_partition(whole)


@pytest.mark.parametrize("part", ["sda1", "vda15", "nvme0n1p2", "mmcblk0p1", "xvda1"])
def test_partitions_are_partitions(part):
    assert is_partition(part)


def test_protocol_tables_pair_names_with_values():
    text = b"Tcp: ActiveOpens CurrEstab\nTcp: 5 2\nUdp: InDatagrams\nUdp: 9\nodd: line\n"
    assert dict(snmp_tables(text)) == {("Tcp", "ActiveOpens"): 5, ("Tcp", "CurrEstab"): 2, ("Udp", "InDatagrams"): 9}
    assert dict(socket_counts(b"sockets: used 19\nTCP: inuse 2 tw 5\n")) == {
        (b"sockets", b"used"): 19,
        (b"TCP", b"inuse"): 2,
        (b"TCP", b"tw"): 5,
    }


def test_a_process_name_may_hold_spaces_and_parentheses():
    stat = parsed(b"42 (tmux: server (1) x) S 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 4 0 99 1000 25 0")
    found = (stat.name, stat.state, stat.ticks, stat.threads, stat.start_ticks, stat.resident_pages)
    assert found == ("tmux: server (1) x", "S", 10, 4, 99, 25)
    assert parsed(b"42 (short) S 1 1") is None
    assert parsed(b"") is None


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
    assert values["processes_total"] == 2
    assert values['process_resident_bytes{process="busy"}'] == 200 * PAGE_BYTES


async def test_this_very_process_is_among_the_processes(collector_context):
    """Tolerance: 16 MiB of resident memory, for what other tests free in between."""
    name = parsed(ProcFile("/proc/self/stat").read()).name
    own_bytes = int(ProcFile("/proc/self/statm").read().split()[1]) * PAGE_BYTES
    values = (await collect(Processes(ProcessesConfig(top=100), collector_context))).values
    assert values[f'process_resident_bytes{{process="{name}"}}'] >= own_bytes - 16 * 2**20
    assert values["processes_total"] == sum(v for key, v in values.items() if key.startswith("processes{"))


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
    assert values["file_descriptors_used"] == 800
    assert ("file_descriptors_used_ratio" in values) is has_ratio


async def test_a_file_that_says_something_else_is_an_error_in_words(tmp_path, collector_context):
    config = FileDescriptorsConfig(proc_dir=write(tmp_path, {"sys/fs/file-nr": "many"}))
    with pytest.raises(CollectError, match=r"file-nr must hold 3 numbers \(got"):
        await collect(FileDescriptors(config, collector_context))


async def test_cgroup_of_version_2(tmp_path, collector_context):
    group = "cgroup/system.slice/x.service/"
    files = {
        "proc/self/cgroup": "0::/system.slice/x.service\n",
        group + "memory.current": "50\n",
        group + "memory.max": "200\n",
        group + "pids.current": "7\n",
        group + "pids.max": "max\n",
        group + "cpu.max": "150000 100000\n",
        group + "cpu.stat": "usage_usec 2000000\nthrottled_usec 250000\n",
    }
    write(tmp_path, files)
    config = CgroupConfig(proc_dir=f"{tmp_path}/proc", cgroup_dir=f"{tmp_path}/cgroup")
    assert (await collect(Cgroup(config, collector_context))).values == {
        "cgroup_memory_used_bytes": 50,
        "cgroup_memory_limit_bytes": 200,
        "cgroup_memory_used_ratio": 0.25,
        "cgroup_processes": 7,
        "cgroup_cpu_limit_cores": 1.5,
        "cgroup_cpu_used_cores": 2.0,
        "cgroup_cpu_throttled_ratio": 0.25,
    }


async def test_cgroup_of_version_1_in_a_container_whose_own_folder_is_the_root(tmp_path, collector_context):
    files = {
        "proc/self/cgroup": "9:memory:/docker/abc\n8:pids:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
        "cgroup/memory/memory.usage_in_bytes": "10",
        "cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "cgroup/pids/pids.current": "3",
        "cgroup/pids/pids.max": "100",
        "cgroup/cpu/cpu.cfs_quota_us": "-1",
        "cgroup/cpu/cpu.cfs_period_us": "100000",
    }
    write(tmp_path, files)
    config = CgroupConfig(proc_dir=f"{tmp_path}/proc", cgroup_dir=f"{tmp_path}/cgroup")
    values = (await collect(Cgroup(config, collector_context))).values
    assert values == {"cgroup_memory_used_bytes": 10, "cgroup_processes": 3, "cgroup_processes_limit": 100}


async def test_outside_any_group_there_is_nothing(tmp_path, collector_context):
    proc = write(tmp_path, {"self/cgroup": "0::/\n"})
    cgroup = Cgroup(CgroupConfig(proc_dir=proc, cgroup_dir=str(tmp_path)), collector_context)
    assert (await collect(cgroup)).samples == []


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


async def test_sensors_are_asked_seldom_where_there_are_none(collector_context):
    sensors, fake = Sensors(None, collector_context), FakeSensors()
    sensors._psutil = fake
    for _ in range(61):
        assert (await collect(sensors)).samples == []
    assert fake.asked == 2


async def test_sensors_without_a_label_are_numbered(collector_context):
    sensors, fake = Sensors(None, collector_context), FakeSensors()
    fake.temperatures = {
        "coretemp": [SimpleNamespace(label="", current=47.0), SimpleNamespace(label="Core 1", current=45.0)]
    }
    sensors._psutil = fake
    assert (await collect(sensors)).values == {
        'sensor_temperature_celsius{chip="coretemp",sensor="0"}': 47.0,
        'sensor_temperature_celsius{chip="coretemp",sensor="Core 1"}': 45.0,
    }
