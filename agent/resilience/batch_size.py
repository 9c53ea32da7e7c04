"""How much room a batch takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model import Batch

__all__ = ["ROW_BYTES", "batch_bytes"]

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
