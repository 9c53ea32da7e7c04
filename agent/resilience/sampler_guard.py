"""Calls a sampler and lets only a lawful answer through. Imports numpy when it is first asked."""

from __future__ import annotations

from collections.abc import Callable

from agent.contracts import Block, Kept, Sampler
from agent.model import PointFlag

__all__ = ["Newest", "SamplerGuard"]

METHODS = (PointFlag.DRAWN, PointFlag.SHAPED, PointFlag.MERGED, PointFlag.CHOSEN)


class Newest:
    """The sampler that takes over: the newest points, sharing the weight of all, so that totals stay right."""

    def keep(self, block: Block, budget: int, /) -> Kept:
        import numpy as np

        size = len(block)
        index = np.arange(max(0, size - budget), size, dtype=np.int64)
        weights = block.weights[index]
        if len(index):
            weights = weights * (float(block.weights.sum()) / float(weights.sum()))
        return Kept(index, weights)


class SamplerGuard:
    """A sampler that cannot do harm: when it raises or breaks the rules of `Kept`, the newest points are kept instead.

    Args:
        sampler: The strategy.
        report: Called with one sentence at the first fault; later faults are counted only.

    Attributes:
        kept_by: How the newest answer was chosen: one of the four methods of `PointFlag`.
    """

    def __init__(self, sampler: Sampler, report: Callable[[str], None] | None = None) -> None:
        self._sampler = sampler
        self._report = report
        self._newest = Newest()
        self.works_in_stretches = bool(getattr(sampler, "works_in_stretches", False))
        method = getattr(sampler, "method", PointFlag.CHOSEN)
        self._method = method if method in METHODS else PointFlag.CHOSEN
        self.kept_by = self._method
        self.call_count = 0
        self.fault_count = 0

    def keep(self, block: Block, budget: int) -> Kept:
        """The sampler's choice, or the newest points when it has none that is lawful."""
        self.call_count += 1
        try:
            kept = self._sampler.keep(block, budget)
            fault = _fault(kept, len(block), budget)
        except Exception as error:  # noqa: BLE001 - a plugin may raise whatever it likes
            fault = f"raised {type(error).__name__}: {error}"
        if fault is None:
            self.kept_by = self._method
            return kept
        self._count_fault(fault)
        self.kept_by = PointFlag.CHOSEN
        return self._newest.keep(block, budget)

    def _count_fault(self, fault: str) -> None:
        self.fault_count += 1
        if self.fault_count == 1 and self._report is not None:
            name = type(self._sampler).__name__
            self._report(f"sampler {name} {fault[:300]}; the newest points are kept in its place")


def _fault(kept: Kept, size: int, budget: int) -> str | None:
    """What is wrong with an answer; None when nothing is."""
    import numpy as np

    index, weights = np.asarray(kept.index), np.asarray(kept.weights)
    if index.ndim != 1 or weights.shape != index.shape:
        return f"returned index of shape {index.shape} and weights of shape {weights.shape}; both must be (k,)"
    if index.dtype.kind not in "iu" or weights.dtype.kind != "f":
        return f"returned index of type {index.dtype} and weights of type {weights.dtype}; int64 and float64 are needed"
    if len(index) > budget:
        return f"kept {len(index)} points, at most {budget} were allowed"
    if len(index) and (index[0] < 0 or index[-1] >= size or bool((index[1:] <= index[:-1]).any())):
        return f"returned positions that do not rise within 0..{size - 1}"
    return _figure_fault(kept)


def _figure_fault(kept: Kept) -> str | None:
    import numpy as np

    if not bool(np.isfinite(kept.weights).all()) or bool((kept.weights < 1.0 - 1e-9).any()):
        return "returned weights that are not finite and >= 1"
    if kept.values is not None and (kept.values.shape != kept.index.shape or not bool(np.isfinite(kept.values).all())):
        return "returned values that are not finite, or not one for each point kept"
    return None
