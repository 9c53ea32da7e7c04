"""Reads `/proc/net/dev`, `snmp`, `netstat`, `sockstat` and `sockstat6`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agent.api import LONG_BITS, CollectorContext, Kind, ProcFile, Recorder, Series

if TYPE_CHECKING:
    from plugins.collectors.network import Config

__all__ = ["Network", "Table", "socket_counts"]

PER_INTERFACE = (
    (0, "network_received_bytes_per_s", "bytes/s"),
    (1, "network_received_packets_per_s", "1/s"),
    (2, "network_receive_errors_per_s", "1/s"),
    (3, "network_receive_drops_per_s", "1/s"),
    (8, "network_sent_bytes_per_s", "bytes/s"),
    (9, "network_sent_packets_per_s", "1/s"),
    (10, "network_send_errors_per_s", "1/s"),
    (11, "network_send_drops_per_s", "1/s"),
)
"""Column of /proc/net/dev after the interface's name -> metric and unit."""

RATES = {
    (b"Tcp", b"ActiveOpens"): "network_tcp_opened_per_s",
    (b"Tcp", b"PassiveOpens"): "network_tcp_accepted_per_s",
    (b"Tcp", b"AttemptFails"): "network_tcp_failed_per_s",
    (b"Tcp", b"EstabResets"): "network_tcp_reset_per_s",
    (b"Tcp", b"InSegs"): "network_tcp_received_segments_per_s",
    (b"Tcp", b"OutSegs"): "network_tcp_sent_segments_per_s",
    (b"Tcp", b"RetransSegs"): "network_tcp_retransmitted_segments_per_s",
    (b"Tcp", b"InErrs"): "network_tcp_bad_segments_per_s",
    (b"Tcp", b"OutRsts"): "network_tcp_sent_resets_per_s",
    (b"TcpExt", b"ListenOverflows"): "network_tcp_listen_overflows_per_s",
    (b"TcpExt", b"ListenDrops"): "network_tcp_listen_drops_per_s",
    (b"TcpExt", b"TCPTimeouts"): "network_tcp_timeouts_per_s",
    (b"TcpExt", b"TCPSynRetrans"): "network_tcp_retransmitted_syns_per_s",
    (b"Udp", b"InDatagrams"): "network_udp_received_datagrams_per_s",
    (b"Udp", b"OutDatagrams"): "network_udp_sent_datagrams_per_s",
    (b"Udp", b"NoPorts"): "network_udp_to_closed_ports_per_s",
    (b"Udp", b"InErrors"): "network_udp_receive_errors_per_s",
    (b"Udp", b"RcvbufErrors"): "network_udp_receive_buffer_errors_per_s",
    (b"Udp", b"SndbufErrors"): "network_udp_send_buffer_errors_per_s",
    (b"Ip", b"InDiscards"): "network_ip_receive_discards_per_s",
    (b"Ip", b"OutDiscards"): "network_ip_send_discards_per_s",
    (b"Ip", b"ForwDatagrams"): "network_ip_forwarded_datagrams_per_s",
    (b"Icmp", b"InMsgs"): "network_icmp_received_messages_per_s",
    (b"Icmp", b"OutMsgs"): "network_icmp_sent_messages_per_s",
}
"""Protocol and counter of /proc/net/snmp and netstat -> metric."""

LEVELS = {(b"Tcp", b"CurrEstab"): "network_tcp_established_count"}

SOCKETS = {
    (b"sockets", b"used"): "network_sockets_count",
    (b"TCP", b"inuse"): "network_tcp_sockets_count",
    (b"TCP6", b"inuse"): "network_tcp6_sockets_count",
    (b"TCP", b"orphan"): "network_tcp_orphaned_count",
    (b"TCP", b"tw"): "network_tcp_time_wait_count",
    (b"TCP", b"alloc"): "network_tcp_allocated_count",
    (b"UDP", b"inuse"): "network_udp_sockets_count",
    (b"UDP6", b"inuse"): "network_udp6_sockets_count",
}
"""Protocol and state of /proc/net/sockstat and sockstat6 -> metric. The first file counts both versions but for `inuse`."""

PROTOCOL_FILES = ("snmp", "netstat")
SOCKET_FILES = ("sockstat", "sockstat6")

Counters = Mapping[tuple[bytes, bytes], Series]


class Table:
    """A file in which a line of names, beginning with its protocol, is followed by a line of values.

    Names hardly ever change, so where the wanted values stand is found once for each line of names.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._wanted: dict[bytes, list[tuple[int, Series]]] = {}

    def record(self, out: Recorder, text: bytes) -> None:
        """Record every wanted counter that the text has."""
        lines = text.splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            if names not in self._wanted:
                self._wanted[names] = list(self._find(names))
            wanted = self._wanted[names]
            words = values.split() if wanted else []
            for position, series in wanted:
                if position < len(words):
                    out.add(series, int(words[position]))

    def _find(self, names: bytes) -> Iterator[tuple[int, Series]]:
        protocol, *counters = names.split()
        for position, counter in enumerate(counters, 1):
            series = self._counters.get((protocol.rstrip(b":"), counter))
            if series is not None:
                yield position, series


class Network:
    """Interfaces, protocols and sockets; what a kernel lacks is left out."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context
        folder = f"{config.proc_dir}/net"
        self._dev = ProcFile(f"{folder}/dev")
        self._protocols = [ProcFile(f"{folder}/{name}") for name in PROTOCOL_FILES]
        self._sockstats = [ProcFile(f"{folder}/{name}") for name in SOCKET_FILES]
        self._interfaces: dict[bytes, list[tuple[int, Series]]] = {}
        counters = {
            key: context.series(name, unit="1/s", kind=Kind.RATE, wrap_bits=LONG_BITS) for key, name in RATES.items()
        }
        self._table = Table(counters | {key: context.series(name) for key, name in LEVELS.items()})
        self._sockets = {key: context.series(name) for key, name in SOCKETS.items()}

    def collect(self, out: Recorder, /) -> None:
        """Record the interfaces, then what the protocols and the sockets say."""
        for line in self._dev.read().splitlines()[2:]:
            self._record_interface(out, line)
        for file in self._protocols:
            self._table.record(out, file.read_if_there())
        for file in self._sockstats:
            for key, value in socket_counts(file.read_if_there()):
                if key in self._sockets:
                    out.add(self._sockets[key], value)

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._dev, *self._protocols, *self._sockstats):
            file.close()

    def _record_interface(self, out: Recorder, line: bytes) -> None:
        """The name stands up to the last colon (an alias has one of its own), with or without a space after it."""
        name, _, figures = line.rpartition(b":")
        if name not in self._interfaces:
            self._interfaces[name] = self._series(name.strip().decode("utf-8", "replace"))
        words = figures.split()
        for column, series in self._interfaces[name]:
            out.add(series, int(words[column]))

    def _series(self, interface: str) -> list[tuple[int, Series]]:
        if interface.startswith(self._config.skip):
            return []
        labels = {"interface": interface}
        return [
            (column, self._context.series(name, unit=unit, kind=Kind.RATE, wrap_bits=LONG_BITS, labels=labels))
            for column, name, unit in PER_INTERFACE
        ]


def socket_counts(text: bytes) -> Iterator[tuple[tuple[bytes, bytes], int]]:
    """((protocol, state), sockets) of /proc/net/sockstat."""
    for line in text.splitlines():
        protocol, _, rest = line.partition(b":")
        words = rest.split()
        for name, value in zip(words[::2], words[1::2], strict=False):
            yield (protocol, name), int(value)
