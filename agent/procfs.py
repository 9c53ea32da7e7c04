"""Reading the kernel's small text files again and again, cheaply."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Iterator

from agent.errors import CollectError

__all__ = ["LONG_BITS", "ProcFile", "key_values", "picked", "resident_bytes"]

LONG_BITS = 64 if sys.maxsize > 2**32 else 32
"""Where most of the kernel's running totals wrap on this machine."""

_CHUNK_BYTES = 16_384
_SURELY_ALL_BYTES = 2048
"""The kernel gives as many whole lines as go into a page of 4 KiB: less than half of one is all there is."""


class ProcFile:
    """A file under /proc or /sys that is opened once and read from its start each time.

    Args:
        path: Where it is. It need not exist yet.
        has_long_lines: True for files whose lines may be longer than half a page.
    """

    def __init__(self, path: str, *, has_long_lines: bool = False) -> None:
        self.path = path
        self._surely_all_bytes = 0 if has_long_lines else _SURELY_ALL_BYTES
        self._descriptor: int | None = None

    def read(self) -> bytes:
        """All of it.

        Raises:
            CollectError: It is not there or may not be read; the next call tries anew.
        """
        try:
            return self._read()
        except OSError as error:
            raise CollectError(f"{self.path} cannot be read: {error.strerror}") from error

    def read_if_there(self) -> bytes:
        """All of it; nothing when it is not there or may not be read. The next call tries anew."""
        try:
            return self._read()
        except OSError:
            return b""

    def close(self) -> None:
        """Let go of it; safe twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.close()

    def _read(self) -> bytes:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.pread(self._descriptor, _CHUNK_BYTES, 0)
            if len(text) < self._surely_all_bytes:
                return text
            return b"".join((text, *self._further_chunks(self._descriptor, len(text))))
        except OSError:
            self.close()
            raise

    def _further_chunks(self, descriptor: int, offset: int) -> Iterator[bytes]:
        """The kernel gives whole lines, a page or so at a time; an empty read is the end."""
        while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
            yield chunk
            offset += len(chunk)


def key_values(text: bytes) -> dict[bytes, bytes]:
    """Key -> number, as text, of files whose every line is `MemTotal:  16 kB` or `pgfault 7`: one pass, no line by line."""
    words = text.replace(b" kB", b"").replace(b":", b"").split()
    return dict(zip(words[::2], words[1::2], strict=False))


def picked(text: bytes, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """As `key_values`, for a few keys of many lines: only those are looked for, which takes a fraction of the time."""
    separator = b":" if b":" in text.partition(b"\n")[0] else b" "
    lines = b"\n%b\n" % text
    found = {}
    for key in keys:
        needle = b"\n%b%b" % (key, separator)
        at = lines.find(needle) + len(needle)
        if at >= len(needle):
            found[key] = lines[at : lines.index(b"\n", at)].split(None, 1)[0]
    return found


def resident_bytes(statm: ProcFile) -> int:
    """Memory that a process holds now.

    Args:
        statm: The process's own `/proc/<pid>/statm`.
    """
    return int(statm.read().split()[1]) * resource.getpagesize()
