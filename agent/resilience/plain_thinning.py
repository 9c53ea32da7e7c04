"""`Thinning` for plain columns: the same choice, weights and flags, a point at a time."""

from __future__ import annotations

from dataclasses import replace
from math import floor, nan
from typing import TYPE_CHECKING

from agent.columns import PlainColumns
from agent.model import PointFlag
from agent.resilience.ledger import Dropped
from agent.resilience.plain_store import picked_points

if TYPE_CHECKING:
    from agent.model import Batch, BoundArray

__all__ = ["PlainThinning"]

GOLDEN = 0.6180339887498949
EXEMPT = PointFlag.CRITICAL.value | PointFlag.ANOMALOUS.value
_COLUMNS = PlainColumns()


class PlainThinning:
    """Keeps of each series every so many ticks one point; critical and anomalous points stay."""

    def __init__(self) -> None:
        self._phase = 0.0
        self._skipped: set[int] = set()

    @property
    def is_resting(self) -> bool:
        """True when the newest point of every series was taken in."""
        return not self._skipped

    def thin(self, batch: Batch, ratio: float, /) -> tuple[Batch, Dropped]:
        """The batch with this share (0..1] of its ordinary points, weighted for the others, and what went."""
        given = [0] * batch.points if batch.flags is None else batch.flags.tolist()
        exempt = [bool(flags & EXEMPT) for flags in given]
        stays = [is_exempt or self._is_due(one, ratio) for one, is_exempt in zip(batch.ids, exempt, strict=True)]
        self._phase = (self._phase + ratio) % 1.0
        weights = [1.0] * batch.points if batch.weights is None else batch.weights.tolist()
        drawn = PointFlag.DRAWN.value if ratio < 1.0 else 0
        flags = [one if is_exempt else one | drawn for one, is_exempt in zip(given, exempt, strict=True)]
        weights = [one if is_exempt else one / ratio for one, is_exempt in zip(weights, exempt, strict=True)]
        whole = replace(
            batch,
            flags=_COLUMNS.flags(flags) if any(flags) else None,
            weights=_COLUMNS.values(weights),
            bounds=self._bounds(batch, stays),
        )
        bulk = sum(1 for one, is_kept in zip(given, stays, strict=True) if not is_kept and one & PointFlag.BULK.value)
        return picked_points(whole, stays), Dropped(stays.count(False), batch.time_ns, batch.time_ns, bulk=bulk)

    def _is_due(self, series_id: int, ratio: float) -> bool:
        offset = series_id * GOLDEN
        return floor(offset + self._phase + ratio) > floor(offset + self._phase)

    def _bounds(self, batch: Batch, stays: list[bool]) -> BoundArray:
        """The bounds of all points, and note whose newest point is left out now."""
        known = [0.0] * batch.points if batch.bounds is None else batch.bounds.tolist()
        bounds = [nan if one in self._skipped else bound for one, bound in zip(batch.ids, known, strict=True)]
        self._skipped.difference_update(batch.ids)
        self._skipped.update(one for one, is_kept in zip(batch.ids, stays, strict=True) if not is_kept)
        return _COLUMNS.bounds(bounds)
