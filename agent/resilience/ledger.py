"""What went in, what came out, and why the rest did not: the counts of one buffer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.model import Gap

__all__ = ["Counts", "Dropped", "GapLog", "Ledger", "reasons_by_lane"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Points that were just dropped.

    Attributes:
        points: How many, >= 0.
        from_ns, to_ns: Wall clock of the oldest and the newest of them, UTC nanoseconds; 0 when unknown.
        critical, bulk: How many of them were in these lanes.
        others: How many were in lanes of other names (the library's priorities); all that is left was in the normal one.
    """

    points: int = 0
    from_ns: int = 0
    to_ns: int = 0
    critical: int = 0
    bulk: int = 0
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def by_lane(self) -> dict[str, int]:
        """How many were in each lane that lost any."""
        normal = self.points - self.critical - self.bulk - sum(self.others.values())
        lanes = {"critical": self.critical, "normal": normal, "bulk": self.bulk, **self.others}
        return {lane: points for lane, points in lanes.items() if points}

    def __add__(self, other: Dropped) -> Dropped:
        if not self.points or not other.points:
            return self if self.points else other
        return Dropped(
            self.points + other.points,
            min(self.from_ns, other.from_ns),
            max(self.to_ns, other.to_ns),
            self.critical + other.critical,
            self.bulk + other.bulk,
            Counter(self.others) + Counter(other.others),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """One moment's balance, in points: `accepted == delivered + sum(dropped) + buffered + spooled + in_flight`.

    Attributes:
        accepted: Taken in since the start.
        delivered: Taken out and committed.
        dropped: Reason -> points dropped after they had been accepted.
        buffered: Waiting now.
        in_flight: Taken out, and neither committed, put back nor discarded yet.
        spooled: Waiting on disk; points that an earlier run left there count as accepted.
        dropped_by_lane: (reason, lane) -> points of `dropped`; lanes `critical`, `normal`, `bulk`; `unknown` for points on disk
            that nobody could read any more; of the library's items also their priority as a number.
        rejected: Never accepted (the buffer was closed, or full under `Overflow.REJECT`); outside the balance.
    """

    accepted: int
    delivered: int
    dropped: Mapping[str, int]
    buffered: int
    in_flight: int
    rejected: int
    spooled: int = 0
    dropped_by_lane: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def dropped_points(self) -> int:
        return sum(self.dropped.values())

    @property
    def is_balanced(self) -> bool:
        return self.accepted == self.delivered + self.dropped_points + self.buffered + self.spooled + self.in_flight


def reasons_by_lane(dropped_by_lane: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """`Counts.dropped_by_lane` as lane -> reason -> points, for JSON."""
    lanes: dict[str, dict[str, int]] = {}
    for (reason, lane), points in dropped_by_lane.items():
        lanes.setdefault(lane, {})[reason] = points
    return lanes


class Ledger:
    """Counts points as they come, wait, leave and are dropped; every change keeps `Counts`' balance."""

    __slots__ = ("_dropped", "_special", "accepted", "buffered", "delivered", "in_flight", "rejected")

    def __init__(self) -> None:
        self.accepted = 0
        self.delivered = 0
        self.buffered = 0
        self.in_flight = 0
        self.rejected = 0
        self._dropped: dict[str, int] = {}
        self._special: dict[tuple[str, str], int] = {}

    def accept(self, points: int) -> None:
        self.accepted += points
        self.buffered += points

    def take(self, points: int) -> None:
        self.buffered -= points
        self.in_flight += points

    def commit(self, points: int) -> None:
        self._land(points)
        self.delivered += points

    def put_back(self, points: int) -> None:
        self._land(points)
        self.buffered += points

    def drop(self, dropped: Dropped, reason: str) -> None:
        """Count buffered points as dropped."""
        if not dropped.points:
            return
        self.buffered -= dropped.points
        self._dropped[reason] = self._dropped.get(reason, 0) + dropped.points
        for lane, points in (("critical", dropped.critical), ("bulk", dropped.bulk), *dropped.others.items()):
            if points:
                self._special[reason, lane] = self._special.get((reason, lane), 0) + points

    def discard(self, dropped: Dropped, reason: str) -> None:
        """Count points in flight as dropped."""
        self._land(dropped.points)
        self.buffered += dropped.points
        self.drop(dropped, reason)

    def counts(self) -> Counts:
        return Counts(
            self.accepted,
            self.delivered,
            dict(self._dropped),
            self.buffered,
            self.in_flight,
            self.rejected,
            dropped_by_lane=self._by_lane(),
        )

    def _by_lane(self) -> dict[tuple[str, str], int]:
        lanes = {(reason, "normal"): points for reason, points in self._dropped.items()}
        for (reason, lane), points in self._special.items():
            lanes[reason, "normal"] -= points
            lanes[reason, lane] = points
        return {lane: points for lane, points in lanes.items() if points}

    def _land(self, points: int) -> None:
        if points > self.in_flight:
            raise ValueError(
                f"{points} points settled, but only {self.in_flight} are in flight; settle what was taken, once"
            )
        self.in_flight -= points


class GapLog:
    """Gaps that wait to be sent: at most one a reason, widened until it is taken."""

    def __init__(self) -> None:
        self._pending: dict[str, Gap] = {}

    def add(self, gap: Gap) -> None:
        """Merge a gap into the pending one of its reason."""
        known = self._pending.get(gap.reason)
        if known is not None:
            gap = Gap(
                min(known.from_ns, gap.from_ns),
                max(known.to_ns, gap.to_ns),
                known.points + gap.points,
                gap.reason,
                Counter(known.lanes) + Counter(gap.lanes),
            )
        self._pending[gap.reason] = gap

    def take(self, max_count: int) -> list[Gap]:
        """At most `max_count` pending gaps, which are pending no more."""
        return [self._pending.pop(reason) for reason in list(self._pending)[:max_count]]
