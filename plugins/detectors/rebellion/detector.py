"""The default detector: a series alerts when one of several views of it leaves the range of its own past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.numeric.flat_lines import FlatLines, FlatStretches
from agent.numeric.growing import grown
from agent.numeric.novelty import Novelty, Places
from agent.numeric.records import Records, required_excess
from agent.numeric.row_table import as_slice
from plugins.detectors.rebellion.rule import (
    FLAT_EXCESS,
    HALF_SCORE_NATS,
    LARGEST,
    LEARNING_COUNT,
    LEVEL_COUNTS,
    LOUD_EXCESS,
    SCORE_COUNT,
    SCORE_WEIGHT,
    STEP_COUNTS,
    TWO_SIDED_COUNT,
    VIEW_COUNTS,
    Rule,
    flat_line,
    reason,
)
from plugins.detectors.rebellion.single_series import SingleSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray
    from agent.numeric.records import Departures
    from agent.numeric.row_table import Rows

    Index = NDArray[np.int64]

__all__ = ["RangeDetector"]

FEW_COUNT = 8
"""Fewer series than this are looked at one by one."""
BLOCK_COUNT = 2048
"""Series that are looked at together; what is computed of them stays in the processor's cache."""


class RangeDetector:
    """Watches level and surprise of each series at several scales; see the README for what that means.

    A few series are looked at one by one in plain Python, which costs a tenth of NumPy's calls; from 8 on, all together.

    Args:
        rule: When to alert.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._singles: dict[int, SingleSeries] = {}
        self._records = Records(VIEW_COUNTS, TWO_SIDED_COUNT, rule.least_excess)
        self._novelty = Novelty()
        self._flat_lines = FlatLines()
        self._began: list[tuple[Index, Index, Departures, FlatStretches]] = []
        self._age = np.zeros(0, dtype=np.int64)
        self._quiet_until = np.zeros(0, dtype=np.int64)
        self._severity = np.zeros(0)
        self._asked = b""
        self._blocks: list[Places] = []

    def nbytes(self) -> int:
        """Bytes held for all series that are looked at together."""
        own = self._age.nbytes + self._quiet_until.nbytes + self._severity.nbytes
        return own + self._records.nbytes() + self._novelty.nbytes() + self._flat_lines.nbytes()

    def learn_and_score(self, slots: NDArray[np.int64], values: FloatArray, /) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Smoothed surprise h of the values in nats as h / (h + 4), and alerts; see `agent.contracts.Detector`.

        NaN and no alert for a value that is not finite, which is not learnt. What is beyond +-1e150 counts as that.
        """
        self._began.clear()
        if len(slots) < FEW_COUNT and not len(self._age):
            return self._learn_few(slots.tolist(), values.tolist())
        if not len(slots):
            return np.empty(0), np.empty(0, dtype=bool)
        blocks = self._blocks_of(slots)
        if values.min() >= -LARGEST and values.max() <= LARGEST:
            return self._learn_in_blocks(blocks, values)
        score, alert = np.full(len(slots), np.nan), np.zeros(len(slots), dtype=bool)
        usable = np.isfinite(values)
        if usable.any():
            known = np.clip(values[usable], -LARGEST, LARGEST)
            score[usable], alert[usable] = self._learn_in_blocks(_cut(slots[usable]), known)
        return score, alert

    def explain(self, slot: int, /) -> str:
        """Which views of a row began its alert in the last call, and with what; see `agent.contracts.ExplainingDetector`."""
        if single := self._singles.get(slot):
            return reason(single.departures)
        for index, begins, found, flat in self._began:
            for place in begins[index == slot].tolist():
                return reason([*found.of(place, self._rule.least_excess), *map(flat_line, flat.of(place))])
        return ""

    def forget(self, slots: NDArray[np.int64], /) -> None:
        """Drop what was learnt of these rows; rows never seen are fine."""
        for slot in slots.tolist() if self._singles else ():
            self._singles.pop(slot, None)
        known = slots[slots < len(self._age)]
        self._age[known] = self._quiet_until[known] = 0
        self._severity[known] = 0.0
        self._novelty.clear(known)
        self._flat_lines.clear(known)

    def _learn_few(self, slots: list[int], values: list[float]) -> tuple[FloatArray, NDArray[np.bool_]]:
        singles = self._singles
        score, alert = np.empty(len(slots)), np.empty(len(slots), dtype=bool)
        for place, slot in enumerate(slots):
            single = singles.get(slot)
            if single is None:
                single = singles[slot] = SingleSeries(self._rule)
            score[place], alert[place] = single.learn_and_score(values[place])
        if len(singles) >= FEW_COUNT:
            self._reserve(max(singles) + 1)
        return score, alert

    def _reserve(self, row_count: int) -> None:
        """Have at least so many rows; whoever was looked at alone moves to its own."""
        row_count = max(row_count, 1 + max(self._singles, default=0))
        if row_count <= len(self._age):
            return
        self._age, self._quiet_until = grown(self._age, row_count), grown(self._quiet_until, row_count)
        self._severity = grown(self._severity, row_count)
        self._records.reserve(row_count)
        self._novelty.reserve(row_count)
        self._flat_lines.reserve(row_count)
        for row, single in self._singles.items():
            self._adopt(row, single)
        self._singles.clear()

    def _adopt(self, row: int, single: SingleSeries) -> None:
        self._age[row], self._quiet_until[row], self._severity[row] = single.age, single.quiet_until, single.severity
        self._records.adopt(row, single.records)
        self._novelty.adopt(row, single.novelty)
        self._flat_lines.adopt(row, single.flat_line)

    def _blocks_of(self, slots: NDArray[np.int64]) -> list[Places]:
        """The rows cut into blocks, kept for as long as the same are asked for."""
        asked = slots.tobytes()
        if asked != self._asked:
            self._reserve(int(slots.max()) + 1)
            self._asked, self._blocks = asked, _cut(np.array(slots))
        return self._blocks

    def _learn_in_blocks(self, blocks: list[Places], values: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        if len(blocks) == 1:
            return self._learn(blocks[0], values)
        starts = range(0, len(values), BLOCK_COUNT)
        parts = [
            self._learn(block, values[start : start + BLOCK_COUNT]) for block, start in zip(blocks, starts, strict=True)
        ]
        return np.concatenate([score for score, _ in parts]), np.concatenate([alert for _, alert in parts])

    def _learn(self, places: Places, values: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        rows, age = places.rows, self._age[places.rows]
        youngest = int(age.min())
        surprise = self._novelty.surprise(places, values)
        views = np.empty((len(VIEW_COUNTS), len(values)))
        views[: len(LEVEL_COUNTS)] = values
        views[len(LEVEL_COUNTS) : -len(STEP_COUNTS)] = surprise[0]
        views[-len(STEP_COUNTS) :] = surprise[1]
        departures = self._records.departures(rows, views, age, youngest)
        flat = self._flat_lines.reached(places, values, age)
        alert = self._alerts(places, age, departures, flat)
        score = self._score(rows, surprise[0], age, youngest)
        self._age[rows] += 1
        return score, alert

    def _alerts(self, places: Places, age: Index, found: Departures, flat: FlatStretches) -> NDArray[np.bool_]:
        alert = np.zeros(len(age), dtype=bool)
        at, excess = found.at, found.excess.max(axis=0, initial=0.0)
        if len(flat.at):
            at, excess = np.append(at, flat.at), np.append(excess, np.full(len(flat.at), FLAT_EXCESS))
        if len(at):
            begins = at[self._begins(places.index[at], age[at], excess)]
            index = places.index[begins]
            alert[begins] = True
            self._quiet_until[index] = age[begins] + self._rule.refractory_count
            self._began.append((index, begins, found, flat))
        return alert

    def _begins(self, index: Index, age: Index, excess: FloatArray) -> NDArray[np.bool_]:
        rule = self._rule
        is_heard = (age >= self._quiet_until[index]) | (excess > LOUD_EXCESS)
        is_heard &= age >= rule.warm_up_count
        is_heard &= excess > required_excess(age, rule.tail_count, rule.least_excess)
        return is_heard

    def _score(self, rows: Rows, surprise: FloatArray, age: NDArray[np.int64], youngest: int) -> FloatArray:
        weight = SCORE_WEIGHT if youngest >= SCORE_COUNT else np.maximum(SCORE_WEIGHT, 1.0 / (age + 1.0))
        severity = self._severity[rows]
        surprise -= severity
        surprise *= weight
        surprise += severity
        self._severity[rows] = surprise
        score: FloatArray = surprise / (surprise + HALF_SCORE_NATS)
        if youngest < LEARNING_COUNT:
            score[age < LEARNING_COUNT] = np.nan
        return score


def _cut(slots: NDArray[np.int64]) -> list[Places]:
    """The rows in blocks."""
    return [Places.of(as_slice(slots[start : start + BLOCK_COUNT])) for start in range(0, len(slots), BLOCK_COUNT)]
