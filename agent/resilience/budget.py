"""How many retries a target can bear: without a limit, retries multiply the load of what is down already."""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ["Budget", "RatioBudget", "TokenBudget"]


class Budget(Protocol):
    """What calls to one target share. Any thread."""

    def called(self, now_s: float, /) -> None:
        """A call begins, its first attempt."""
        ...

    def take(self, now_s: float, /, *, is_hinted: bool = False) -> bool:
        """Ask for one retry; False: none is left.

        Args:
            now_s: Monotonic seconds.
            is_hinted: The other end said when to come again.
        """
        ...

    def give_back(self, *, is_hinted: bool = False) -> None:
        """The retry that was taken last did not happen, or was cancelled."""
        ...

    def succeeded(self) -> None:
        """A call went well."""
        ...


class TokenBudget:
    """A bucket of tokens: a retry costs some, a success puts a little back.

    Args:
        capacity: Tokens in the full bucket, > 0; it starts full.
        cost: Tokens a retry costs, > 0.
        hinted_cost: Tokens a retry costs whose moment the other end has named; None: as `cost`.
        refund: Tokens a success puts back, >= 0.

    Source:
        The retry quota of the AWS SDKs (standard retry mode).
    """

    __slots__ = ("_capacity", "_cost", "_hinted_cost", "_lock", "_refund", "tokens")

    def __init__(
        self,
        capacity: float = 500.0,
        *,
        cost: float = 14.0,
        hinted_cost: float | None = 5.0,
        refund: float = 1.0,
    ) -> None:
        hinted_cost = cost if hinted_cost is None else hinted_cost
        for name, value in (("capacity", capacity), ("cost", cost), ("hinted_cost", hinted_cost)):
            if not value > 0:
                raise ValueError(f"{name} must be > 0 (got {value})")
        if not refund >= 0:
            raise ValueError(f"refund must be >= 0 (got {refund})")
        self.tokens = float(capacity)
        self._capacity = float(capacity)
        self._cost = cost
        self._hinted_cost = hinted_cost
        self._refund = refund
        self._lock = threading.Lock()

    def called(self, now_s: float, /) -> None:
        """Calls as such cost nothing."""

    def take(self, now_s: float, /, *, is_hinted: bool = False) -> bool:
        cost = self._hinted_cost if is_hinted else self._cost
        with self._lock:
            if self.tokens < cost:
                return False
            self.tokens -= cost
            return True

    def give_back(self, *, is_hinted: bool = False) -> None:
        self._put(self._hinted_cost if is_hinted else self._cost)

    def succeeded(self) -> None:
        self._put(self._refund)

    def _put(self, tokens: float) -> None:
        with self._lock:
            self.tokens = min(self._capacity, self.tokens + tokens)


class RatioBudget:
    """Retries are at most a share of the calls, and a few more: at each retry this holds for the last `window_s`.

    Time is counted in twentieths of the window, always to the safe side: a retry counts for up to a twentieth longer, a call
    for up to a twentieth shorter than the window.

    Args:
        ratio: Retries per call, >= 0.
        min_retries: Retries that are free in any window, >= 0.
        window_s: Seconds, > 0.
    """

    STEPS = 20

    __slots__ = ("_calls", "_lock", "_min_retries", "_ratio", "_retries", "_step", "_step_s")

    def __init__(self, ratio: float = 0.2, *, min_retries: int = 3, window_s: float = 10.0) -> None:
        for name, value in (("ratio", ratio), ("min_retries", min_retries)):
            if not value >= 0:
                raise ValueError(f"{name} must be >= 0 (got {value})")
        if not window_s > 0:
            raise ValueError(f"window_s must be > 0 (got {window_s})")
        self._ratio = ratio
        self._min_retries = min_retries
        self._step_s = window_s / self.STEPS
        self._step = 0
        self._calls = [0] * (self.STEPS + 1)
        self._retries = [0] * (self.STEPS + 1)
        self._lock = threading.Lock()

    def called(self, now_s: float, /) -> None:
        with self._lock:
            self._calls[self._place(now_s)] += 1

    def take(self, now_s: float, /, *, is_hinted: bool = False) -> bool:
        with self._lock:
            place = self._place(now_s)
            oldest = (place + 1) % len(self._calls)
            calls = sum(self._calls) - self._calls[oldest]
            if sum(self._retries) + 1 > self._ratio * calls + self._min_retries:
                return False
            self._retries[place] += 1
            return True

    def give_back(self, *, is_hinted: bool = False) -> None:
        with self._lock:
            size = len(self._retries)
            steps = (place % size for place in range(self._step, self._step - size, -1))
            latest = next((place for place in steps if self._retries[place]), None)
            if latest is not None:
                self._retries[latest] -= 1

    def succeeded(self) -> None:
        """Only calls and retries count here."""

    def _place(self, now_s: float) -> int:
        """Where this moment is counted; what lies a window and a step back is let go. A clock that steps back stands still."""
        step, size = int(now_s // self._step_s), len(self._calls)
        for passed in range(max(self._step, step - size) + 1, step + 1):
            self._calls[passed % size] = self._retries[passed % size] = 0
        self._step = max(self._step, step)
        return self._step % size
