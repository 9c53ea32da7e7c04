"""How much room a batch takes, and what else a buffer asks of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model import Batch

__all__ = ["ROW_BYTES", "BatchMeasures", "batch_bytes"]

ROW_BYTES = 24


def batch_bytes(batch: Batch) -> int:
    """Bytes that a batch takes when packed."""
    size = batch.ids.nbytes + batch.values.nbytes + ROW_BYTES
    if batch.flags is not None:
        size += batch.flags.nbytes
    if batch.weights is not None:
        size += batch.weights.nbytes
    if batch.bounds is not None:
        size += batch.bounds.nbytes
    return size


class BatchMeasures:
    """The part of a `Store` of batches that is the same wherever they are kept."""

    __slots__ = ()

    def stamp_of(self, item: Batch, /) -> float:
        return item.monotonic_s

    def points_of(self, item: Batch, /) -> int:
        return item.points

    def points_of_all(self, items: Sequence[Batch], /) -> int:
        return sum(item.points for item in items)

    def bytes_of(self, item: Batch, /) -> int:
        return batch_bytes(item)
