"""Taking in only a share of what comes, evenly in every series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.model import Batch, PointFlag
from agent.resilience.ledger import Dropped
from agent.resilience.segment import flagged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import BoundArray

__all__ = ["Thinning"]

GOLDEN = 0.6180339887498949
"""Spreads the series over the ticks: no two ticks in a row take in the same ones."""
EXEMPT = PointFlag.CRITICAL.value | PointFlag.ANOMALOUS.value


class Thinning:
    """Keeps of each series every so many ticks one point; critical and anomalous points stay."""

    def __init__(self) -> None:
        self._phase = 0.0
        self._skipped = np.zeros(0, np.uint32)

    @property
    def is_resting(self) -> bool:
        """True when the newest point of every series was taken in: what comes next follows on what was there."""
        return not len(self._skipped)

    def thin(self, batch: Batch, ratio: float) -> tuple[Batch, Dropped]:
        """The batch with this share of its ordinary points, weighted for the others, and what went.

        How far what went is from what stays is not known: the first point of a series that comes after it says so.

        Args:
            batch: One tick.
            ratio: Share to keep, in (0, 1].
        """
        offset = batch.ids * GOLDEN
        is_due = np.floor(offset + self._phase + ratio) > np.floor(offset + self._phase)
        self._phase = (self._phase + ratio) % 1.0
        flags = np.zeros(batch.points, np.uint8) if batch.flags is None else batch.flags.copy()
        is_exempt = (flags & EXEMPT) != 0
        weights = np.ones(batch.points) if batch.weights is None else batch.weights.copy()
        if ratio < 1.0:
            weights[~is_exempt] /= ratio
            flags[~is_exempt] |= PointFlag.DRAWN.value
        is_kept = is_due | is_exempt
        stays = np.flatnonzero(is_kept)
        kept = Batch(
            batch.time_ns,
            batch.monotonic_s,
            batch.ids[stays],
            batch.values[stays],
            flags[stays] if flags.any() else None,
            weights[stays],
            self._bounds(batch, is_kept)[stays],
        )
        bulk = flagged(batch.flags, PointFlag.BULK) - flagged(kept.flags, PointFlag.BULK)
        return kept, Dropped(batch.points - len(stays), batch.time_ns, batch.time_ns, bulk=bulk)

    def _bounds(self, batch: Batch, is_kept: NDArray[np.bool_]) -> BoundArray:
        """The bounds of all points, and note whose newest point is left out now."""
        bounds = np.zeros(batch.points, np.float32) if batch.bounds is None else batch.bounds.copy()
        bounds[np.isin(batch.ids, self._skipped)] = np.nan
        elsewhere = np.setdiff1d(self._skipped, batch.ids, assume_unique=True)
        self._skipped = np.concatenate((elsewhere, batch.ids[~is_kept]))
        return bounds
