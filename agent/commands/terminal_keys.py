"""Keys of a terminal one at a time, and what else wakes the one who waits for them."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from typing import Any, Self

__all__ = ["Waker"]

_CALLS_TO_END = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_KEYS_TO_END = set(b"qQ\x03\x04")


class Waker:
    """Reads keys without echo and without waiting for a line; Ctrl-C is a key too. As a context manager it leaves the
    terminal and the signals as they were.

    Whatever happens ends `wait`: a key, a new size of the terminal, a signal, and `wake` from another thread.
    """

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._keys_fd = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._mode: list[Any] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in (*_CALLS_TO_END, signal.SIGWINCH):
            self._handlers[number] = signal.signal(number, lambda *_: None)
        if self._keys_fd >= 0:
            self._mode = termios.tcgetattr(self._keys_fd)
            silent = list(self._mode)
            silent[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
            termios.tcsetattr(self._keys_fd, termios.TCSADRAIN, silent)
        return self

    def __exit__(self, *_: object) -> None:
        if self._mode:
            termios.tcsetattr(self._keys_fd, termios.TCSADRAIN, self._mode)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)

    def wake(self) -> None:
        """End the wait of the other thread."""
        os.write(self._write_fd, b"\0")

    def wait(self) -> bool:
        """Wait until something happens; whether somebody wants to end."""
        fds = [self._read_fd] + ([self._keys_fd] if self._keys_fd >= 0 else [])
        ready, _, _ = select.select(fds, [], [])
        wants_end = False
        if self._read_fd in ready:
            wants_end = bool(_CALLS_TO_END & set(os.read(self._read_fd, 4096)))
        if self._keys_fd in ready:
            typed = os.read(self._keys_fd, 64)
            wants_end = wants_end or not typed or bool(_KEYS_TO_END & set(typed))
        return wants_end
