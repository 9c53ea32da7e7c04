"""Real `rebellion` processes for tests: started, watched by their log, ended."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["Process", "wait_until"]

PATIENCE_S = 30.0


class Process:
    """One process whose log lines are JSON; use it as a context manager, which kills what is still there.

    Args:
        program: What the interpreter is given before the arguments.
    """

    def __init__(
        self,
        *arguments: str,
        python: str = sys.executable,
        program: Sequence[str] = ("-m", "agent.cli"),
        environ: dict[str, str] | None = None,
    ) -> None:
        self._child = subprocess.Popen(
            [python, *program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "REBELLION_LOG__FORMAT": "json", **(environ or {})},
        )
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._reader.join()
        assert self._child.stdout is not None
        self._child.stdout.close()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def wait_for(self, event: str, **facts: Any) -> dict[str, Any]:
        """The next log entry of this event with these facts; fails with the whole log when there is none in time."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                line = self._new.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                break
            if line is None:
                break
            entry = parsed(line)
            if entry.get("event") == event and all(entry.get(key) == value for key, value in facts.items()):
                return entry
        raise AssertionError(f"no {event} {facts} in:\n" + "\n".join(self.lines))

    def events(self) -> list[dict[str, Any]]:
        """Every log entry so far."""
        return [parsed(line) for line in self.lines]

    def kill(self, number: int) -> None:
        self._child.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self._child.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self._child.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.lines.append(line.rstrip())
            self._new.put(line.rstrip())
        self._new.put(None)


def parsed(line: str) -> dict[str, Any]:
    """A log line as its facts; text that is no JSON stands under `text`."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {"text": line}
    return entry if isinstance(entry, dict) else {"text": line}


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S, every_s: float = 0.02) -> Any:
    """The first true value of `condition`, asked every so often; fails in words after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        threading.Event().wait(every_s)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines; none when it is not there yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
