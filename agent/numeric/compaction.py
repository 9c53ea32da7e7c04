"""Which points of many series, kept in all, show the course best: greedy maximum error, vectorised over all series at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.contracts import Block, Kept
from agent.numeric.allotment import series_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

    IntArray = NDArray[np.int64]
    BoolArray = NDArray[np.bool_]

__all__ = ["Course", "compact", "course_of", "reconstructed"]

MAX_LEVELS = 64
"""Splits on the way from a whole series to a point; curves that need more than half of it are split nearer their middle."""
SLIDE_STEPS = np.array([[0], [-1], [1], [-2], [2]])
"""Where a kept point may slide to, from where it is; the first is to stay."""
SLIDE_RATIO = 0.1
"""A kept point may slide to a neighbour that differs by less than this share of its series' range: peaks stay, slopes settle."""

NOISE_RATIO = 1e-12
"""A series that varies by less than this share of its size is constant, but for rounding."""
TINY = 1e-300
HUGE = 1e300
NOISE_MISFIT = 1e-18
"""A line that misses by less than this, in squared deviations, is straight but for rounding."""
SLIDE_GAIN = 1e-3
"""Squared deviations by which the lines must miss less for a point to slide."""
TIE_RATIO = 1e-9
"""Bends that no more than the one they depend on holds back come just after it, the worst misses first."""


@dataclass(frozen=True, slots=True)
class Course:
    """The points of a block, series by series, in order of time.

    Attributes:
        order: Position in the block of each point, shape (n,).
        starts: First point of each series, and n at the end, shape (series + 1,).
        x: Time in units of the mean step, from each series' own start.
        y: Value, centred and scaled to unit deviation in each series; 0 throughout a constant series.
        span: Range of `y` in each point's series.
        weights: As in the block.
        has_ties: Whether points of one series share a moment.
    """

    order: IntArray
    starts: IntArray
    x: FloatArray
    y: FloatArray
    span: FloatArray
    weights: FloatArray
    has_ties: bool

    def line(self, left: IntArray, right: IntArray) -> tuple[FloatArray, FloatArray]:
        """Slope, and value at 0, of the line from each left point to its right one; level between points of the same time."""
        x, y = self.x[left], self.y[left]
        run = self.x[right] - x
        slope = self.y[right] - y
        if self.has_ties:
            slope *= run > 0
            run[run <= 0] = 1.0
        slope /= run
        return slope, y - slope * x


def compact(block: Block, budget: int, is_pinned: BoolArray | None = None) -> Kept:
    """The points among which straight lines stay closest to all the others.

    Each series starts as one line from its first to its last point; again and again the line that misses its points most (largest
    miss times root of the summed squares) is bent at the point it misses most, until the budget is spent. Then each kept point
    slides to a neighbour of like value where that lowers the squared error.

    Args:
        block: What to choose from.
        budget: Points to keep at most, >= 0; fewer are kept when they say it all.
        is_pinned: Points that stay in any case, shape (n,); at most `budget`. They bend the lines before any other.
    Returns:
        Positions rising; each kept point's weight is its own and that of the points nearer to it than to the next kept one.
        O(n log n) time: about 0.5 us a point in blocks of 10^4 and more.
    Source:
        U. Ramer, An iterative procedure for the polygonal approximation of plane curves, 1972; with the budget in place of the
        tolerance, as in J. Hershberger and J. Snoeyink, Speeding up the Douglas-Peucker line-simplification algorithm, 1992.
    """
    if not len(block):
        return Kept(np.zeros(0, np.int64), np.zeros(0))
    course = course_of(block)
    pinned = np.zeros(len(block), bool) if is_pinned is None else is_pinned[course.order]
    room = budget - int(pinned.sum())
    frame = _frame(course, pinned, room)
    room -= int(frame.sum() - pinned.sum())
    kept = np.flatnonzero(frame | _bends(course, frame, room))
    kept = _slid(course, kept, frame)
    return _as_kept(course, kept)


def course_of(block: Block) -> Course:
    """A block of at least one point, rearranged series by series.

    Values that are not finite are drawn onto the line between their neighbours.
    """
    order, starts = series_rows(block.ids)
    time_s, values = block.monotonic_s[order], block.values[order]
    sizes = np.diff(starts)
    is_finite = np.isfinite(values)
    if not is_finite.all():
        values = _bridged(values, is_finite)
    x = time_s - np.repeat(time_s[starts[:-1]], sizes)
    step = float(x.sum()) * 2 / max(1.0, float((sizes.astype(np.float64) * (sizes - 1)).sum()))
    size = np.maximum.reduceat(np.abs(values), starts[:-1])
    y = values * np.repeat(1.0 / np.maximum(size, TINY), sizes)
    y -= np.repeat(np.add.reduceat(y, starts[:-1]) / sizes, sizes)
    deviation = np.sqrt(np.add.reduceat(y * y, starts[:-1]) / sizes)
    y *= np.repeat(np.where(deviation > NOISE_RATIO, 1.0 / np.maximum(deviation, NOISE_RATIO), 0.0), sizes)
    span = np.maximum.reduceat(y, starts[:-1]) - np.minimum.reduceat(y, starts[:-1])
    rises = x[1:] > x[:-1]
    rises[starts[1:-1] - 1] = True
    x = x / step if step > 0 else x
    return Course(order, starts, x, y, np.repeat(span, sizes), block.weights[order], not rises.all())


def _bridged(values: FloatArray, is_finite: BoolArray) -> FloatArray:
    known = np.flatnonzero(is_finite)
    if not len(known):
        return np.zeros(len(values))
    return np.interp(np.arange(len(values)), known, values[known])


def _frame(course: Course, pinned: BoolArray, room: int) -> BoolArray:
    """The pinned points and the ends of each series; when there is no room for all ends, the last ones of as many as fit."""
    frame = pinned.copy()
    for ends in (course.starts[1:] - 1, course.starts[:-1]):
        missing = ends[~frame[ends]]
        if len(missing) > room:
            newest = np.argsort(course.order[missing], kind="stable")[len(missing) - room :]
            missing = missing[newest]
        frame[missing] = True
        room -= len(missing)
    return frame


def _bends(course: Course, frame: BoolArray, room: int) -> BoolArray:
    """Where the lines between the points of the frame are bent, at most `room` points."""
    worth = np.zeros(len(frame))
    left, right, bound = _first_lines(course, frame)
    found, enough = np.zeros(0), NOISE_MISFIT
    for level in range(MAX_LEVELS if room > 0 else 0):
        if not len(left):
            break
        middle, misfit = _worst(course, left, right, 1.0 if level < MAX_LEVELS // 2 else 0.5)
        bound *= 1 - TIE_RATIO * (1 + bound / (bound + misfit))
        np.minimum(bound, misfit, out=bound)
        worth[middle] = bound
        found = np.concatenate((found, bound))
        if len(found) > room:
            found.partition(len(found) - room)
            found = found[-room:]
            enough = max(NOISE_MISFIT, found[0])
        left, right = np.concatenate((left, middle)), np.concatenate((middle, right))
        bound = np.concatenate((bound, bound))
        goes_on = right - left > 1
        goes_on &= bound > enough
        left, right, bound = left[goes_on], right[goes_on], bound[goes_on]
    return _largest(worth, room)


def _first_lines(course: Course, frame: BoolArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Both ends of each line between neighbours of the frame in one series that skips points, and no bound to speak of."""
    points = np.flatnonzero(frame)
    series = np.searchsorted(course.starts, points, side="right")
    left, right = points[:-1], points[1:]
    is_line = (series[:-1] == series[1:]) & (right - left > 1)
    return left[is_line], right[is_line], np.full(int(is_line.sum()), HUGE)


def _worst(course: Course, left: IntArray, right: IntArray, share: float) -> tuple[IntArray, FloatArray]:
    """For each line the point that it misses most (of those it misses by `share` of that, the middle one), and how bad it is."""
    sizes = right - left - 1
    stops = sizes.cumsum()
    starts = stops - sizes
    points = np.arange(stops[-1])
    points += (left + 1 - starts).repeat(sizes)
    slope, base = course.line(left, right)
    miss = course.y[points]
    miss -= base.repeat(sizes)
    miss -= slope.repeat(sizes) * course.x[points]
    np.abs(miss, out=miss)
    largest = np.maximum.reduceat(miss, starts)
    candidates = (miss >= (largest * share).repeat(sizes)).nonzero()[0]
    if len(candidates) > len(left):
        candidates = candidates[(candidates.searchsorted(starts) + candidates.searchsorted(stops)) // 2]
    miss *= miss
    return points[candidates], largest * np.sqrt(np.add.reduceat(miss, starts))


def _largest(worth: FloatArray, room: int) -> BoolArray:
    """At most `room` points of the largest worth, none where a line was straight but for rounding."""
    chosen = worth > NOISE_MISFIT
    if int(chosen.sum()) > room:
        chosen[:] = False
        if room > 0:
            chosen[np.argpartition(worth, len(worth) - room)[len(worth) - room :]] = True
    return chosen


class _Squares:
    """Summed squared misses of any line over the points it skips, from running sums: O(1) a line."""

    def __init__(self, course: Course) -> None:
        self._course = course
        columns = (course.x, course.y, course.x * course.x, course.x * course.y, course.y * course.y)
        self._sums = np.zeros((len(columns), len(course.x) + 1))
        np.cumsum(np.stack(columns), axis=1, out=self._sums[:, 1:])

    def of(self, left: IntArray, right: IntArray) -> FloatArray:
        """Of the lines between these points; NaN-free, >= 0."""
        sums = self._sums
        sx, sy, sxx, sxy, syy = sums.take(right, axis=1) - sums.take(left + 1, axis=1)
        slope, base = self._course.line(left, right)
        squares: FloatArray = syy + slope * (slope * sxx - 2 * sxy)
        squares += base * (base * (right - left - 1) + 2 * (slope * sx - sy))
        return np.maximum(squares, 0.0, out=squares)


def _slid(course: Course, kept: IntArray, frame: BoolArray) -> IntArray:
    """The kept points, those outside the frame moved to a neighbour of like value where the lines then miss less."""
    if len(kept) < 3:
        return kept
    squares, kept = _Squares(course), kept.copy()
    is_free = ~frame[kept]
    for first in (1, 2):
        mine = np.arange(first, len(kept) - 1, 2)
        _slide(course, squares, kept, mine[is_free[mine]])
    return kept


def _slide(course: Course, squares: _Squares, kept: IntArray, mine: IntArray) -> None:
    """Move those of `kept[mine]`, no two of them neighbours, to where it pays most."""
    left, middle, right = kept[mine - 1], kept[mine], kept[mine + 1]
    places = middle + SLIDE_STEPS
    may = np.abs(course.y.take(places, mode="clip") - course.y[middle]) <= SLIDE_RATIO * course.span[middle]
    may &= (places > left) & (places < right)
    at, place = may.nonzero()[1], places[may]
    before, after = squares.of(np.array((left[at], place)), np.array((place, right[at])))
    misses = np.full(places.shape, np.inf)
    misses[may] = before + after
    misses[0] -= SLIDE_GAIN
    kept[mine] = places[misses.argmin(axis=0), np.arange(len(mine))]


def _as_kept(course: Course, kept: IntArray) -> Kept:
    """The points of the course as positions in the block, with the weight of the points nearest to each."""
    if not len(kept):
        return Kept(np.zeros(0, np.int64), np.zeros(0))
    series = np.searchsorted(course.starts, kept, side="right") - 1
    shares = (kept[:-1] + kept[1:] + 1) // 2
    crosses = series[1:] != series[:-1]
    shares[crosses] = course.starts[series[1:][crosses]]
    first = course.starts[series[0]]
    weights = np.zeros(len(course.order))
    ends = course.starts[series[-1] + 1]
    weights[course.order[kept]] = np.add.reduceat(course.weights[:ends], np.concatenate(([first], shares)))
    index = np.flatnonzero(weights)
    return Kept(index, weights[index])


def reconstructed(block: Block, kept: Kept) -> FloatArray:
    """What straight lines between the kept points of each series give at every point of the block; NaN where none was kept."""
    order, starts = series_rows(block.ids)
    is_kept = np.zeros(len(block), bool)
    is_kept[kept.index] = True
    made = np.full(len(block), np.nan)
    for one in np.split(order, starts[1:-1]):
        known = one[is_kept[one]]
        if len(known):
            made[one] = np.interp(block.monotonic_s[one], block.monotonic_s[known], block.values[known])
    return made
