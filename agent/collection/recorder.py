"""What one collector recorded in one tick."""

from __future__ import annotations

from math import isfinite, isnan
from typing import Protocol

from agent.errors import ContractError, SeriesLimitExceeded
from agent.model import Kind, Series

__all__ = ["RateSource", "TickRecorder"]


_PLAIN = frozenset({float, int})


class RateSource(Protocol):
    """Turns running totals into change per second; NaN while there is none."""

    def update(self, key: Series, total: float, at_s: float, wrap_bits: int, /) -> float: ...
    def forget(self, key: Series, /) -> None: ...


class TickRecorder:
    """Takes the samples of one collector in one tick; the last value of a series counts.

    Args:
        owner: Name of the collector.
        at_s: Monotonic seconds of the reading.
        rates: Where RATE series keep their last totals.
        max_samples: Most series it takes, >= 1.
    """

    __slots__ = ("_max_samples", "_owner", "_rates", "at_s", "bad_values", "samples")

    def __init__(self, owner: str, at_s: float, rates: RateSource, max_samples: int) -> None:
        self._owner = owner
        self.at_s = at_s
        self._rates = rates
        self._max_samples = max_samples
        self.samples: dict[Series, float] = {}
        self.bad_values = 0

    def add(self, series: Series, value: float) -> None:
        """Record one value; NaN means "no sample", an infinity is counted in `bad_values` and left out."""
        try:
            if type(value) not in _PLAIN:
                _refuse_text(value)
            is_rate = series.kind is Kind.RATE
            number = self._rates.update(series, value, self.at_s, series.wrap_bits) if is_rate else float(value)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ContractError(
                self._owner, "collector", f"add() takes a Series and a number (got {series!r:.80}, {value!r:.80})"
            ) from error
        if isfinite(number):
            self.samples[series] = number
            if len(self.samples) > self._max_samples:
                raise SeriesLimitExceeded(f"collector {self._owner!r} recorded more than {self._max_samples} series")
        elif not isnan(number):
            self.bad_values += 1


def _refuse_text(value: object) -> None:
    """`float` would take a number's text for the number."""
    if isinstance(value, str | bytes | bytearray):
        raise TypeError("text is not a number")
