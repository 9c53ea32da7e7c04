"""A time limit for a block of a coroutine, cheaper than a timer of its own for each.

Deadlines of equal length end in the order of their beginning, so one timer a length is enough: it waits for the oldest, and a
block that ends in time only leaves the row.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar
from math import inf
from types import TracebackType
from typing import Self
from weakref import finalize

__all__ = ["deadline", "remaining_s"]

MAX_LANES = 64


class deadline:  # noqa: N801 - reads as the words it stands for: `with deadline(1.0):`
    """`with deadline(seconds):` in a coroutine cancels what is awaited in the block once the time is up.

    A block inside another one ends no later than that, also in a task that was started there. Where no task runs nothing is
    limited: a plain function cannot be cut off.

    Args:
        seconds: >= 0; None: no limit but the outer one.
        cuts: False: the block itself is not cut off, only the ones inside it are, when this one's time is up.

    Raises:
        TimeoutError: At the end of the block that was cut off. A cancellation from elsewhere stays one.
        ValueError: `seconds` is negative or no number.

    Attributes:
        is_expired: True once the block was cut off.
        until_s: Moment of the event loop's clock at which the time is up, seconds; infinite while nothing is limited.
    """

    __slots__ = (
        "_cancelling",
        "_cuts",
        "_lane",
        "_outer",
        "_seconds",
        "_task",
        "_timer",
        "is_expired",
        "is_on",
        "until_s",
    )

    _lane: _Lane | None
    _outer: deadline | None
    _timer: asyncio.TimerHandle

    def __init__(self, seconds: float | None, *, cuts: bool = True) -> None:
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"a deadline must be >= 0 seconds or None (got {seconds!r})")
        self._seconds = seconds
        self._cuts = cuts
        self._task: asyncio.Task[object] | None = None
        self.is_expired = self.is_on = False
        self.until_s = inf

    def __enter__(self) -> Self:
        outer = _current.get()
        while outer is not None and not outer.is_on:  # as `_still_on`, without the cost of its frame
            outer = outer._outer  # noqa: SLF001 - its own kind
        if self._seconds is None and outer is None:
            return self
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return self
        if task is None:
            return self
        loop = task.get_loop()
        if self._seconds is not None:
            until_s = loop.time() + self._seconds
            if outer is None or until_s < outer.until_s:
                self._begin(task, loop, outer, until_s, self._seconds)
                return self
        if outer is not None and self._cuts and outer._task is not task:  # noqa: SLF001 - as above
            self._begin(task, loop, outer, outer.until_s, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the block. The context variable keeps pointing here, which costs less than setting it back: see `_still_on`."""
        self.is_on = False
        task, self._task = self._task, None
        if task is None:
            return
        if not self.is_expired:
            if self._lane is not None:
                del self._lane.waiting[self]
            else:
                self._timer.cancel()
        elif task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            limit = "in time" if self._seconds is None else f"within {self._seconds:g} s"
            raise TimeoutError(f"not done {limit}") from error

    def rest(self) -> deadline:
        """What is left of this block's time, for what comes after it; cuts only the blocks inside."""
        if self.until_s == inf:
            return deadline(None, cuts=False)
        return deadline(max(0.0, self.until_s - asyncio.get_running_loop().time()), cuts=False)

    def _begin(
        self,
        task: asyncio.Task[object],
        loop: asyncio.AbstractEventLoop,
        outer: deadline | None,
        until_s: float,
        length_s: float | None,
    ) -> None:
        """Limit the block. It is cut off with the others of its length, in their order; without one by a timer of its own."""
        self.is_on = True
        self.until_s = until_s
        self._outer = outer
        _current.set(self)
        if not self._cuts:
            return
        self._task = task
        self._cancelling = task.cancelling()
        self._lane = lane = None if length_s is None else (_lanes_of.get(id(loop)) or _new_lanes(loop))[length_s]
        if lane is None:
            self._timer = loop.call_at(until_s, self._expire, task)
            return
        lane.waiting[self] = task
        if not lane.is_armed:
            lane.arm(until_s, loop)

    def _expire(self, task: asyncio.Task[object]) -> None:
        self.is_expired = True
        task.cancel()


_current: ContextVar[deadline | None] = ContextVar("deadline", default=None)


class _Lane:
    """Deadlines of one length, the oldest first, and the one timer that waits for it."""

    __slots__ = ("is_armed", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[deadline, asyncio.Task[object]] = {}
        self.is_armed = False

    def arm(self, until_s: float, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer. It runs in a context of its own, so that it keeps nothing of the caller's alive."""
        self.is_armed = True
        loop.call_at(until_s, self._fire, loop, context=Context())

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        self.is_armed = False
        expired = []
        for one in self.waiting:
            if one.until_s > now_s:
                self.arm(one.until_s, loop)
                break
            expired.append(one)
        for one in expired:
            one._expire(self.waiting.pop(one))  # noqa: SLF001 - its other half


class _Lanes(dict[float, _Lane]):
    """The lanes of one event loop by their length; None while there are too many: then a timer of one's own is cheaper."""

    def __missing__(self, length_s: float) -> _Lane | None:
        if len(self) >= MAX_LANES and not self._has_made_room():
            return None
        lane = self[length_s] = _Lane()
        return lane

    def _has_made_room(self) -> bool:
        """Give up the first lane if nobody waits in it; else it goes to the end, and the next one is looked at next time."""
        length_s = next(iter(self))
        lane = self.pop(length_s)
        if not lane.is_armed:
            return True
        self[length_s] = lane
        return False


_lanes_of: dict[int, _Lanes] = {}
"""The lanes of each living event loop, by its identity; a loop's own object dictionary is not everywhere."""


def _new_lanes(loop: asyncio.AbstractEventLoop) -> _Lanes:
    lanes = _lanes_of[id(loop)] = _Lanes()
    finalize(loop, _lanes_of.pop, id(loop)).atexit = False
    return lanes


def remaining_s() -> float | None:
    """Seconds (>= 0) until the innermost deadline that this task, or the one that started it, is under; None: there is none."""
    limit = _still_on(_current.get())
    if limit is None:
        return None
    return max(0.0, limit.until_s - asyncio.get_running_loop().time())


def _still_on(limit: deadline | None) -> deadline | None:
    """The innermost whose block has not ended; a task may outlive the block that it was started in."""
    while limit is not None and not limit.is_on:
        limit = limit._outer  # noqa: SLF001 - its own kind
    return limit
