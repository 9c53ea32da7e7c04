"""What waits for one sink: the buffer in memory, the spool on disk behind it, and the group in hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.clock import Clock
from agent.delivery.pace import Pace
from agent.delivery.saved import MAX_BYTES, MAX_COUNT, Saved
from agent.delivery.spool import Spool, Spooled
from agent.model import Batch, Record
from agent.resilience.buffer import BatchBuffer
from agent.resilience.ledger import Counts

__all__ = ["Group", "Outbox"]

_SPILL_BYTES = 4_194_304
_SPILL_COUNT = 4096
_MAX_NUMBERED_COUNT = 1024


@dataclass(frozen=True, slots=True)
class Group:
    """Records on their way; `records[i]` has sequence number `first_seq + i`, also when sent again.

    Attributes:
        epoch: The earlier run that numbered them; "" = this one.
        ids: Their ids in the spool; () = they are in memory alone.
        was_read: True when they came out of the spool, False when they came straight from the buffer.
        since_s: Monotonic seconds of the oldest of them; of what came out of the spool, when it was taken.
    """

    records: Sequence[Record]
    first_seq: int
    epoch: str = ""
    ids: tuple[int, ...] = ()
    was_read: bool = False
    since_s: float = 0.0


class Outbox:
    """Gives groups, live ones first, and keeps the balance of what became of every point.

    While the sink keeps up, groups come straight from the buffer and nothing touches the disk. What has waited for the spool's
    `commit_s`, the group in hand included, is written there. About a group of that stays live; the rest, and all that
    waits while deliveries fail, is the backlog. A backlog goes in its own order, paced, when nothing live waits, so
    that live data wait behind one small group of it at most. Where `is_live_first` is off, everything goes in the order of its
    collection: nothing live goes before the backlog is gone.

    Args:
        buffer: Where records arrive.
        spool: Where they go when they must wait; None = nowhere.
        clock: Ages are measured on its monotonic side.
        epoch: This run.

    Attributes:
        hand: The group that is being delivered.
        is_failing: True from the second failed delivery in a row until one succeeds; one alone may be a link that broke.
        is_finishing: True when no more live data come: a backlog goes as fast as the sink takes it.
        is_closed: True from `close` on.
        pace: How fast it goes otherwise.
    """

    def __init__(self, buffer: BatchBuffer, spool: Spool | None, clock: Clock, epoch: str) -> None:
        self.buffer = buffer
        self.spool = spool
        self.hand: Group | None = None
        self.is_failing = False
        self.is_finishing = False
        self.is_closed = False
        self.pace = Pace(clock, max_group_count=_MAX_NUMBERED_COUNT)
        self._clock = clock
        self._epoch = epoch
        self._next_seq = 1
        self._spilled_points = 0
        self._saved = Saved()
        self._ahead: list[Spooled] = []
        self._moving = asyncio.Lock()

    @property
    def is_empty(self) -> bool:
        """True when nothing waits, the group in hand apart."""
        is_live = bool(self._saved) or self.buffer.counts().buffered > 0
        return not is_live and (self.spool is None or not self.spool.is_open or self.spool.records <= 0)

    def counts(self) -> Counts:
        """The balance of this moment, in points."""
        counts, spool = self.buffer.counts(), self.spool
        if spool is None:
            return counts
        dropped, by_lane = Counter(counts.dropped), Counter(counts.dropped_by_lane)
        by_lane.update(spool.dropped)
        for (reason, _lane), points in spool.dropped.items():
            dropped[reason] += points
        return replace(
            counts,
            accepted=counts.accepted + spool.recovered,
            delivered=counts.delivered - self._spilled_points + spool.delivered,
            dropped=dropped,
            dropped_by_lane=by_lane,
            spooled=spool.points,
            in_flight=counts.in_flight + spool.in_flight,
        )

    async def take(self, max_count: int, max_bytes: int) -> Group | None:
        """The next group, which is then in hand until it is settled; None when nothing waits."""
        if self.hand is not None:
            return self.hand
        async with self._moving:
            spool = self.spool
            if spool is None or spool.settings.is_live_first or not await self._has_backlog(spool):
                self.hand = await self._take_fresh(max_count, max_bytes)
            if self.hand is None and spool is not None and await self._has_backlog(spool) and self._may_follow(spool):
                self.hand = await self._take_spooled(spool, min(max_count, self.pace.group_count), max_bytes)
        return self.hand

    async def _has_backlog(self, spool: Spool) -> bool:
        return await spool.open() and bool(self._ahead or spool.records > 0)

    def _may_follow(self, spool: Spool) -> bool:
        self.pace.ratio = 0.0 if self.is_finishing else spool.settings.drain_ratio
        return self.pace.may_send

    def settle(self, group: Group) -> None:
        """Count the group in hand as delivered."""
        self.hand = None
        if group.was_read:
            self.pace.note_duration(self._clock.monotonic_s() - group.since_s, len(group.records))
        if self.spool is not None and group.ids:
            self.spool.settle(group.ids, _points(group.records) if group.was_read else 0)
        if not group.was_read:
            self.buffer.commit(group.records)

    def discard(self, group: Group, reason: str) -> None:
        """Count the group in hand as dropped."""
        self.hand = None
        if self.spool is not None and group.ids:
            self.spool.discard(group.ids, group.records if group.was_read else (), reason)
        if not group.was_read:
            self.buffer.discard(group.records, reason)

    async def keep_safe_for_ever(self) -> None:
        """Look for what has waited too long in memory and write it to the spool: twice in every `commit_s` while something waits.

        Otherwise once: what comes after that look is just as old at the next one as it may become.
        """
        if self.spool is None:
            return
        oldest_s: float | None = None
        while True:
            period_s = self.spool.settings.commit_s / 2
            await asyncio.sleep(period_s if oldest_s is not None else 2 * period_s)
            oldest_s = self._oldest_s()
            if oldest_s is not None and self._clock.monotonic_s() - oldest_s >= period_s:
                await self.spill()
            elif self.spool.is_open and self.hand is None:
                async with self._moving:
                    await self.spool.forget_settled()

    async def spill(self) -> bool:
        """Write what is in memory alone to the spool; False when that is impossible now."""
        spool = self.spool
        if spool is None:
            return False
        async with self._moving:
            if not await self._is_writable(spool) or not await self._spill_hand(spool):
                return False
            while taken := self._take_to_write(spool):
                if not await self._write(spool, *taken):
                    return False
        return True

    async def close(self) -> None:
        """Leave what is not delivered in the spool, or without one count it as dropped at shutdown; take nothing more in.

        Safe twice.
        """
        if self.is_closed:
            return
        self.is_closed = True
        await self.spill()
        hand, spool = self.hand, self.spool
        if hand is not None and spool is not None and hand.ids:
            self._let_go(spool, hand.records, hand.ids, was_read=hand.was_read)
        elif hand is not None:
            self.buffer.discard(hand.records, "shutdown")
        self.hand = None
        self.buffer.close("shutdown")
        if spool is not None:
            while self._saved:
                self._let_go(spool, *self._saved.take(MAX_COUNT, MAX_BYTES), was_read=False)
            for one in self._ahead:
                spool.let_go([one.id], _points([one.record]), was_read=True)
            self._ahead.clear()
            await spool.close()

    def _let_go(self, spool: Spool, records: Sequence[Record], ids: Sequence[int], *, was_read: bool) -> None:
        """Leave records that are in memory too on disk alone."""
        spool.let_go(ids, _points(records), was_read=was_read)
        if not was_read:
            self.buffer.commit(records)
            self._spilled_points += _points(records)

    def _oldest_s(self) -> float | None:
        """When the oldest record that is in memory alone was taken in; None when there is none."""
        waiting_s = self.buffer.oldest_put_s
        if self.hand is not None and not self.hand.ids:
            return min(self.hand.since_s, waiting_s if waiting_s is not None else self.hand.since_s)
        return waiting_s

    async def _take_fresh(self, max_count: int, max_bytes: int) -> Group | None:
        if self._saved and self.spool is not None:
            records, ids = self._saved.take(max_count, max_bytes)
            return await self._numbered(self.spool, records, ids, was_read=False)
        since_s = self.buffer.oldest_put_s
        records = self.buffer.take(max_count, max_bytes)
        if not records:
            return None
        now_s = self._clock.monotonic_s()
        self.hand = Group(records, self._next_seq, since_s=now_s if since_s is None else since_s)
        self._next_seq += len(records)
        spool = self.spool
        if spool is not None and spool.settings.before_sending and await self._is_writable(spool):
            await self._spill_hand(spool)
        return self.hand

    async def _is_writable(self, spool: Spool) -> bool:
        return spool.settings.is_enabled and spool.may_be_tried and await spool.open(may_make=True)

    async def _take_spooled(self, spool: Spool, max_count: int, max_bytes: int) -> Group | None:
        if not self._ahead:
            self._ahead = await spool.read(max_count, max_bytes)
        if not self._ahead:
            await spool.forget_settled()
            return None
        taken = self._alike(max_count)
        first = taken[0]
        records, ids = [one.record for one in taken], tuple(one.id for one in taken)
        self.pace.spend(_points(records))
        if first.seq:
            epoch = "" if first.epoch == self._epoch else first.epoch
            group = Group(records, first.seq, epoch, ids, was_read=True, since_s=self._clock.monotonic_s())
        else:
            group = await self._numbered(spool, records, ids, was_read=True)
        del self._ahead[: len(taken)]
        return group

    async def _numbered(
        self, spool: Spool, records: Sequence[Record], ids: tuple[int, ...], *, was_read: bool
    ) -> Group:
        """A group of records on disk, whose numbers are noted there first."""
        since_s, first_seq = self._clock.monotonic_s(), self._next_seq
        await spool.number(ids, self._epoch, first_seq)
        self._next_seq += len(records)
        return Group(records, first_seq, "", ids, was_read=was_read, since_s=since_s)

    def _alike(self, max_count: int) -> list[Spooled]:
        """The first records that can go in one group: none numbered yet, or numbered in a row by the same run."""
        first, count, points = self._ahead[0], 0, 0
        for one in self._ahead[:max_count]:
            if one.epoch != first.epoch or one.seq != (first.seq + count if first.seq else 0):
                break
            points += _points([one.record])
            if count and points > self.pace.allowed_points:
                break
            count += 1
        return self._ahead[:count]

    def _take_to_write(self, spool: Spool) -> tuple[list[Record], bool] | None:
        """The oldest of the buffer, and whether they stay live; those that come while others are written do so too."""
        stay_live = not self.is_failing and spool.settings.is_live_first and self._saved.free_count > 0
        free = (self._saved.free_count, self._saved.free_bytes) if stay_live else (_SPILL_COUNT, _SPILL_BYTES)
        records = self.buffer.take(*free)
        return (records, stay_live) if records else None

    async def _write(self, spool: Spool, records: list[Record], stay_live: bool) -> bool:
        """Write them to disk; those that stay live are on their way from now on. False when the disk refused."""
        ids = await spool.append(records, held_count=len(records) if stay_live else 0)
        if ids is None:
            self.buffer.put_back(records)
            return False
        if stay_live:
            self._saved.add(records, ids)
        else:
            self.buffer.commit(records)
            self._spilled_points += _points(records)
        return True

    async def _spill_hand(self, spool: Spool) -> bool:
        """Write the group in hand under the numbers it is sent under; True when it is on disk."""
        hand = self.hand
        if hand is None or hand.ids:
            return True
        ids = await spool.append(hand.records, self._epoch, hand.first_seq, len(hand.records))
        if ids is None:
            return False
        if self.hand is hand:
            self.hand = replace(hand, ids=tuple(ids))
        else:
            spool.settle(ids, 0)
        return True


def _points(records: Sequence[Record]) -> int:
    return sum(one.points for one in records if isinstance(one, Batch))
