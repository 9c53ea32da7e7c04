"""The hub's folder: made, checked, and held against a second hub."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.errors import ConfigError, ConfigProblem
from agent.hub.sqlite_reader import SqliteReader
from agent.hub.sqlite_store import SqliteStore
from agent.hub.store import StoreError

__all__ = ["STORE_NAME", "StateFolder"]

STORE_NAME = "hub.sqlite3"
_LOCK_NAME = "hub.lock"


class StateFolder:
    """Context manager that holds the folder for one hub.

    Raises:
        ConfigError: The folder cannot be made or written.
        StoreError: Another hub holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self._path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = "set hub.state_dir to a folder this user may write"
            problem = ConfigProblem("hub", "state_dir", f"{self._path}: cannot be written: {error.strerror}", hint)
            raise ConfigError([problem]) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StoreError(f"{self._path}: another hub is running on this folder") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def open_store(self) -> SqliteStore:
        """The one writer."""
        return SqliteStore(self._path / STORE_NAME)

    def open_reader(self, on_damage: Callable[[str], None] = lambda text: None) -> SqliteReader:
        """A reader; only after `open_store`."""
        return SqliteReader(self._path / STORE_NAME, on_damage)
