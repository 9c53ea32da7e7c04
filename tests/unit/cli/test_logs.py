from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from agent.config.schema import LogSection
from agent.logs import LineWriter, choose_format, configure_logs

Start = Callable[..., io.StringIO]


@pytest.fixture
def start() -> Start:
    """Set up logging into a text buffer."""
    stream = io.StringIO()

    def begin(**section: str) -> io.StringIO:
        configure_logs(LogSection(**section), {}, stream)
        return stream

    return begin


def test_json_lines_carry_event_level_time_and_facts(start: Start) -> None:
    stream = start(format="json")
    structlog.get_logger().warning("breaker.opened", target="hub", failures=5)
    entry = json.loads(stream.getvalue())
    assert list(entry) == ["timestamp", "level", "event", "target", "failures"]
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "breaker.opened", "level": "warning", "target": "hub", "failures": 5}


def test_journal_lines_begin_with_the_priority(start: Start) -> None:
    stream = start(format="journal", level="debug")
    log = structlog.get_logger()
    log.debug("tick.done", points=3)
    log.info("agent.started")
    log.warning("breaker.opened", target="the hub")
    log.error("store.failed", error="disk\nfull")
    assert stream.getvalue().splitlines() == [
        "<7>tick.done points=3",
        "<6>agent.started",
        "<4>breaker.opened target='the hub'",
        "<3>store.failed error='disk\\nfull'",
    ]


def test_console_lines_are_for_people(start: Start) -> None:
    stream = start(format="console")
    structlog.get_logger().info("agent.started", sinks=1)
    (line,) = stream.getvalue().splitlines()
    assert "agent.started" in line
    assert "sinks=1" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("no_colour", ["", "1"])
@pytest.mark.usefixtures("start")
def test_console_lines_are_coloured_on_a_terminal_that_wants_it(no_colour: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure_logs(LogSection(format="console"), {"NO_COLOR": no_colour}, stream)
    structlog.get_logger().warning("breaker.opened")
    assert ("\x1b[" in stream.getvalue()) is not bool(no_colour)


def test_levels_below_the_chosen_one_are_left_out(start: Start) -> None:
    stream = start(format="json", level="error")
    structlog.get_logger().warning("breaker.opened")
    structlog.get_logger().error("store.failed")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["store.failed"]


def test_level_can_change_while_loggers_are_held(start: Start) -> None:
    stream = start(format="json", level="error")
    log = structlog.get_logger()
    start(format="json", level="debug")
    log.debug("tick.done")
    assert "tick.done" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "journal", "console"])
def test_secrets_are_masked_in_every_format(start: Start, log_format: str) -> None:
    stream = start(format=log_format)
    structlog.get_logger().info("sink.made", token="hunter2", url="wss://joe:hunter2@hub/", budget_tokens=5)
    assert "hunter2" not in stream.getvalue()
    assert "********" in stream.getvalue()
    assert "5" in stream.getvalue()


def test_libraries_speak_through_the_same_lines(start: Start) -> None:
    stream = start(format="json")
    logging.getLogger("websockets.client").warning("lost %s", "link")
    logging.getLogger("websockets.client").info("chatter")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["logger"], entry["level"]) == ("lost link", "websockets.client", "warning")


def test_warnings_of_python_become_log_lines(start: Start) -> None:
    stream = start(format="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    assert "old thing" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "journal"])
def test_traceback_of_a_library_stays_on_one_line(start: Start, log_format: str) -> None:
    stream = start(format=log_format)
    try:
        int("boom")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "boom" in line


def test_stream_that_fails_costs_the_line_and_is_counted() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    stream.close()
    writer.msg("x")
    with Path("/dev/full").open("w") as full:
        other = LineWriter(full)
        other.msg("x")
        assert other.dropped_count == 1
        os.dup2(os.open("/dev/null", os.O_WRONLY), full.fileno())
    assert writer.dropped_count == 1


def test_auto_is_the_journal_only_when_the_stream_leads_there(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        status = os.fstat(stream.fileno())
        there = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert choose_format(LogSection(), there, stream) == "journal"
        assert choose_format(LogSection(), {"JOURNAL_STREAM": "1:2"}, stream) == "json"
        assert choose_format(LogSection(), {}, stream) == "json"
        assert choose_format(LogSection(format="console"), there, stream) == "console"


def test_auto_is_the_console_on_a_terminal() -> None:
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal:
        assert choose_format(LogSection(), {}, terminal) == "console"
    os.close(leader)


def test_reader_that_stands_still_costs_lines_and_never_the_writer() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        writer = LineWriter(stream)
        while not writer.dropped_count:
            writer.msg("x" * 4000)
        os.read(reading, 1 << 20)
        writer.msg("heard again")
        assert writer.dropped_count == 1
        assert os.read(reading, 1 << 20) == b"heard again\n"
    os.close(reading)
