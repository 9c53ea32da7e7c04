"""A command in a terminal of its own: what it shows, what it is typed, and how it leaves the terminal behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import Any, Self

__all__ = ["Terminal"]

PATIENCE_S = 30.0
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Use it as a context manager.

    Args:
        words: Words of the command after `rebellion`.
        columns, rows: Size.
        environ: Variables beside the process's own.

    Attributes:
        output: Everything that it wrote, escape sequences included.
    """

    def __init__(self, *words: str, columns: int = 80, rows: int = 24, **environ: str) -> None:
        self._words = words
        self._environ = {**os.environ, "TERM": "xterm-256color", **environ}
        self._master, self._slave = pty.openpty()
        self.output = b""
        self.resize(columns, rows, self._slave)
        self.mode_before = self.mode()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", *self._words],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=self._environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    @property
    def text(self) -> str:
        """What it wrote without escape sequences, since `forget`."""
        return _ESCAPES.sub(b"", self.output.replace(b"\x1b[H", b"\n")).decode(errors="replace")

    def forget(self) -> None:
        """Let what comes from now on be all there is."""
        self.output = b""

    def mode(self) -> list[Any]:
        """How the terminal treats lines, echo and signals."""
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, rows: int, fd: int | None = None) -> None:
        """Another size; the one in the foreground is told, as by a window that is drawn larger."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master if fd is None else fd, termios.TIOCSWINSZ, size)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, pattern: str) -> str:
        """Read until the text since `forget` matches; the match."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self.text)
            if found:
                return found[0]
            self._read(0.05)
        raise AssertionError(f"{pattern!r} does not come; it shows:\n{self.text[-4000:]}")

    def wait(self) -> int:
        """Read until it ends; the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)
        self._read(0.0)
        return self.process.wait(1.0)

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            self.output += os.read(self._master, 1 << 16)
