"""Sets up structured logging: for people, for machines or for the journal; one line an event, secrets masked."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from collections.abc import Mapping, MutableMapping
from typing import IO, Any

import structlog
from structlog.typing import Processor

from agent.colour import wants_colour
from agent.config.schema import LogSection
from agent.config.wording import masked
from agent.journal import JOURNAL_SOCKET, JournalWriter, journal_fields

__all__ = ["LineWriter", "choose_format", "configure_logs"]

EventDict = MutableMapping[str, Any]

_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Level -> syslog priority, as the journal reads it from `<N>` at the head of a line."""


class LineWriter:
    """Writes finished lines to a stream. One that fails (disk full, reader gone or asleep) costs the line, never the caller.

    Attributes:
        dropped_count: Lines that could not be written.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.dropped_count = 0

    def msg(self, line: str) -> None:
        """Write one line, at once."""
        try:
            if not _takes_more(self._stream):
                raise BlockingIOError
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped_count += 1

    debug = info = warning = error = critical = exception = log = msg


def configure_logs(
    section: LogSection,
    environ: Mapping[str, str],
    stream: IO[str] | None = None,
    journal_socket: str = JOURNAL_SOCKET,
) -> LineWriter | JournalWriter:
    """Send every log line of this process, those of libraries included, to a stream, or with its fields to the journal behind it.

    Args:
        section: Level and format. Libraries speak from `warning` on; with level `debug`, from `info` on.
        environ: For `$JOURNAL_STREAM` and `$NO_COLOR`.
        stream: Where lines go; None = standard error. One that leads to the journal is left to what the journal's socket refuses.
        journal_socket: The journal's socket.

    Returns:
        The writer, which counts what it could not write.
    """
    stream = sys.stderr if stream is None else stream
    chosen = choose_format(section, environ, stream)
    lines = LineWriter(stream)
    writer: LineWriter | JournalWriter = lines
    if chosen == "journal" and _leads_to_journal(environ, stream):
        chosen, writer = "fields", JournalWriter(lines.msg, journal_socket)
    level = getattr(logging, section.level.upper())
    structlog.configure(
        processors=_processors(chosen, has_colours=wants_colour(stream, environ)),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=min(logging.WARNING, level + 10), force=True)
    logging.captureWarnings(capture=True)
    return writer


def choose_format(section: LogSection, environ: Mapping[str, str], stream: IO[str]) -> str:
    """What `auto` means here: `journal` when the stream leads there, `console` on a terminal, else `json`."""
    if section.format != "auto":
        return section.format
    if _leads_to_journal(environ, stream):
        return "journal"
    return "console" if stream.isatty() else "json"


def mask_secrets(_logger: object, _method: str, facts: EventDict) -> EventDict:
    """Replace secrets among the facts; numbers are counts (`tokens=5`) and stay."""
    for key, value in facts.items():
        if not isinstance(value, int | float):
            facts[key] = masked(key, value)
    return facts


def in_reading_order(_logger: object, _method: str, facts: EventDict) -> EventDict:
    """Time, level and event before the facts."""
    head = {key: facts.pop(key) for key in ("timestamp", "level", "event") if key in facts}
    return {**head, **facts}


def journal_line(_logger: object, _method: str, facts: EventDict) -> str:
    """`<4>breaker.opened target=hub failures=5`: the priority as the journal reads it, then the event and its facts."""
    priority, event = _taken_out(facts)
    return f"<{priority}>{_sentence(event, facts)}"


def journal_entry(_logger: object, _method: str, facts: EventDict) -> tuple[tuple[dict[str, str]], dict[str, Any]]:
    """The same as fields: the sentence as message, its traceback below it, and each fact by itself."""
    priority, event = _taken_out(facts)
    traceback = facts.pop("exception", "")
    message = _sentence(event, facts) + (f"\n{traceback}" if traceback else "")
    return (journal_fields(priority, message, event, facts),), {}


def _taken_out(facts: EventDict) -> tuple[int, str]:
    return _PRIORITY.get(facts.pop("level", "info"), 6), str(facts.pop("event", ""))


def _sentence(event: str, facts: EventDict) -> str:
    return " ".join([event if event.isprintable() else repr(event), *(f"{key}={_word(facts[key])}" for key in facts)])


def _word(value: object) -> str:
    text = str(value)
    is_plain = text.isprintable() and not set(" =\"'") & set(text)
    return text if text and is_plain else repr(text)


_JOURNAL_RENDERER: Mapping[str, Processor] = {"journal": journal_line, "fields": journal_entry}


def _processors(chosen: str, *, has_colours: bool) -> list[Processor]:
    head: list[Processor] = [structlog.processors.add_log_level, mask_secrets]
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    if chosen in _JOURNAL_RENDERER:
        return [*head, structlog.processors.format_exc_info, _JOURNAL_RENDERER[chosen]]
    if chosen == "json":
        json_line = structlog.processors.JSONRenderer(default=str)
        return [*head, stamp, structlog.processors.format_exc_info, in_reading_order, json_line]
    plain = structlog.dev.plain_traceback
    return [*head, stamp, structlog.dev.ConsoleRenderer(colors=has_colours, exception_formatter=plain)]


def _takes_more(stream: IO[str]) -> bool:
    """False while the reader at the other end stands still; what is no file has no such end."""
    try:
        end = stream.fileno()
    except io.UnsupportedOperation:
        return True
    poll = select.poll()
    poll.register(end, select.POLLOUT)
    return bool(poll.poll(0))


def _leads_to_journal(environ: Mapping[str, str], stream: IO[str]) -> bool:
    """`$JOURNAL_STREAM` is device:inode of the journal's end; a child with a redirected stream inherits only the variable."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Bridge(logging.Handler):
    """Passes what libraries log by `logging` on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
