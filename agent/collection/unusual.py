"""What can be told of a point that begins an incident: where it was, where it was expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.scores import MAD_TO_SIGMA

if TYPE_CHECKING:
    from agent.collection.analysis import Seen
    from agent.model import FloatArray, IdArray, Series

__all__ = ["EXPECTED_SIGMAS", "Unusual", "unusual_points"]

EXPECTED_SIGMAS = 3.0
"""Half the expected range, in the history's robust standard deviations."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """One point that begins an incident.

    Attributes:
        series_id, series: Which series.
        value: In the unit of the series.
        score: Of the judge, 0..1; NaN when it gave none.
        low, high: Median of the window before it, plus and minus three robust standard deviations; NaN when it is empty.
        deviation: Severity: |robust z|, or |z| where more than half of the window is one value; >= 0, inf when all of it is.
        evidence: What the detector saw, in its words; empty when it does not say.
    """

    series_id: int
    series: Series
    value: float
    score: float
    low: float
    high: float
    deviation: float
    evidence: str = ""

    @property
    def reason(self) -> str:
        """Why, in words."""
        if not isfinite(self.low):
            return f"{self.value:.6g}, with nothing known before it"
        if self.low == self.high != self.value:
            return f"{self.value:.6g}, where {self.low:.6g} is usual"
        usual = f"the usual {self.low:.6g} to {self.high:.6g}"
        if self.low <= self.value <= self.high:
            return f"{self.value:.6g}, inside {usual}: its course is new"
        return f"{self.value:.6g}, {'above' if self.value > self.high else 'below'} {usual}"

    @property
    def explanation(self) -> str:
        """The reason, and in brackets what the detector saw where it says so."""
        return f"{self.reason} ({self.evidence})" if self.evidence else self.reason


def unusual_points(ids: IdArray, values: FloatArray, seen: Seen, definition: Callable[[int], Series]) -> list[Unusual]:
    """The points of a tick that begin an incident, those that deviate most first.

    Args:
        ids, values: Of the tick that was just looked at.
        seen: What was made of it.
        definition: What an id stands for.
    """
    at = np.flatnonzero(seen.alert)
    if not len(at):
        return []
    median, spread = seen.result.median[at], seen.result.mad[at] / MAD_TO_SIGMA
    half = EXPECTED_SIGMAS * spread
    evidence = [seen.reasons.get(place, "") for place in at.tolist()]
    columns = (
        values[at],
        seen.score[at],
        median - half,
        median + half,
        np.nan_to_num(seen.result.severity[at], posinf=inf),
    )
    found = [
        Unusual(series_id, definition(series_id), value, score, low, high, deviation, words)
        for series_id, (value, score, low, high, deviation), words in zip(
            ids[at].tolist(), np.array(columns).T.tolist(), evidence, strict=True
        )
    ]
    return sorted(found, key=lambda one: -one.deviation)
