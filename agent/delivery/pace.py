"""How fast a backlog may follow beside the live data: a bucket of points, filled by time at a multiple of the live rate."""

from __future__ import annotations

from agent.clock import Clock

__all__ = ["Pace"]

FLOOR_POINTS_HZ = 50.0
"""Live rate that is assumed at least, so that a backlog also drains where little or nothing is collected."""
MAX_GROUP_S = 0.25
"""What one group of the backlog may take on its way: live data wait behind it no longer."""
_FIRST_GROUP_COUNT = 8
"""Nobody knows yet how fast the other end is, and live data that wait too long behind a large group join the backlog."""
_RATE_WINDOW_S = 1.0
_BURST_S = 1.0
_WORTHWHILE_S = 0.25


class Pace:
    """Says when the next group of the backlog may go, and how large it may be.

    Args:
        clock: Monotonic time.
        max_group_count: Records in a group at most, >= 1.

    Attributes:
        ratio: Points of the backlog for each live point, > 0; 0 = as fast as the other end takes them.
        group_count: Records that the next group may have, >= 1; few at first, halved when one took longer than `MAX_GROUP_S`,
            else doubled.
    """

    def __init__(self, clock: Clock, *, ratio: float = 0.0, max_group_count: int = 1024) -> None:
        self.ratio = ratio
        self.group_count = min(_FIRST_GROUP_COUNT, max_group_count)
        self._max_group_count = max_group_count
        self._clock = clock
        self._live_points = 0
        self._live_hz = FLOOR_POINTS_HZ
        self._window_s = self._filled_s = clock.monotonic_s()
        self._allowed_points = 0.0

    @property
    def may_send(self) -> bool:
        """True when a group of the backlog may go now."""
        if not self.ratio:
            return True
        self._fill()
        return self._allowed_points >= self._limit_hz * _WORTHWHILE_S

    @property
    def allowed_points(self) -> float:
        """Points that the next group may have; its first record goes whatever its size."""
        return self._allowed_points if self.ratio else float("inf")

    def note_live(self, points: int) -> None:
        """Live points came in."""
        self._live_points += max(1, points)
        elapsed_s = self._clock.monotonic_s() - self._window_s
        if elapsed_s >= _RATE_WINDOW_S:
            self._fill()
            self._live_hz = max(FLOOR_POINTS_HZ, self._live_points / elapsed_s)
            self._window_s += elapsed_s
            self._live_points = 0

    def spend(self, points: int) -> None:
        """A group of the backlog goes."""
        self._allowed_points -= points

    def note_duration(self, seconds: float, count: int) -> None:
        """A group of so many records of the backlog arrived, so long after it went; a smaller one than allowed proves nothing."""
        if seconds > MAX_GROUP_S:
            self.group_count = max(1, count // 2)
        elif count >= self.group_count:
            self.group_count = min(count * 2, self._max_group_count)

    @property
    def _limit_hz(self) -> float:
        return self.ratio * self._live_hz

    def _fill(self) -> None:
        now_s = self._clock.monotonic_s()
        gained = max(0.0, now_s - self._filled_s) * self._limit_hz
        self._allowed_points = min(self._allowed_points + gained, self._limit_hz * _BURST_S)
        self._filled_s = now_s
