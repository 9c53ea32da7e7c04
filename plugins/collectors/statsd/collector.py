"""Listens on a thread of its own, so that a flood of packets costs no tick; hands over what came in once a tick."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from agent.api import CollectError, CollectorContext, Kind, Recorder, parse_listen
from plugins.collectors.statsd.lines import parsed
from plugins.collectors.statsd.tally import Taken, Tally, Timer

if TYPE_CHECKING:
    from plugins.collectors.statsd import Config

__all__ = ["Statsd"]

_PACKET_BYTES = 65_536
_LOOK_S = 0.2
_MS_PER_S = 1000.0
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Statsd:
    """Takes packets from the moment it is made.

    Raises:
        CollectError: The address cannot be listened on.
    """

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._context = context
        self._tally = Tally(config.max_names, config.timer_samples, config.keep_gauges_s, context.rng)
        self._lock = threading.Lock()
        self._bad_lines = 0
        self._before_s = context.clock.monotonic_s()
        self._lines_total, self._bad_total, self._left_out_total = (
            context.series(f"statsd_{what}_total", kind=Kind.COUNTER)
            for what in ("lines", "bad_lines", "left_out_lines")
        )
        self._socket = _listening(config)
        self._is_open = True
        self._thread = threading.Thread(target=self._listen, name="statsd", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    def collect(self, out: Recorder, /) -> None:
        """Record what came in since the last time."""
        now_s = self._context.clock.monotonic_s()
        with self._lock:
            taken = self._tally.take(now_s)
            out.add(self._lines_total, self._tally.lines)
            out.add(self._bad_total, self._bad_lines)
            out.add(self._left_out_total, self._tally.left_out)
        elapsed_s, self._before_s = now_s - self._before_s, now_s
        self._record(out, taken, elapsed_s)

    def close(self) -> None:
        """Stop listening; safe twice."""
        self._is_open = False
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while self._is_open:
            try:
                packet = self._socket.recv(_PACKET_BYTES)
            except TimeoutError:
                continue
            self._take(packet)

    def _take(self, packet: bytes) -> None:
        now_s = self._context.clock.monotonic_s()
        with self._lock:
            for text in packet.decode("utf-8", "replace").splitlines():
                try:
                    self._tally.add(parsed(text), now_s)
                except ValueError:
                    self._bad_lines += 1

    def _record(self, out: Recorder, taken: Taken, elapsed_s: float) -> None:
        series = self._context.series
        for (name, tags), total in taken.counters.items():
            if elapsed_s > 0:
                out.add(series(f"{name}_per_s", unit="1/s", labels=dict(tags)), total / elapsed_s)
        for (name, tags), value in taken.gauges.items():
            out.add(series(name, labels=dict(tags)), value)
        for (name, tags), members in taken.sets.items():
            out.add(series(f"{name}_count", labels=dict(tags)), len(members))
        for (name, tags), timer in taken.timers.items():
            for stat, value_ms in _statistics(timer).items():
                labels = {**dict(tags), "statistic": stat}
                out.add(series(f"{name}_s", unit="s", labels=labels), value_ms / _MS_PER_S)
            out.add(series(f"{name}_count", labels=dict(tags)), timer.count)


def _statistics(timer: Timer) -> dict[str, float]:
    percentiles = {name: timer.percentile(ratio) for name, ratio in _PERCENTILES.items()}
    return {"mean": timer.total / timer.count, "max": timer.largest, **percentiles}


def _listening(config: Config) -> socket.socket:
    host, port = parse_listen(config.listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise CollectError(f"cannot listen on {config.listen}: {error.strerror}") from error
    made.settimeout(_LOOK_S)
    return made
