"""At most one in so many seconds, for each of many things. Sans-I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict

__all__ = ["RateLimiter"]


class RateLimiter:
    """Lets the first of each key through, then one an interval, and counts what it holds back. Any thread.

    Args:
        interval_s: Seconds between two of one key, >= 0; 0: all pass.
        max_keys: Keys remembered, >= 1; the one that passed longest ago makes room.
    """

    def __init__(self, interval_s: float, *, max_keys: int = 1000) -> None:
        self._interval_s = interval_s
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._passed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def would_hold_back(self, key: str, now_s: float) -> bool:
        """Whether `held_back` would return None now; counts nothing."""
        passed = self._passed.get(key)
        return passed is not None and now_s - passed[0] < self._interval_s

    def held_back(self, key: str, now_s: float) -> int | None:
        """None: hold this one back. Else let it through; the number says how many were held back before it."""
        with self._lock:
            passed = self._passed.get(key)
            if passed is not None and self.would_hold_back(key, now_s):
                self._passed[key] = (passed[0], passed[1] + 1)
                return None
            self._passed[key] = (now_s, 0)
            self._passed.move_to_end(key)
            if len(self._passed) > self._max_keys:
                self._passed.popitem(last=False)
            return 0 if passed is None else passed[1]
