"""The rule of the default detector for one series, in plain Python."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.flat_lines import SingleFlatLine
from agent.numeric.records import required_excess
from agent.numeric.single_novelty import SingleNovelty
from agent.numeric.single_records import SingleRecords
from plugins.detectors.rebellion.rule import (
    HALF_SCORE_NATS,
    LARGEST,
    LEARNING_COUNT,
    LOUD_EXCESS,
    SCORE_COUNT,
    SCORE_WEIGHT,
    TWO_SIDED_COUNT,
    VIEW_COUNTS,
    Rule,
    flat_line,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.numeric.records import Departure

__all__ = ["SingleSeries"]


class SingleSeries:
    """What `RangeDetector` keeps of one series; the same results to the last bit, an order of magnitude quicker for one."""

    __slots__ = ("_rule", "age", "departures", "flat_line", "novelty", "quiet_until", "records", "severity")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.novelty, self.records = SingleNovelty(), SingleRecords(VIEW_COUNTS, TWO_SIDED_COUNT, rule.least_excess)
        self.flat_line = SingleFlatLine()
        self.departures: Sequence[Departure] = ()
        self.age = self.quiet_until = 0
        self.severity = 0.0

    def learn_and_score(self, value: float) -> tuple[float, bool]:
        """Score, NaN while it is learning, and whether it alerts. A value that is not finite has no score and is not learnt."""
        if not isfinite(value):
            self.departures = ()
            return nan, False
        if not -LARGEST <= value <= LARGEST:
            value = LARGEST if value > 0 else -LARGEST
        age = self.age
        of_value, of_steps = self.novelty.surprise(value)
        departures = self.records.departures((value, value, value, of_value, of_steps), age)
        if count := self.flat_line.reached(value, age):
            departures.append(flat_line(count))
        alert = bool(departures) and self._is_alert(departures, age)
        self.departures = departures if alert else ()
        severity, weight = self.severity, SCORE_WEIGHT if age >= SCORE_COUNT else max(SCORE_WEIGHT, 1.0 / (age + 1.0))
        self.severity = severity = severity + weight * (of_value - severity)
        self.age = age + 1
        return severity / (severity + HALF_SCORE_NATS) if age >= LEARNING_COUNT else nan, alert

    def _is_alert(self, departures: list[Departure], age: int) -> bool:
        rule, excess = self._rule, max(one.excess for one in departures)
        if excess <= rule.least_excess or age < rule.warm_up_count:
            return False
        if age < self.quiet_until and excess <= LOUD_EXCESS:
            return False
        alert = excess > float(required_excess(np.array([age]), rule.tail_count, rule.least_excess)[0])
        if alert:
            self.quiet_until = age + rule.refractory_count
        return alert
