"""Running totals to change per second, exact over wraps and honest about restarts. Needs no numpy."""

from __future__ import annotations

from collections.abc import Hashable
from math import isfinite, nan
from operator import index

__all__ = ["CounterRates"]

_WRAP_SHARE = 4


class CounterRates:
    """Keeps the last total of each counter and gives its rate.

    Differences are taken between Python ints, so that totals beyond 2**53 lose nothing. When a total falls:

    - it **wrapped** if the source wraps at `wrap_bits` and the way round the end is shorter than a quarter of the range;
    - else it **restarted**: there is no rate for this step. (Counting from 0 would turn the fall of a total that is
      itself a sum, such as one over processes, into a spike.)
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[int | float, float]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def update(self, key: Hashable, total: float, at_s: float, wrap_bits: int = 0, /) -> float:
        """Rate of one counter since its previous total.

        Args:
            key: Whose total it is.
            total: Running total; an int of any size stays exact. NaN and infinities are "no sample": nothing changes.
            at_s: Monotonic seconds of the reading.
            wrap_bits: 32 or 64 when the source wraps there; 0 when a fall is always a restart.
        Returns:
            Change per second, >= 0. NaN for the first total, after a restart, for a missing total, and when time has not
            moved on (the earlier reading stays, so the next rate covers the whole stretch).
        Raises:
            TypeError: The total is not a number.
        """
        if type(total) is not int:
            total = _plain(total)
            if not isfinite(total):
                return nan
        last = self._last.get(key)
        if last is None:
            self._last[key] = (total, at_s)
            return nan
        elapsed_s = at_s - last[1]
        if not elapsed_s > 0:
            return nan
        self._last[key] = (total, at_s)
        delta = total - last[0]
        if delta < 0:
            delta = _wrapped(delta, wrap_bits)
        return delta / elapsed_s

    def forget(self, key: Hashable, /) -> None:
        """Drop a counter; its next total counts as the first. Unknown keys are fine."""
        self._last.pop(key, None)


def _wrapped(delta: float, wrap_bits: int) -> float:
    """Step round the end of the range, or NaN when the fall is no wrap."""
    if not wrap_bits:
        return nan
    turned = delta + (1 << wrap_bits)
    return turned if 0 <= turned < (1 << wrap_bits) // _WRAP_SHARE else nan


def _plain(total: float) -> float:
    """A Python int where the number is whole by type (NumPy's integers included), else a float."""
    try:
        return index(total)  # type: ignore[arg-type]  # the type says float, which stands for any real number
    except TypeError:
        return float(total)
