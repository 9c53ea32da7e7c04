"""Hands log entries to systemd's journal with their fields: one datagram an entry, no dependency.

Source: systemd's "Native Journal Protocol" page.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping

__all__ = ["JOURNAL_SOCKET", "JournalWriter", "encode_entry", "journal_fields"]

JOURNAL_SOCKET = "/run/systemd/journal/socket"
MAX_VALUE_CHARS = 16_384
"""A longer value is cut: what the socket refuses as too large would be lost as a whole."""

_MAX_NAME_CHARS = 64
_FORBIDDEN = re.compile("[^A-Z0-9_]+")
_PREFIX = "REBELLION_"

Fields = Mapping[str, str]


class JournalWriter:
    """Writes entries to the journal and never waits for it; a socket for each, so that a journal started anew is found again.

    Args:
        fall_back: Takes the line of an entry, its `<N>` in front, when the journal's socket does not take it.
        path: The journal's socket.

    Attributes:
        dropped_count: Entries given up because the journal stood still; told in the journal once it moves again.
    """

    def __init__(self, fall_back: Callable[[str], None], path: str = JOURNAL_SOCKET) -> None:
        self._fall_back = fall_back
        self._path = path
        self._untold_count = 0
        self.dropped_count = 0

    def msg(self, fields: Fields) -> None:
        """Write one entry; `MESSAGE` and `PRIORITY` are among its fields."""
        try:
            if self._untold_count:
                self._send(_drop_notice(self._untold_count))
                self._untold_count = 0
            self._send(fields)
        except BlockingIOError:
            self._untold_count += 1
            self.dropped_count += 1
        except OSError:
            self._fall_back(f"<{fields['PRIORITY']}>{fields['MESSAGE']}".replace("\n", "\\n"))

    debug = info = warning = error = critical = exception = log = msg

    def _send(self, fields: Fields) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.setblocking(False)
            link.sendto(encode_entry(fields), self._path)


def encode_entry(fields: Fields) -> bytes:
    r"""An entry as the journal reads it: `NAME=value\n`, and with a length in front of a value of several lines."""
    return b"".join(
        _encoded(name, value[:MAX_VALUE_CHARS].encode("utf-8", "replace")) for name, value in fields.items()
    )


def journal_fields(priority: int, message: str, event: str, facts: Mapping[str, object]) -> dict[str, str]:
    """The fields of an entry.

    Args:
        priority: 0 (emergency) ... 7 (debug), as syslog has it.
        message: The text that people read.
        event: What happened, as `REBELLION_EVENT`.
        facts: Each as `REBELLION_<NAME>`; `component="sink:file"` gives `REBELLION_SINK=file` beside it.
    """
    head = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "rebellion"}
    kind, _, name = str(facts.get("component", "")).partition(":")
    named = {kind: name} if name else {}
    return {**head, **{field_name(key): str(value) for key, value in {**named, **facts, "event": event}.items()}}


def field_name(key: str) -> str:
    """A fact's name as the journal allows it: capitals, digits and underscores, 64 characters at most."""
    return (_PREFIX + _FORBIDDEN.sub("_", key.upper()))[:_MAX_NAME_CHARS]


def _encoded(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def _drop_notice(count: int) -> Fields:
    text = f"log.dropped entries={count} reason='the journal took no more'"
    return journal_fields(4, text, "log.dropped", {"entries": count})
