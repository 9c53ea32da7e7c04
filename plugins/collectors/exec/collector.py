"""One run of the program a tick."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from agent.api import CollectError, CollectorContext, Kind, Recorder

if TYPE_CHECKING:
    from plugins.collectors.exec import Config

__all__ = ["Exec"]

_SAID_LENGTH = 200


class Reading(msgspec.Struct, frozen=True):
    """One object of the JSON that a program writes."""

    name: str
    value: float
    labels: dict[str, str] = {}
    unit: str = ""
    kind: Kind = Kind.GAUGE


_decoder = msgspec.json.Decoder(list[Reading] | dict[str, Any])


class Exec:
    """Runs the program in a process group of its own, so that what it starts can be ended with it."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context

    async def collect(self, out: Recorder, /) -> None:
        """Run it and record what it wrote.

        Raises:
            CollectError: It cannot be run, took too long, ended with another code than 0, or wrote something else.
        """
        text = await self._output()
        try:
            readings = list(self._read(text))
        except (ValueError, msgspec.DecodeError) as error:
            raise CollectError(f"{self._config.command[0]!r} wrote no {self._config.format}: {error}") from error
        for one in readings:
            labels = {**self._config.labels, **one.labels}
            out.add(self._context.series(one.name, unit=one.unit, kind=one.kind, labels=labels), one.value)

    async def _output(self) -> bytes:
        program = self._config.command[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._config.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise CollectError(f"{program!r} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._config.timeout_s):
                output, said = await self._read_both(process)
                code = await process.wait()
        except TimeoutError:
            raise CollectError(f"{program!r} was killed after {self._config.timeout_s:g} s") from None
        finally:
            await _end(process)
        if code:
            raise CollectError(f"{program!r} ended with exit code {code}: {said.decode('utf-8', 'replace').strip()!r}")
        return output

    async def _read_both(self, process: Process) -> tuple[bytes, bytes]:
        """Standard output, and the end of standard error; both are read to their end, so that the program never waits."""
        assert process.stdout is not None  # noqa: S101 - started with pipes
        assert process.stderr is not None  # noqa: S101
        async with asyncio.TaskGroup() as group:
            output = group.create_task(_head(process.stdout, self._config.max_bytes + 1), name="exec:stdout")
            said = group.create_task(_tail(process.stderr, _SAID_LENGTH), name="exec:stderr")
        if len(output.result()) > self._config.max_bytes:
            raise CollectError(f"{self._config.command[0]!r} wrote more than {self._config.max_bytes} bytes")
        return output.result(), said.result()

    def _read(self, text: bytes) -> Iterator[Reading]:
        if self._config.format == "prometheus":
            from agent.protocol.prometheus_text import text_samples

            for sample in text_samples(text.decode(), with_buckets=True):
                yield Reading(
                    sample.name, sample.value, sample.labels, "", Kind.COUNTER if sample.is_total else Kind.GAUGE
                )
            return
        found = _decoder.decode(text)
        if isinstance(found, list):
            yield from found
        else:
            yield from (Reading(name, msgspec.convert(value, float)) for name, value in found.items())


async def _head(stream: asyncio.StreamReader, most: int) -> bytes:
    """The first bytes of a stream that is read to its end."""
    kept = bytearray()
    while chunk := await stream.read(65_536):
        kept += chunk[: most - len(kept)]
    return bytes(kept)


async def _tail(stream: asyncio.StreamReader, most: int) -> bytes:
    """The last bytes of a stream that is read to its end."""
    kept = b""
    while chunk := await stream.read(65_536):
        kept = (kept + chunk)[-most:]
    return kept


async def _end(process: Process) -> None:
    """Kill it and what it started; nothing where it has ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()
