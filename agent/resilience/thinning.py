"""Taking in only a share of what comes, evenly in every series."""

from __future__ import annotations

import numpy as np

from agent.model import Batch, PointFlag
from agent.resilience.ledger import Dropped
from agent.resilience.segment import flagged

__all__ = ["Thinning"]

GOLDEN = 0.6180339887498949
"""Spreads the series over the ticks: no two ticks in a row take in the same ones."""
EXEMPT = PointFlag.CRITICAL.value | PointFlag.ANOMALOUS.value


class Thinning:
    """Keeps of each series every so many ticks one point; critical and anomalous points stay."""

    def __init__(self) -> None:
        self._phase = 0.0

    def thin(self, batch: Batch, ratio: float) -> tuple[Batch, Dropped]:
        """The batch with this share of its ordinary points, weighted for the others, and what went.

        Args:
            batch: One tick.
            ratio: Share to keep, in (0, 1].
        """
        offset = batch.ids * GOLDEN
        is_due = np.floor(offset + self._phase + ratio) > np.floor(offset + self._phase)
        self._phase = (self._phase + ratio) % 1.0
        is_exempt = np.zeros(batch.points, bool) if batch.flags is None else (batch.flags & EXEMPT) != 0
        weights = np.ones(batch.points) if batch.weights is None else batch.weights.copy()
        weights[~is_exempt] /= ratio
        stays = np.flatnonzero(is_due | is_exempt)
        kept = Batch(
            batch.time_ns,
            batch.monotonic_s,
            batch.ids[stays],
            batch.values[stays],
            None if batch.flags is None else batch.flags[stays],
            weights[stays],
        )
        bulk = flagged(batch.flags, PointFlag.BULK) - flagged(kept.flags, PointFlag.BULK)
        return kept, Dropped(batch.points - len(stays), batch.time_ns, batch.time_ns, bulk=bulk)
