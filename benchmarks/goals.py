"""A figure beside the goal it is measured against."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Goal"]


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of a table of goals.

    Attributes:
        what: What was measured, with its unit.
        figure: What came out.
        limit: What should.
        is_least: True when the figure must reach the limit, False when it must stay within it.
    """

    what: str
    figure: float
    limit: float
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.figure >= self.limit if self.is_least else self.figure <= self.limit

    def __str__(self) -> str:
        sign, verdict = ">=" if self.is_least else "<=", "met" if self.is_met else "MISSED"
        return f"  {self.what:64} {self.figure:12,.4g}  goal {sign} {self.limit:<9,.4g} {verdict}"
