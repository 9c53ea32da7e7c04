"""Open breakers outlive a planned restart: what they were at the end of one run is where the next one goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from agent.contracts import Logger
from agent.resilience.breaker import Breaker, CircuitState

__all__ = ["BreakerMemory"]

_WORTH_KEEPING = (CircuitState.OPEN, CircuitState.HALF_OPEN)
"""A component that was given up for good gets its chance with the next run."""

_States = dict[str, dict[str, Any]]


class BreakerMemory:
    """Knows every breaker of this run by name, and what was left of those of the run before.

    Args:
        path: The file; written by `save`, read and removed by `load`.
        log: Where it is said that the file cannot be read or written; that harms nothing else.
    """

    def __init__(self, path: Path, log: Logger) -> None:
        self._path = path
        self._log = log
        self._left: _States = {}
        self._breakers: dict[str, Breaker] = {}

    def load(self) -> None:
        """Read what the run before left. It counts once: a kill later on leaves nothing stale behind."""
        try:
            self._left = msgspec.json.decode(self._path.read_bytes(), type=_States)
            self._path.unlink()
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            self._log.warning("breakers.load_failed", path=str(self._path), error=str(error))

    def adopt(self, breaker: Breaker) -> None:
        """Know this breaker; the first of its name goes on where its predecessor stopped."""
        self._breakers[breaker.name] = breaker
        left = self._left.pop(breaker.name, None)
        if left is None:
            return
        try:
            breaker.restore_state(left)
        except ValueError as error:
            self._log.warning("breakers.load_failed", path=str(self._path), error=str(error))

    def save(self) -> None:
        """Write down the breakers that are open."""
        states = {name: one.export_state() for name, one in self._breakers.items() if one.state in _WORTH_KEEPING}
        if not states:
            return
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(states))
            draft.replace(self._path)
        except OSError as error:
            self._log.warning("breakers.save_failed", path=str(self._path), error=str(error))
