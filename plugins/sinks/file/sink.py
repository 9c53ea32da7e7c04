"""Writes JSON lines and rotates the file by size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from agent.api import Record, SinkContext
from agent.protocol.plain import plain_json

if TYPE_CHECKING:
    from plugins.sinks.file import Config

__all__ = ["FileSink"]


class FileSink:
    """Appends each record as one line; a group counts as delivered when it is written (with `fsync`: on the disk).

    A group that failed half-way, on a full disk say, is cut off again, so that a retry does not write it twice.
    """

    def __init__(self, config: Config, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self._path = Path(config.path).expanduser()
        self._file: FileIO | None = None

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        lines = [plain_json(record, self._context.agent, self._context.definition) + b"\n" for record in records]
        await self._context.run_blocking(self._write, b"".join(lines))

    async def close(self) -> None:
        await self._context.run_blocking(self._close)

    def _write(self, data: bytes) -> None:
        file = self._opened()
        size_bytes = file.tell()
        if size_bytes and size_bytes + len(data) > self._config.max_file_bytes:
            self._rotate()
            file, size_bytes = self._opened(), 0
        try:
            _write_all(file, data)
            if self._config.fsync:
                os.fsync(file.fileno())
        except OSError:
            file.truncate(size_bytes)
            file.seek(size_bytes)
            raise

    def _opened(self) -> FileIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(self._path, "ab")
        return self._file

    def _rotate(self) -> None:
        """`path` becomes `path.1`, `path.1` becomes `path.2`, and so on; the one beyond `keep_count` goes."""
        self._close()
        self._numbered(self._config.keep_count).unlink(missing_ok=True)
        for number in range(self._config.keep_count - 1, -1, -1):
            older = self._numbered(number)
            if older.exists():
                older.rename(self._numbered(number + 1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _write_all(file: FileIO, data: bytes) -> None:
    """An unbuffered write may take only a part, as on a disk that is about to be full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
