"""How long a breaker stays open: longer after each failed round, up to a cap, never quite the same for two breakers."""

from __future__ import annotations

import math
import random

from agent.resilience.breaker_settings import BreakerSettings

__all__ = ["Backoff"]


class Backoff:
    """The waits of one breaker.

    Args:
        settings: `open_s`, `backoff_factor`, `max_open_s`, `jitter_ratio`, `soft_reset_s`.
        rng: Source of the jitter.

    Attributes:
        rounds: Failed rounds remembered, >= 0; stops where the cap is reached, so that it never overflows.
    """

    __slots__ = ("_capped_round", "_rng", "_settings", "rounds")

    def __init__(self, settings: BreakerSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._capped_round = _rounds_to_cap(settings)
        self.rounds = 0

    def next_s(self) -> float:
        """The wait of a new round, seconds; the one after will be longer."""
        wait_s = self._wait_s(self.rounds)
        self.restore(self.rounds + 1)
        return wait_s

    def same_s(self) -> float:
        """The wait of the last round over again, seconds."""
        return self._wait_s(max(self.rounds - 1, 0))

    def recovered(self) -> None:
        """The target is back: start over, unless the settings ask for a soft reset."""
        if self._settings.soft_reset_s is None:
            self.rounds = 0

    def healthy(self, for_s: float) -> None:
        """So many seconds went well since: with a soft reset, forget one round for each interval."""
        if self._settings.soft_reset_s is not None:
            self.rounds = max(0, self.rounds - int(for_s // self._settings.soft_reset_s))

    def restore(self, rounds: int) -> None:
        """Remember so many failed rounds, as many as make a difference."""
        self.rounds = min(rounds, self._capped_round + 1)

    def _wait_s(self, rounds: int) -> float:
        settings = self._settings
        grown_s = settings.open_s * settings.backoff_factor ** min(rounds, self._capped_round)
        wait_s = min(grown_s, settings.max_open_s)
        return wait_s * (1 + settings.jitter_ratio * (2 * self._rng.random() - 1))


def _rounds_to_cap(settings: BreakerSettings) -> int:
    if settings.backoff_factor == 1:
        return 0
    return math.ceil(math.log(settings.max_open_s / settings.open_s) / math.log(settings.backoff_factor))
