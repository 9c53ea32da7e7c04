"""Limits of control groups, of both versions, on a host and in containers."""

import pytest

from agent.testing.recorder import collect
from plugins.collectors.cgroup import Config
from plugins.collectors.cgroup.collector import Cgroup


@pytest.fixture
def tree(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    return write


@pytest.fixture
def cgroup(tmp_path, collector_context):
    made = Cgroup(Config(proc_dir=f"{tmp_path}/proc", cgroup_dir=f"{tmp_path}/cgroup"), collector_context)
    yield made
    made.close()


def version_2(group):
    """Everything limited."""
    return {
        f"{group}/memory.max": "200",
        f"{group}/memory.current": "150",
        f"{group}/memory.stat": "anon 50\ninactive_file 40",
        f"{group}/memory.events": "low 0\noom 1\noom_kill 1",
        f"{group}/pids.max": "100",
        f"{group}/pids.current": "7",
        f"{group}/cpu.max": "150000 100000",
        f"{group}/cpu.stat": "usage_usec 2000000\nnr_periods 10\nnr_throttled 2\nthrottled_usec 9",
    }


LIMITED_VALUES = {
    "cgroup_memory_limit_bytes": 200,
    "cgroup_memory_used_bytes": 150,
    "cgroup_memory_working_set_bytes": 110,
    "cgroup_memory_used_ratio": 0.75,
    "cgroup_memory_oom_kills_per_s": 1,
    "cgroup_processes_limit_count": 100,
    "cgroup_processes_count": 7,
    "cgroup_processes_used_ratio": 0.07,
    "cgroup_cpu_limit_cores": 1.5,
    "cgroup_cpu_used_cores": 2.0,
}


@pytest.mark.parametrize(
    ("membership", "group"),
    [
        ("0::/system.slice/x.service", "cgroup/system.slice/x.service"),
        ("0::/system.slice/x.service", "cgroup/system.slice"),
        ("0::/", "cgroup"),
        ("0::/docker/abc", "cgroup"),
        ("0::/../../other", "cgroup"),
        ("1:name=systemd:/x\n0::/x", "cgroup/unified/x"),
    ],
    ids=["own", "above", "container", "container-told-the-hosts-path", "outside-its-namespace", "hybrid"],
)
async def test_the_nearest_limit_of_version_2_is_found(tree, cgroup, membership, group):
    tree({"proc/self/cgroup": membership, **version_2(group)})
    assert (await collect(cgroup)).values == LIMITED_VALUES


async def test_each_resource_has_its_own_nearest_limit(tree, cgroup):
    tree({"proc/self/cgroup": "0::/a/b", **version_2("cgroup/a"), **version_2("cgroup/a/b")})
    tree({"cgroup/a/b/memory.max": "max", "cgroup/a/b/pids.max": "10", "cgroup/a/b/cpu.max": "max 100000"})
    values = (await collect(cgroup)).values
    assert values["cgroup_memory_limit_bytes"] == 200
    assert values["cgroup_processes_limit_count"] == 10
    assert values["cgroup_cpu_limit_cores"] == 1.5


async def test_throttling_is_the_share_of_periods_since_the_tick_before(tree, cgroup):
    tree({"proc/self/cgroup": "0::/x", **version_2("cgroup/x")})
    assert "cgroup_cpu_throttled_ratio" not in (await collect(cgroup)).values
    tree({"cgroup/x/cpu.stat": "usage_usec 3000000\nnr_periods 20\nnr_throttled 7"})
    assert (await collect(cgroup)).values["cgroup_cpu_throttled_ratio"] == 0.5
    assert "cgroup_cpu_throttled_ratio" not in (await collect(cgroup)).values


async def test_version_1_in_a_container(tree, cgroup):
    tree(
        {
            "proc/self/cgroup": "9:memory:/docker/abc\n8:pids:/docker/abc\n3:cpu,cpuacct:/docker/abc",
            "cgroup/memory/memory.limit_in_bytes": "200",
            "cgroup/memory/memory.usage_in_bytes": "150",
            "cgroup/memory/memory.stat": "cache 60\ninactive_file 40",
            "cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1",
            "cgroup/pids/pids.max": "100",
            "cgroup/pids/pids.current": "7",
            "cgroup/cpu/cpu.cfs_quota_us": "150000",
            "cgroup/cpu/cpu.cfs_period_us": "100000",
            "cgroup/cpu/cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 9",
            "cgroup/cpuacct/cpuacct.usage": "2000000000",
        }
    )
    assert (await collect(cgroup)).values == LIMITED_VALUES


async def test_version_1_without_limits_gives_nothing(tree, cgroup):
    tree(
        {
            "proc/self/cgroup": "9:memory:/a\n8:pids:/\n3:cpu:/",
            "cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712",
            "cgroup/memory/a/memory.usage_in_bytes": "10",
            "cgroup/pids/tasks": "1",
            "cgroup/cpu/cpu.cfs_quota_us": "-1",
            "cgroup/cpu/cpu.cfs_period_us": "100000",
        }
    )
    assert (await collect(cgroup)).samples == []


async def test_a_host_without_control_groups_gives_nothing(cgroup):
    assert (await collect(cgroup)).samples == []


async def test_a_limit_that_is_set_later_is_found_within_a_minute(tree, cgroup, collector_context):
    tree({"proc/self/cgroup": "0::/x", "cgroup/x/memory.current": "150", "cgroup/x/memory.max": "max"})
    assert (await collect(cgroup)).samples == []
    tree({"cgroup/x/memory.max": "200"})
    assert (await collect(cgroup)).samples == []
    collector_context.clock.advance(60.0)
    assert (await collect(cgroup)).values["cgroup_memory_limit_bytes"] == 200


async def test_a_limit_that_is_lifted_is_shown_no_longer(tree, cgroup):
    tree({"proc/self/cgroup": "0::/x", **version_2("cgroup/x")})
    await collect(cgroup)
    tree({"cgroup/x/memory.max": "max"})
    assert "cgroup_memory_limit_bytes" not in (await collect(cgroup)).values
