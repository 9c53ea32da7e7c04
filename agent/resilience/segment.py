"""Batches end to end, in columns: 12 to 25 bytes a point, whatever the size of the ticks they came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.model import Batch, PointFlag
from agent.resilience.batch_size import ROW_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import BoundArray, FlagArray, FloatArray, IdArray

__all__ = [
    "SAMPLED_POINT_BYTES",
    "Picked",
    "Segment",
    "flagged",
    "joined",
    "pack",
    "picked",
]

SEGMENT_POINTS = 16_384
"""Points of a packed segment at most (a larger batch makes a larger one): the memory that is freed in one piece."""
SAMPLED_POINT_BYTES = 25


def flagged(flags: FlagArray | None, flag: PointFlag) -> int:
    """How many points have this flag."""
    return 0 if flags is None else int(np.count_nonzero(flags & flag.value))


@dataclass(slots=True)
class Segment:
    """Batches end to end. Row `i` is one batch: its points are `starts[i]:starts[i + 1]`; rows before `head` are gone."""

    time_ns: NDArray[np.int64]
    monotonic_s: FloatArray
    starts: NDArray[np.int64]
    ids: IdArray
    values: FloatArray
    flags: FlagArray | None
    weights: FloatArray | None
    bounds: BoundArray | None
    head: int = 0

    @property
    def is_empty(self) -> bool:
        return self.head >= len(self.time_ns)

    @property
    def points(self) -> int:
        """Points of the rows that are left."""
        return int(self.starts[-1] - self.starts[self.head])

    @property
    def weight(self) -> float:
        """Produced points that the rows that are left stand for."""
        if self.weights is None:
            return float(self.points)
        return float(self.weights[self.starts[self.head] :].sum())

    def row(self, number: int) -> Batch:
        points = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return Batch(
            int(self.time_ns[number]),
            float(self.monotonic_s[number]),
            self.ids[points],
            self.values[points],
            None if self.flags is None else self.flags[points],
            None if self.weights is None else self.weights[points],
            None if self.bounds is None else self.bounds[points],
        )

    def row_bytes(self, number: int) -> int:
        return int(self.starts[number + 1] - self.starts[number]) * self._point_bytes + ROW_BYTES

    @property
    def _point_bytes(self) -> int:
        return 12 + (self.flags is not None) + 8 * (self.weights is not None) + 4 * (self.bounds is not None)

    def bytes(self) -> int:
        """Bytes of the rows that are left."""
        return self.points * self._point_bytes + (len(self.time_ns) - self.head) * ROW_BYTES


def pack(batches: Sequence[Batch]) -> Segment:
    """Put batches end to end; flags, weights and bounds get a column when any batch has them."""
    starts = np.zeros(len(batches) + 1, np.int64)
    sizes = [batch.points for batch in batches]
    np.cumsum(sizes, out=starts[1:])
    return Segment(
        np.array([batch.time_ns for batch in batches], np.int64),
        np.array([batch.monotonic_s for batch in batches], np.float64),
        starts,
        np.concatenate([batch.ids for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
        _joined_column([batch.flags for batch in batches], sizes, 0, np.uint8),
        _joined_column([batch.weights for batch in batches], sizes, 1, np.float64),
        _joined_column([batch.bounds for batch in batches], sizes, 0, np.float32),
    )


def _column(given: NDArray[Any] | None, size: int, default: int, dtype: type) -> NDArray[Any]:
    return np.full(size, default, dtype) if given is None else given


def joined(segments: Sequence[Segment]) -> Segment:
    """All rows that are left in these segments, as one."""
    left = [(segment, int(segment.starts[segment.head])) for segment in segments]
    sizes = [len(segment.ids) - start for segment, start in left]
    row_sizes = np.concatenate([np.diff(segment.starts[segment.head :]) for segment in segments])
    return Segment(
        np.concatenate([segment.time_ns[segment.head :] for segment in segments]),
        np.concatenate([segment.monotonic_s[segment.head :] for segment in segments]),
        np.append(np.zeros(1, np.int64), np.cumsum(row_sizes)),
        np.concatenate([segment.ids[start:] for segment, start in left]),
        np.concatenate([segment.values[start:] for segment, start in left]),
        _joined_column([s.flags if s.flags is None else s.flags[i:] for s, i in left], sizes, 0, np.uint8),
        _joined_column([s.weights if s.weights is None else s.weights[i:] for s, i in left], sizes, 1, np.float64),
        _joined_column([s.bounds if s.bounds is None else s.bounds[i:] for s, i in left], sizes, 0, np.float32),
    )


def _joined_column(
    parts: Sequence[NDArray[Any] | None], sizes: Sequence[int], default: int, dtype: type
) -> NDArray[Any] | None:
    """The column of all parts; None when none of them has it."""
    if all(part is None for part in parts):
        return None
    return np.concatenate([_column(part, size, default, dtype) for part, size in zip(parts, sizes, strict=True)])


@dataclass(frozen=True, slots=True)
class Picked:
    """Points that stay, and what each of them is to have. All arrays have shape (k,).

    Attributes:
        index: Their positions in the whole, rising.
    """

    index: NDArray[np.int64]
    values: FloatArray
    flags: FlagArray
    weights: FloatArray
    bounds: BoundArray

    def at(self, places: slice | NDArray[np.int64]) -> Picked:
        """Some of them."""
        return Picked(
            self.index[places], self.values[places], self.flags[places], self.weights[places], self.bounds[places]
        )


def picked(whole: Segment, stays: Picked) -> list[Segment]:
    """Segments of these points alone, in arrays of their own, so that the whole can be freed."""
    row = np.searchsorted(whole.starts, stays.index, side="right") - 1
    segments, start = [], 0
    while start < len(row):
        stop = len(row)
        if stop - start > SEGMENT_POINTS:
            stop = int(np.searchsorted(row, row[start + SEGMENT_POINTS]))
            stop = stop if stop > start else int(np.searchsorted(row, row[start], side="right"))
        part = slice(start, stop)
        segments.append(_segment(whole, stays.at(part), row[part]))
        start = stop
    return segments


def _segment(whole: Segment, stays: Picked, row: NDArray[np.int64]) -> Segment:
    rows, first = np.unique(row, return_index=True)
    return Segment(
        whole.time_ns[rows],
        whole.monotonic_s[rows],
        np.append(first, len(row)).astype(np.int64),
        whole.ids[stays.index],
        stays.values.copy(),
        stays.flags.copy() if stays.flags.any() else None,
        stays.weights.copy() if (stays.weights != 1.0).any() else None,
        stays.bounds.copy() if (stays.bounds != 0.0).any() else None,
    )
