"""Sink `console`: what is collected, on standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from agent.api import Batch, Event, Gap, Record, Register, Series, SinkContext, hookimpl

__all__ = ["Config", "Console"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sinks.console]`"""

    format: Literal["text", "json"] = "text"


class Console:
    """Writes each record to standard output; a pipe that is closed is a failed delivery."""

    def __init__(self, config: Config, context: SinkContext) -> None:
        self._config = config
        self._context = context

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        text = "".join(line + "\n" for record in records for line in self._lines(record))
        await self._context.run_blocking(self._write, text)

    async def close(self) -> None:
        """Nothing is held."""

    def _lines(self, record: Record) -> Iterator[str]:
        if self._config.format == "json":
            from agent.protocol.plain import plain_json

            yield plain_json(record, self._context.agent, self._context.definition).decode()
        else:
            yield from text_lines(record, self._context.definition)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def text_lines(record: Record, definition: Callable[[int], Series]) -> Iterator[str]:
    """One line a point, event or gap, for people."""
    if isinstance(record, Batch):
        at = _time_of_day(record.time_ns)
        for series_id, value in zip(record.ids.tolist(), record.values.tolist(), strict=True):
            series = definition(series_id)
            yield f"{at}  {series}  {value:g} {series.unit}".rstrip()
    elif isinstance(record, Event):
        facts = " ".join(f"{key}={value}" for key, value in record.detail.items())
        yield f"{_time_of_day(record.time_ns)}  ! {record.component} {record.kind} {facts}".rstrip()
    elif isinstance(record, Gap):
        lanes = " ".join(f"{lane}={points}" for lane, points in record.lanes.items())
        yield f"{_time_of_day(record.to_ns)}  ! gap: {record.points} points {record.reason} {lanes}".rstrip()


def _time_of_day(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone():%H:%M:%S}"


@hookimpl
def rebellion_register_sinks(register: Register) -> None:
    register("console", Console, config=Config)
