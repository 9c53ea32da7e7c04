"""Disk and network against the trees of other kernels: old and new columns, 32-bit counters, devices that come and go."""

import pytest

from agent.api import CollectError
from agent.numeric.rate import CounterRates
from agent.testing.recorder import collect
from plugins.collectors.disk import Config as DiskConfig
from plugins.collectors.disk.collector import Disk, is_partition
from plugins.collectors.network import Config as NetworkConfig
from plugins.collectors.network.collector import Network, socket_counts

DEV_HEAD = "Inter-|   Receive |  Transmit\n face |bytes packets errs drop\n"


@pytest.fixture
def disk(tmp_path, collector_context):
    def make(*lines, **keys):
        show(tmp_path, *lines)
        return Disk(DiskConfig(proc_dir=str(tmp_path), **keys), collector_context)

    return make


def show(root, *lines):
    """Lines as the kernel writes them: device numbers, name, figures."""
    (root / "diskstats").write_text("".join(f"   8       0 {line}\n" for line in lines))


async def test_totals_times_and_waits_of_a_disk(disk, tmp_path, collector_context):
    collector = disk("sda 10 1 100 40 20 2 200 60 3 500 700 5 0 8 0 9 0")
    first = (await collect(collector)).values
    assert first['disk_read_bytes_per_s{device="sda"}'] == 100 * 512
    assert first['disk_discarded_bytes_per_s{device="sda"}'] == 8 * 512
    assert first['disk_flushes_per_s{device="sda"}'] == 9
    assert 'disk_busy_ratio{device="sda"}' not in first
    show(tmp_path, "sda 14 1 100 60 20 2 200 60 0 1500 4700 5 0 8 0 9 0")
    collector_context.clock.advance(2.0)
    values = (await collect(collector)).values
    assert values['disk_busy_ratio{device="sda"}'] == 0.5
    assert values['disk_queue_count{device="sda"}'] == 2.0
    assert values['disk_read_wait_s{device="sda"}'] == pytest.approx(0.005)
    assert values['disk_write_wait_s{device="sda"}'] == 0
    assert values['disk_in_flight_count{device="sda"}'] == 0


async def test_an_old_kernel_has_neither_discards_nor_flushes(disk):
    names = (await collect(disk("sda 1 0 8 1 1 0 8 1 0 1 1"))).names
    assert "disk_reads_per_s" in names
    assert not {"disk_discards_per_s", "disk_flushes_per_s"} & names


async def test_times_that_wrap_at_32_bits_go_on(disk, tmp_path, collector_context):
    collector = disk(f"sda 1 0 8 0 1 0 8 0 0 {2**32 - 300} 0")
    await collect(collector)
    show(tmp_path, "sda 1 0 8 0 1 0 8 0 0 200 0")
    collector_context.clock.advance(1.0)
    assert (await collect(collector)).values['disk_busy_ratio{device="sda"}'] == 0.5


async def test_a_disk_that_was_swapped_for_another_was_not_busy_for_49_days(disk, tmp_path, collector_context):
    collector = disk("sda 900 0 8 900 900 0 8 900 0 90000 90000")
    await collect(collector)
    show(tmp_path, "sda 1 0 8 1 1 0 8 1 0 1 1")
    collector_context.clock.advance(1.0)
    values = (await collect(collector)).values
    assert values['disk_busy_ratio{device="sda"}'] == values['disk_read_wait_s{device="sda"}'] == 0


async def test_a_busy_ratio_never_exceeds_one(disk, tmp_path, collector_context):
    collector = disk("sda 1 0 8 1 1 0 8 1 0 0 0")
    await collect(collector)
    show(tmp_path, "sda 1 0 8 1 1 0 8 1 0 1007 0")
    collector_context.clock.advance(1.0)
    assert (await collect(collector)).values['disk_busy_ratio{device="sda"}'] == 1.0


async def test_sectors_of_a_32_bit_kernel_wrap_into_a_rate(disk, tmp_path, collector_context, monkeypatch):
    monkeypatch.setattr("plugins.collectors.disk.collector.LONG_BITS", 32)
    collector, rates, found = disk(f"sda 1 0 {2**32 - 4} 1 1 0 8 1 0 1 1"), CounterRates(), []
    for at_s in (0.0, 1.0):
        samples = (await collect(collector)).samples
        series, total = next(sample for sample in samples if sample[0].name == "disk_read_bytes_per_s")
        found.append(rates.update(series, total, at_s, series.wrap_bits))
        show(tmp_path, "sda 1 0 6 1 1 0 8 1 0 1 1")
    assert found[1] == 10 * 512


async def test_only_real_devices_that_did_something_are_shown(disk):
    busy = "1 0 8 1 1 0 8 1 0 1 1"
    collector = disk(
        f"loop0 {busy}",
        f"zram0 {busy}",
        f"sda {busy}",
        f"sda1 {busy}",
        f"dm-0 {busy}",
        "sdb 0 0 0 0 0 0 0 0 0 0 0",
        "odd",
    )
    shown = {series.labels[0][1] for series, _ in (await collect(collector)).samples}
    assert shown == {"sda", "dm-0"}


async def test_partitions_are_shown_when_asked_for(disk):
    collector = disk("nvme0n1p2 1 0 8 1 1 0 8 1 0 1 1", partitions=True)
    assert 'disk_reads_per_s{device="nvme0n1p2"}' in (await collect(collector)).values


@pytest.mark.parametrize("whole", ["sda", "nvme0n1", "mmcblk0", "dm-0", "md0", "md127", "xvda", "nbd0"])
def test_whole_devices_are_no_partitions(whole):
    assert not is_partition(whole)


@pytest.mark.parametrize("part", ["sda1", "vda15", "nvme0n1p2", "mmcblk0p1", "xvda1", "md127p1", "nbd0p1"])
def test_partitions_are_partitions(part):
    assert is_partition(part)


@pytest.fixture
def net(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "dev").write_text(DEV_HEAD)
    return folder


@pytest.fixture
def network(net, collector_context):
    return Network(NetworkConfig(proc_dir=str(net.parent)), collector_context)


async def test_interfaces_come_and_go_and_those_of_containers_are_left_out(net, network):
    figures = "100 2 3 4 0 0 0 0 500 6 7 8 0 0 0 0"
    (net / "dev").write_text(f"{DEV_HEAD}  eth0:{figures}\nveth12: {figures}\neth0:1: {figures}\n")
    values = (await collect(network)).values
    assert values['network_received_bytes_per_s{interface="eth0"}'] == 100
    assert values['network_receive_drops_per_s{interface="eth0"}'] == 4
    assert values['network_sent_bytes_per_s{interface="eth0"}'] == 500
    assert values['network_send_errors_per_s{interface="eth0:1"}'] == 7
    assert not any("veth" in name for name in values)
    (net / "dev").write_text(f"{DEV_HEAD}  eth1: {figures}\n")
    assert {series.labels for series, _ in (await collect(network)).samples} == {(("interface", "eth1"),)}


async def test_counters_are_found_by_name_whatever_the_kernel_adds(net, network):
    (net / "snmp").write_text("Tcp: New ActiveOpens CurrEstab\nTcp: -1 5 2\nUdp: InDatagrams\nUdp: 9\n")
    (net / "netstat").write_text("TcpExt: ListenDrops Other TCPTimeouts\nTcpExt: 1 2 3\nIpExt: InOctets\nIpExt: 7\n")
    values = (await collect(network)).values
    assert values == {
        "network_tcp_opened_per_s": 5,
        "network_tcp_established_count": 2,
        "network_udp_received_datagrams_per_s": 9,
        "network_tcp_listen_drops_per_s": 1,
        "network_tcp_timeouts_per_s": 3,
    }


async def test_a_line_of_values_that_is_too_short_gives_what_it_has(net, network):
    (net / "snmp").write_text("Tcp: ActiveOpens PassiveOpens\nTcp: 5\n")
    assert (await collect(network)).values == {"network_tcp_opened_per_s": 5}


async def test_sockets_of_both_versions(net, network):
    (net / "sockstat").write_text("sockets: used 19\nTCP: inuse 2 orphan 0 tw 5 alloc 3 mem 1\nUDP: inuse 4 mem 0\n")
    (net / "sockstat6").write_text("TCP6: inuse 6\nUDP6: inuse 7\n")
    assert (await collect(network)).values == {
        "network_sockets_count": 19,
        "network_tcp_sockets_count": 2,
        "network_tcp_orphaned_count": 0,
        "network_tcp_time_wait_count": 5,
        "network_tcp_allocated_count": 3,
        "network_udp_sockets_count": 4,
        "network_tcp6_sockets_count": 6,
        "network_udp6_sockets_count": 7,
    }


def test_sockets_are_counted_by_protocol_and_state():
    assert dict(socket_counts(b"sockets: used 19\nTCP: inuse 2 tw 5\n")) == {
        (b"sockets", b"used"): 19,
        (b"TCP", b"inuse"): 2,
        (b"TCP", b"tw"): 5,
    }


async def test_a_host_without_interfaces_to_read_is_an_error(tmp_path, collector_context):
    with pytest.raises(CollectError, match="net/dev cannot be read"):
        await collect(Network(NetworkConfig(proc_dir=str(tmp_path)), collector_context))
