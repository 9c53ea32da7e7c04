"""Collector `network`: what each interface carries, and what TCP and UDP make of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agent.api import CollectorContext, Kind, ProcFile, Recorder, Register, hookimpl

__all__ = ["Config", "Network", "snmp_tables", "socket_counts"]

PER_INTERFACE = {
    "bytes_recv": ("network_received_bytes_per_s", "bytes/s"),
    "bytes_sent": ("network_sent_bytes_per_s", "bytes/s"),
    "packets_recv": ("network_received_packets_per_s", "1/s"),
    "packets_sent": ("network_sent_packets_per_s", "1/s"),
    "errin": ("network_receive_errors_per_s", "1/s"),
    "errout": ("network_send_errors_per_s", "1/s"),
    "dropin": ("network_receive_drops_per_s", "1/s"),
    "dropout": ("network_send_drops_per_s", "1/s"),
}
SNMP_RATES = {
    ("Tcp", "ActiveOpens"): "tcp_connections_opened_per_s",
    ("Tcp", "PassiveOpens"): "tcp_connections_accepted_per_s",
    ("Tcp", "AttemptFails"): "tcp_connections_failed_per_s",
    ("Tcp", "EstabResets"): "tcp_connections_reset_per_s",
    ("Tcp", "InSegs"): "tcp_received_segments_per_s",
    ("Tcp", "OutSegs"): "tcp_sent_segments_per_s",
    ("Tcp", "RetransSegs"): "tcp_retransmitted_segments_per_s",
    ("Tcp", "InErrs"): "tcp_bad_segments_per_s",
    ("Tcp", "OutRsts"): "tcp_sent_resets_per_s",
    ("Udp", "InDatagrams"): "udp_received_datagrams_per_s",
    ("Udp", "OutDatagrams"): "udp_sent_datagrams_per_s",
    ("Udp", "NoPorts"): "udp_datagrams_to_closed_ports_per_s",
    ("Udp", "InErrors"): "udp_receive_errors_per_s",
    ("Udp", "RcvbufErrors"): "udp_receive_buffer_errors_per_s",
    ("Udp", "SndbufErrors"): "udp_send_buffer_errors_per_s",
    ("Ip", "InDiscards"): "ip_received_discards_per_s",
    ("Ip", "OutDiscards"): "ip_sent_discards_per_s",
    ("Icmp", "InMsgs"): "icmp_received_messages_per_s",
    ("Icmp", "OutMsgs"): "icmp_sent_messages_per_s",
}
SNMP_LEVELS = {("Tcp", "CurrEstab"): "tcp_connections_established"}
SOCKETS = {
    (b"sockets", b"used"): "sockets_used",
    (b"TCP", b"inuse"): "tcp_sockets_in_use",
    (b"TCP", b"orphan"): "tcp_sockets_orphaned",
    (b"TCP", b"tw"): "tcp_sockets_in_time_wait",
    (b"TCP", b"alloc"): "tcp_sockets_allocated",
    (b"UDP", b"inuse"): "udp_sockets_in_use",
}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collectors.network]`"""

    skip: tuple[str, ...] = ("veth",)
    proc_dir: str = "/proc"


class Network:
    """Interfaces from psutil, protocols from /proc/net/snmp and sockstat; a protocol that a kernel lacks is left out."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        import psutil

        self._psutil: Any = psutil
        self._skip = config.skip
        self._snmp = ProcFile(f"{config.proc_dir}/net/snmp")
        self._sockstat = ProcFile(f"{config.proc_dir}/net/sockstat")
        self._interfaces = {
            field: context.family(name, label="interface", unit=unit, kind=Kind.RATE, wrap_bits=64)
            for field, (name, unit) in PER_INTERFACE.items()
        }
        self._rates = {
            key: context.series(name, unit="1/s", kind=Kind.RATE, wrap_bits=64) for key, name in SNMP_RATES.items()
        }
        self._levels = {key: context.series(name) for key, name in SNMP_LEVELS.items()}
        self._sockets = {key: context.series(name) for key, name in SOCKETS.items()}

    def collect(self, out: Recorder) -> None:
        for interface, counters in self._psutil.net_io_counters(pernic=True, nowrap=False).items():
            if not interface.startswith(self._skip):
                for field, family in self._interfaces.items():
                    out.add(family[interface], getattr(counters, field))
        self._collect_protocols(out)
        self._collect_sockets(out)

    def close(self) -> None:
        self._snmp.close()
        self._sockstat.close()

    def _collect_protocols(self, out: Recorder) -> None:
        for key, value in snmp_tables(self._snmp.read_if_there()):
            series = self._rates.get(key) or self._levels.get(key)
            if series is not None:
                out.add(series, value)

    def _collect_sockets(self, out: Recorder) -> None:
        for key, value in socket_counts(self._sockstat.read_if_there()):
            if key in self._sockets:
                out.add(self._sockets[key], value)


def snmp_tables(text: bytes) -> Iterator[tuple[tuple[str, str], int]]:
    """((protocol, counter), value) of /proc/net/snmp, where a line of names is followed by one of values."""
    lines = text.decode("ascii", "replace").splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, name_list = names.partition(":")
        same_protocol, _, value_list = values.partition(":")
        if protocol == same_protocol:
            for name, value in zip(name_list.split(), value_list.split(), strict=False):
                yield (protocol, name), int(value)


def socket_counts(text: bytes) -> Iterator[tuple[tuple[bytes, bytes], int]]:
    """((protocol, state), sockets) of /proc/net/sockstat."""
    for line in text.splitlines():
        protocol, _, rest = line.partition(b":")
        words = rest.split()
        for name, value in zip(words[::2], words[1::2], strict=False):
            yield (protocol, name), int(value)


@hookimpl
def rebellion_register_collectors(register: Register) -> None:
    register("network", Network, config=Config)
