"""Where the collectors' samples of one tick come together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from agent.model import Series

__all__ = ["Gather"]


class Gather:
    """Takes what collectors report and hands it out once a tick. What comes late belongs to the next tick.

    Where that has newer samples of the same series, the late ones are kept apart: a point that was collected is never lost.
    """

    def __init__(self) -> None:
        self._samples: dict[Series, float] = {}
        self._overtaken: dict[Series, float] = {}
        self._reported: dict[str, list[Series]] = {}
        self._awaited: set[str] = set()
        self._all_in = asyncio.Event()

    def expect(self, names: Iterable[str]) -> None:
        """A tick begins: these collectors will report. Those still owing an earlier tick are not waited for again."""
        self._awaited = set(names)
        self._all_in.clear()
        self._settle()

    def report(self, name: str, samples: dict[Series, float]) -> None:
        """A collector has ended its collect."""
        earlier = self._reported.get(name)
        if earlier is not None:
            self._overtake(earlier, samples)
        self._reported[name] = [*(earlier or ()), *samples]
        self._samples.update(samples)
        self._awaited.discard(name)
        self._settle()

    async def collected(self, patience_s: float) -> dict[Series, float]:
        """What was reported, once everybody awaited has reported or `patience_s` seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._all_in.wait()
        return self.take()

    def take(self) -> dict[Series, float]:
        """What was reported since it was handed out last."""
        samples, self._samples = self._samples, {}
        self._reported.clear()
        return samples

    def take_overtaken(self) -> dict[Series, float]:
        """Late samples of the tick before, of which the tick just collected has newer ones."""
        overtaken, self._overtaken = self._overtaken, {}
        return overtaken

    def _overtake(self, earlier: Iterable[Series], samples: dict[Series, float]) -> None:
        """By name and labels: a collector that a reload has made anew has other objects for the same series."""
        newer = {series.key for series in samples}
        for series in earlier:
            if series.key in newer and series in self._samples:
                self._overtaken[series] = self._samples.pop(series)

    def _settle(self) -> None:
        if not self._awaited:
            self._all_in.set()
