"""The daemon's buffer, one for each sink: batches, and in a share of their own the few events and gaps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from agent.clock import Clock
from agent.contracts import Sampler
from agent.model import Batch, Event, Gap, Record
from agent.resilience.batch_size import batch_bytes
from agent.resilience.bounded import BoundedBuffer
from agent.resilience.buffer_settings import BufferSettings, Overflow
from agent.resilience.ledger import Counts, Dropped, GapLog, Ledger
from agent.resilience.sampler_guard import Newest, SamplerGuard

if TYPE_CHECKING:
    from agent.resilience.store import Store

__all__ = ["BatchBuffer", "BufferSettings", "Overflow", "record_bytes"]

GAP_BYTES = 64
EVENT_BYTES = 160
_GAP_REASON = {overflow.value: "overflow" for overflow in (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST)}


def record_bytes(record: Record) -> int:
    """About how many bytes a record takes in memory and on the wire."""
    if isinstance(record, Batch):
        return batch_bytes(record)
    return EVENT_BYTES if isinstance(record, Event) else GAP_BYTES


class Thins(Protocol):
    """Takes in only a share of what comes; see `agent.resilience.thinning`."""

    @property
    def is_resting(self) -> bool: ...
    def thin(self, batch: Batch, ratio: float, /) -> tuple[Batch, Dropped]: ...


class BatchBuffer:
    """Records between the ticks and one sink. Sans-I/O; lives on the event loop's thread.

    What is dropped is counted by reason and lane, and travels the same road as a `Gap`.

    Attributes:
        keep_ratio: Share of the ordinary points taken in, in (0, 1]; set by the control loop. Critical and anomalous points are
            always taken in; the others are counted as `sampled`.

    Args:
        name: Whose buffer it is, for error texts and metrics.
        settings: See `BufferSettings`.
        sampler: Thins the content out; one that misbehaves is replaced by "the newest" for that call. None: batches have plain
            columns (see `agent.columns`), and of the oldest only the critical points stay.
        clock: Ages are measured on its monotonic side.
        on_put: Called after each record that was taken in, to wake the consumer.
        on_sampler_fault: Called with one sentence when the sampler misbehaves for the first time.
    """

    def __init__(
        self,
        name: str,
        settings: BufferSettings,
        sampler: Sampler | None,
        *,
        clock: Clock,
        on_put: Callable[[], None] | None = None,
        on_sampler_fault: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._on_put = on_put
        self._on_sampler_fault = on_sampler_fault
        self.keep_ratio = 1.0
        store, self._thinning = _plain_parts() if sampler is None else _array_parts()
        self._gaps = GapLog()
        self._events: deque[tuple[float, Event]] = deque()
        self._event_ledger = Ledger()
        self._points = BoundedBuffer(settings, store, self._guard(sampler), clock=clock, on_drop=self._note_drop)

    @property
    def settings(self) -> BufferSettings:
        return self._points.settings

    @property
    def points(self) -> int:
        """Points that wait; those in flight are not among them."""
        return self._points.points

    @property
    def bytes(self) -> int:
        """Bytes of the points that wait."""
        return self._points.bytes

    @property
    def fill_ratio(self) -> float:
        """The larger of points and bytes over their bounds, 0..1."""
        return self._points.fill_ratio

    @property
    def oldest_age_s(self) -> float:
        """Seconds that the oldest waiting batch has waited; 0 when none waits."""
        oldest_s = self._points.oldest_s
        return 0.0 if oldest_s is None else max(0.0, self._clock.monotonic_s() - oldest_s)

    @property
    def oldest_put_s(self) -> float | None:
        """Monotonic seconds at which the oldest waiting batch or event was taken in; None when none waits."""
        waiting = [self._points.oldest_s, self._events[0][0] if self._events else None]
        return min((moment_s for moment_s in waiting if moment_s is not None), default=None)

    @property
    def sampled_count(self) -> int:
        """How often the sampler was called."""
        return self._points.guard.call_count

    @property
    def sampler_fault_count(self) -> int:
        """How often the sampler misbehaved."""
        return self._points.guard.fault_count

    def counts(self) -> Counts:
        """The balance of this moment, in points."""
        return self._points.counts()

    def event_counts(self) -> Counts:
        """The balance of this moment, in events."""
        return self._event_ledger.counts()

    def configure(self, settings: BufferSettings, sampler: Sampler | None) -> None:
        """Go on with other settings and another sampler, keeping what is buffered (a reload)."""
        self._points.configure(settings, self._guard(sampler))
        self._bound_events()

    def put(self, record: Record) -> bool:
        """Take a record in; never raises for want of room. Amortised O(1).

        Returns:
            False when it was turned away: the buffer is closed, or full under `REJECT` or `DROP_NEWEST`.
        """
        if isinstance(record, Batch):
            is_taken = self._put_batch(record)
        elif isinstance(record, Event):
            is_taken = self._put_event(record)
        else:
            is_taken = not self._points.is_closed
            if is_taken:
                self._gaps.add(record)
        if is_taken and self._on_put is not None:
            self._on_put()
        return is_taken

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """The oldest records, pending gaps first; they are in flight until settled.

        Args:
            max_records: At most so many, >= 0.
            max_bytes: At most so many bytes by `record_bytes`, except that one batch or event is given whatever its size.
        """
        self._points.expire()
        taken: list[Record] = list(self._gaps.take(max_records))
        free_bytes = max_bytes - len(taken) * GAP_BYTES
        while len(taken) < max_records and (free_bytes > 0 or not taken):
            event_s = self._events[0][0] if self._events else float("inf")
            batches = self._points.take(max_records - len(taken), free_bytes, until_s=event_s, must_give=not taken)
            taken += batches
            free_bytes -= sum(map(batch_bytes, batches))
            oldest_s = self._points.oldest_s
            if not self._events or (oldest_s is not None and oldest_s <= event_s) or len(taken) >= max_records:
                break
            taken.append(self._take_event())
            free_bytes -= EVENT_BYTES
        return taken

    def commit(self, taken: Sequence[Record]) -> None:
        """Count what was taken as delivered.

        Raises:
            ValueError: More is settled than is in flight.
        """
        self._points.commit(_batches(taken))
        self._event_ledger.commit(len(_events(taken)))

    def put_back(self, taken: Sequence[Record]) -> None:
        """Return what was taken to the front. Newer data is not evicted for it unless the sampler prefers the old."""
        now_s, events = self._clock.monotonic_s(), _events(taken)
        batches = _batches(taken)
        self._points.put_back(batches)
        self._event_ledger.put_back(len(events))
        stamp_s = batches[0].monotonic_s if batches else min([now_s, *(s for s, _ in self._events)])
        self._events.extendleft((stamp_s, event) for event in reversed(events))
        self._bound_events()
        for record in taken:
            if isinstance(record, Gap):
                self._gaps.add(record)

    def discard(self, taken: Sequence[Record], reason: str) -> None:
        """Drop what was taken; its gaps are kept for a later try, unless the reason is `refused`."""
        self._points.discard(_batches(taken), reason)
        self._event_ledger.discard(Dropped(len(_events(taken))), reason)
        if reason != "refused":
            for record in taken:
                if isinstance(record, Gap):
                    self._gaps.add(record)

    def drop_all(self, reason: str) -> None:
        """Drop everything that waits; the gap that says so stays to be taken."""
        self._points.drop_all(reason)
        self._event_ledger.drop(Dropped(len(self._events)), reason)
        self._events.clear()

    def close(self, reason: str = "shutdown") -> None:
        """Drop what waits and take nothing more in; what is in flight may still be settled. Safe twice."""
        self.drop_all(reason)
        self._points.close(reason)

    def _guard(self, sampler: Sampler | None) -> SamplerGuard:
        return SamplerGuard(sampler if sampler is not None else Newest(), self._on_sampler_fault)

    def _put_batch(self, batch: Batch) -> bool:
        if self.keep_ratio < 1.0 or not self._thinning.is_resting:
            batch, thinned = self._thinning.thin(batch, self.keep_ratio)
            self._points.count_thinned(thinned)
        return batch.points == 0 or self._points.put(batch)

    def _put_event(self, event: Event) -> bool:
        if self._points.is_closed:
            self._event_ledger.rejected += 1
            return False
        self._event_ledger.accept(1)
        self._events.append((self._clock.monotonic_s(), event))
        self._bound_events()
        return True

    def _take_event(self) -> Event:
        self._event_ledger.take(1)
        return self._events.popleft()[1]

    def _bound_events(self) -> None:
        while len(self._events) > self.settings.max_events:
            self._events.popleft()
            self._event_ledger.drop(Dropped(1), "overflow")

    def _note_drop(self, dropped: Dropped, reason: str) -> None:
        reason = _GAP_REASON.get(reason, reason)
        self._gaps.add(Gap(dropped.from_ns, dropped.to_ns, dropped.points, reason, dropped.by_lane))


def _array_parts() -> tuple[Store[Batch], Thins]:
    from agent.resilience.batch_store import BatchStore
    from agent.resilience.thinning import Thinning

    return BatchStore(), Thinning()


def _plain_parts() -> tuple[Store[Batch], Thins]:
    from agent.resilience.plain_store import PlainStore
    from agent.resilience.plain_thinning import PlainThinning

    return PlainStore(), PlainThinning()


def _batches(records: Sequence[Record]) -> list[Batch]:
    return [record for record in records if isinstance(record, Batch)]


def _events(records: Sequence[Record]) -> list[Event]:
    return [record for record in records if isinstance(record, Event)]
