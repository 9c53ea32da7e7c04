from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from agent.config.schema import LogSection
from agent.journal import MAX_VALUE_CHARS, JournalWriter, encode_entry, field_name, journal_fields
from agent.logs import configure_logs

LONGEST_DATAGRAM = 1 << 20


def decode(entry: bytes) -> dict[str, str]:
    """An entry read back, by the description of the protocol and not by our writer."""
    fields = {}
    while entry:
        head, _, entry = entry.partition(b"\n")
        name, is_short, value = head.partition(b"=")
        if not is_short:
            size = int.from_bytes(entry[:8], "little")
            value, end, entry = entry[8 : 8 + size], entry[8 + size : 9 + size], entry[9 + size :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
    return fields


class Journal:
    """A journal's socket: a real one, which reads only when asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.link.setblocking(False)
        self.link.bind(str(self.path))

    def close(self) -> None:
        self.link.close()
        self.path.unlink()

    def read(self) -> dict[str, str]:
        return decode(self.link.recv(LONGEST_DATAGRAM))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "socket")
    yield journal
    journal.link.close()


@pytest.fixture
def log(journal: Journal, tmp_path: Path) -> Iterator[structlog.typing.FilteringBoundLogger]:
    """The log of a process whose standard error leads to the journal."""
    with (tmp_path / "stderr").open("w") as stream:
        status = os.fstat(stream.fileno())
        there = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        configure_logs(LogSection(level="debug"), there, stream, str(journal.path))
        yield structlog.get_logger()


def test_event_arrives_with_priority_message_and_a_field_for_each_fact(
    log: structlog.typing.FilteringBoundLogger, journal: Journal
) -> None:
    log.warning("breaker.opened", component="sink:websocket", was="CLOSED", now="OPEN", open_s=1.5)
    assert journal.read() == {
        "MESSAGE": "breaker.opened component=sink:websocket was=CLOSED now=OPEN open_s=1.5",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "rebellion",
        "REBELLION_EVENT": "breaker.opened",
        "REBELLION_COMPONENT": "sink:websocket",
        "REBELLION_SINK": "websocket",
        "REBELLION_WAS": "CLOSED",
        "REBELLION_NOW": "OPEN",
        "REBELLION_OPEN_S": "1.5",
    }


def test_levels_become_priorities(log: structlog.typing.FilteringBoundLogger, journal: Journal) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)("thing.happened")
    assert [journal.read()["PRIORITY"] for _ in range(5)] == ["7", "6", "4", "3", "2"]


def test_secrets_are_masked_in_message_and_fields(log: structlog.typing.FilteringBoundLogger, journal: Journal) -> None:
    log.info("sink.made", token="hunter2", url="wss://joe:hunter2@hub/")
    fields = journal.read()
    assert "hunter2" not in str(fields)
    assert fields["REBELLION_TOKEN"] == "********"


def test_traceback_stands_below_the_message_in_lines_of_its_own(
    log: structlog.typing.FilteringBoundLogger, journal: Journal
) -> None:
    try:
        int("boom")
    except ValueError:
        log.exception("thing.failed", error="it\nbroke")
    fields = journal.read()
    first, _, rest = fields["MESSAGE"].partition("\n")
    assert first == "thing.failed error='it\\nbroke'"
    assert rest.splitlines()[-1].startswith("ValueError: invalid literal")
    assert fields["REBELLION_ERROR"] == "it\nbroke"


def test_journal_that_stands_still_costs_entries_and_is_told_how_many(journal: Journal) -> None:
    lines: list[str] = []
    writer = JournalWriter(lines.append, str(journal.path))
    sent = 0
    while not writer.dropped_count:
        writer.msg(journal_fields(6, f"n={sent}", "n", {}))
        sent += 1
    writer.msg(journal_fields(6, "n=again", "n", {}))
    taken = [journal.read()["MESSAGE"] for _ in range(sent - 1)]
    assert taken == [f"n={n}" for n in range(sent - 1)]
    writer.msg(journal_fields(6, "n=last", "n", {}))
    notice = journal.read()
    assert (notice["REBELLION_EVENT"], notice["REBELLION_ENTRIES"], notice["PRIORITY"]) == ("log.dropped", "2", "4")
    assert journal.read()["MESSAGE"] == "n=last"
    assert (writer.dropped_count, lines) == (2, [])


def test_without_the_socket_lines_go_to_the_stream_and_a_new_socket_is_found(journal: Journal) -> None:
    lines: list[str] = []
    writer = JournalWriter(lines.append, str(journal.path))
    journal.close()
    writer.msg(journal_fields(3, "store.failed\ntraceback", "store.failed", {}))
    assert lines == ["<3>store.failed\\ntraceback"]
    journal.open()
    writer.msg(journal_fields(6, "store.recovered", "store.recovered", {}))
    assert journal.read()["MESSAGE"] == "store.recovered"
    assert (len(lines), writer.dropped_count) == (1, 0)


def test_value_too_long_for_a_datagram_is_cut(journal: Journal) -> None:
    JournalWriter(pytest.fail, str(journal.path)).msg(journal_fields(6, "x" * 10_000_000, "x", {"y": "ü" * 10_000_000}))
    fields = journal.read()
    assert fields["MESSAGE"] == "x" * MAX_VALUE_CHARS
    assert fields["REBELLION_Y"] == "ü" * MAX_VALUE_CHARS


@pytest.mark.parametrize(
    ("key", "name"),
    [("open_s", "REBELLION_OPEN_S"), ("größe 1", "REBELLION_GR_SSE_1"), ("a" * 99, "REBELLION_" + "A" * 54)],
)
def test_names_are_what_the_journal_takes(key: str, name: str) -> None:
    assert field_name(key) == name


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text(st.characters(codec="utf-8"))))
def test_every_entry_reads_back_as_it_was(fields: dict[str, str]) -> None:
    assert decode(encode_entry(fields)) == fields
