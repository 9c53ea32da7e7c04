"""Whether agents that said `hello` are welcomed in time, or too many of them came at once. Sans-I/O."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent.clock import Clock

__all__ = ["Greetings"]

_PATIENCE_S = 2.0


class Greetings:
    """Agents that wait for the store to know them.

    An agent gives up after 5 s and comes again. A hub that let in whoever comes, when more come than it can welcome within that
    time, would be busy with those who have given up and welcome nobody. What an agent itself is slow at counts for nothing here.

    Args:
        clock: Monotonic time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s: dict[object, float] = {}

    def __len__(self) -> int:
        return len(self._since_s)

    @property
    def are_late(self) -> bool:
        """True while one waits for longer than an agent should: nobody else should be let in."""
        oldest_s = next(iter(self._since_s.values()), None)
        return oldest_s is not None and self._clock.monotonic_s() - oldest_s > _PATIENCE_S

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """One waits as long as this is open."""
        one = object()
        self._since_s[one] = self._clock.monotonic_s()
        try:
            yield
        finally:
            del self._since_s[one]
