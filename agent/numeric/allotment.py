"""Sharing a budget out fairly among groups that cannot use more than they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["allot", "even_positions", "series_rows"]


def allot(sizes: NDArray[np.int64], budget: int, claims: FloatArray | None = None) -> NDArray[np.int64]:
    """How many each group gets: in proportion to its claim, one at least, and never more than it has.

    Args:
        sizes: What each group has, shape (g,), >= 1.
        budget: What there is to share out, >= 0. With less than one for each, the last groups get one.
        claims: Shape (g,), > 0; None: the sizes.
    Returns:
        Shape (g,), int64; the sum is min(budget, sum of sizes). O(g log g) time, times the few rounds until no group is full.
    Source:
        Largest remainders (Hamilton), on what is left after the groups that are full.
    """
    count = len(sizes)
    if budget >= int(sizes.sum()):
        return sizes.copy()
    if budget <= count:
        given = np.zeros(count, np.int64)
        given[count - budget :] = 1
        return given
    claims = sizes.astype(np.float64) if claims is None else claims
    given = np.ones(count, np.int64)
    is_open = sizes > 1
    while (left := budget - int(given.sum())) > 0:
        share = np.where(is_open, claims, 0.0)
        share *= left / share.sum()
        extra = np.minimum(_rounded(share, left), sizes - given)
        given += extra
        is_open = given < sizes
    return given


def _rounded(share: FloatArray, total: int) -> NDArray[np.int64]:
    """Whole numbers that add up to `total`, each within one of its share; the largest remainders are rounded up."""
    whole = np.floor(share + 1e-9).astype(np.int64)
    missing = total - int(whole.sum())
    if missing > 0:
        remainder = np.where(share > 0, share - whole, -1.0)
        whole[np.argsort(-remainder, kind="stable")[:missing]] += 1
    return whole


def series_rows(ids: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions series by series, each in the order given, and where each series starts, with the end at the end."""
    order = np.argsort(ids, kind="stable")
    in_order = ids[order]
    starts = np.concatenate(([0], np.flatnonzero(in_order[1:] != in_order[:-1]) + 1, [len(ids)])).astype(np.int64)
    return order, starts


def even_positions(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first point of each of `counts[g]` even parts of group g (positions `starts[g]:starts[g + 1]`), group by group."""
    group = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    sizes = np.diff(starts)
    return starts[:-1][group] + (number * sizes[group]) // np.maximum(counts[group], 1)
