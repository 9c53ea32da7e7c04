"""Points of one agent over some minutes, or their roll-ups: for each thing that is known of them a matrix of series by time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.hub.records import BatchWrite

__all__ = ["Chunk", "chunk_of", "join"]

Floats = NDArray[np.float64]
Ids = NDArray[np.uint32]
Times = NDArray[np.int64]

_DEFAULT: dict[str, float | str] = {
    "weights": 1.0,
    "flags": 0.0,
    "bounds": 0.0,
    "marks": 0.0,
    "over_time": "mean",
    "max_error": "error",
}
"""What a cell holds where its chunk has no such column: a number, or what it has in another column."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Series by time.

    Attributes:
        ids: Series, uint32, shape (s,), rising.
        times_ns: int64, shape (t,), rising; a time may stand there twice.
        columns: float64 matrices of shape (s, t) by name. Points have `values`, `weights` (0 = no point; without the column all
            are 1), `flags` and `bounds` (without the column all are 0); roll-ups have the columns of `agent.hub.rollup`.
    """

    ids: Ids
    times_ns: Times
    columns: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.ids), len(self.times_ns)

    def column(self, name: str) -> Floats:
        """The matrix of that name, made of its default when there is none."""
        found = self.columns.get(name)
        return self._usual(name) if found is None else found

    def is_usual(self, name: str) -> bool:
        """True for a column that need not be there."""
        return name in _DEFAULT and np.array_equal(self.columns[name], self._usual(name), equal_nan=True)

    @property
    def points(self) -> int:
        """Cells that hold a point."""
        weights = self.columns.get("weights")
        return len(self.ids) * len(self.times_ns) if weights is None else int(np.count_nonzero(weights))

    def pieces(self, series_count: int) -> Iterator[Chunk]:
        """Itself, in chunks of so many series at most."""
        for first in range(0, len(self.ids), series_count):
            yield self.picked(slice(first, first + series_count))

    def picked(self, series: NDArray[np.intp] | slice) -> Chunk:
        """Some of its series, by position."""
        return Chunk(self.ids[series], self.times_ns, {name: one[series] for name, one in self.columns.items()})

    def between(self, from_ns: int, to_ns: int) -> Chunk:
        """What lies in from <= time <= to."""
        first = int(np.searchsorted(self.times_ns, from_ns))
        last = int(np.searchsorted(self.times_ns, to_ns, side="right"))
        return Chunk(self.ids, self.times_ns[first:last], {n: one[:, first:last] for n, one in self.columns.items()})

    def _usual(self, name: str) -> Floats:
        default = _DEFAULT[name]
        return self.columns[default] if isinstance(default, str) else np.full(self.shape, default)


def chunk_of(batches: Sequence[BatchWrite]) -> Chunk:
    """The batches of one agent, at least one, as a chunk; of a series that stands in a batch twice the last value counts."""
    ordered = sorted(batches, key=lambda batch: batch.time_ns)
    ids = np.unique(np.frombuffer(b"".join({batch.ids for batch in ordered}), "<u4"))
    place = {batch.ids: np.searchsorted(ids, np.frombuffer(batch.ids, "<u4")) for batch in ordered}
    series = np.concatenate([place[batch.ids] for batch in ordered])
    tick = np.repeat(np.arange(len(ordered)), [batch.points for batch in ordered])
    shape = (len(ids), len(ordered))
    columns = {"values": _spread(shape, series, tick, np.frombuffer(b"".join(b.values for b in ordered), "<f8"))}
    if any(batch.weights is not None for batch in ordered) or len(series) != shape[0] * shape[1]:
        columns["weights"] = _spread(shape, series, tick, np.concatenate([_weights(batch) for batch in ordered]))
    if any(batch.flags is not None for batch in ordered):
        columns["flags"] = _spread(shape, series, tick, np.concatenate([_flags(batch) for batch in ordered]))
    if any(batch.bounds is not None for batch in ordered):
        columns["bounds"] = _spread(shape, series, tick, np.concatenate([_bounds(batch) for batch in ordered]))
    return Chunk(ids, np.array([batch.time_ns for batch in ordered], np.int64), columns)


def join(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks, at least one, as a single one; times that they share stay apart, but for pieces of one chunk."""
    chunks = _stacked(chunks)
    if len(chunks) == 1:
        return chunks[0]
    ids = np.unique(np.concatenate([chunk.ids for chunk in chunks]))
    times = np.concatenate([chunk.times_ns for chunk in chunks])
    names = {name for chunk in chunks for name in chunk.columns}
    if any(len(chunk.ids) != len(ids) for chunk in chunks) and "values" in names:
        names.add("weights")
    columns = {name: _joined(chunks, ids, name) for name in sorted(names)}
    if (np.diff(times) < 0).any():
        order = np.argsort(times, kind="stable")
        times, columns = times[order], {name: column[:, order] for name, column in columns.items()}
    return Chunk(ids, times, columns)


def _stacked(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Chunks of the same times and of different series as one each, the others as they are."""
    by_times: dict[bytes, list[Chunk]] = {}
    for chunk in chunks:
        by_times.setdefault(chunk.times_ns.tobytes(), []).append(chunk)
    stacked: list[Chunk] = []
    for alike in by_times.values():
        ids = np.concatenate([chunk.ids for chunk in alike])
        stacked += alike if len(alike) == 1 or len(np.unique(ids)) < len(ids) else [_beside(alike, ids)]
    return stacked


def _beside(chunks: Sequence[Chunk], ids: Ids) -> Chunk:
    order = np.argsort(ids)
    names = sorted({name for chunk in chunks for name in chunk.columns})
    columns = {name: np.concatenate([chunk.column(name) for chunk in chunks])[order] for name in names}
    return Chunk(ids[order], chunks[0].times_ns, columns)


def _spread(shape: tuple[int, int], series: NDArray[np.intp], tick: NDArray[np.intp], values: Floats) -> Floats:
    made = np.zeros(shape)
    made[series, tick] = values
    return made


def _weights(batch: BatchWrite) -> Floats:
    """Each at least 1, whatever an agent said: 0 is ours, and means that there is no point."""
    if batch.weights is None:
        return np.ones(batch.points)
    weights = np.frombuffer(batch.weights, "<f8")
    return np.where(np.isfinite(weights) & (weights >= 1.0), weights, 1.0)


def _flags(batch: BatchWrite) -> Floats:
    return np.zeros(batch.points) if batch.flags is None else np.frombuffer(batch.flags, np.uint8).astype(np.float64)


def _bounds(batch: BatchWrite) -> Floats:
    """What is no distance is not known, whatever an agent said."""
    if batch.bounds is None:
        return np.zeros(batch.points)
    bounds = np.frombuffer(batch.bounds, "<f4").astype(np.float64)
    return np.where(np.isfinite(bounds) & (bounds >= 0.0), bounds, np.nan)


def _joined(chunks: Sequence[Chunk], ids: Ids, name: str) -> Floats:
    parts = []
    for chunk in chunks:
        if name not in chunk.columns and name not in _DEFAULT:
            raise ValueError(f"a chunk without {name!r} among chunks that have it")
        part = chunk.column(name)
        if len(chunk.ids) != len(ids):
            whole = np.zeros((len(ids), len(chunk.times_ns)))
            whole[np.searchsorted(ids, chunk.ids)] = part
            part = whole
        parts.append(part)
    return np.concatenate(parts, axis=1)
