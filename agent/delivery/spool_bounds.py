"""Keeps a spool within its bytes and its age: the oldest of the lowest lane goes first, counted and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from agent.delivery.spool_codec import critical_part, gap_payload, lanes_of
from agent.delivery.spool_file import SpoolFile
from agent.delivery.spool_frame import Frame, Lane, unpack
from agent.model import Gap

__all__ = ["LaneCounts", "SpoolBounds", "keep_within"]

LaneCounts = Counter[tuple[str, str]]
"""Points by reason and lane."""

ROOM_RATIO = 63 / 64
"""Where dropping stops, so that the next write need not drop again."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SpoolBounds:
    """How much a spool may hold.

    Attributes:
        max_bytes: Bytes of its records, >= 1.
        max_age_s: What is older, by the wall clock, is dropped; > 0.
    """

    max_bytes: int = 268_435_456
    max_age_s: float = 604_800.0


def keep_within(file: SpoolFile, bounds: SpoolBounds, now_ns: int, run: str, held: AbstractSet[int]) -> LaneCounts:
    """Drop what is too old or too much; of a batch that has to go, its critical points stay as long as there is room.

    Args:
        now_ns: Wall clock.
        run: Epoch of this run; the gap that tells of the drops is its own.
        held: Ids that are being delivered; they stay.

    Returns:
        Points dropped, by reason and lane.
    """
    dropped: LaneCounts = Counter()
    before_ns = now_ns - int(bounds.max_age_s * 1e9)
    oldest_ns = file.oldest_wall_ns(held)
    if oldest_ns is not None and not before_ns <= oldest_ns <= now_ns:
        for lane in (Lane.ORDINARY, Lane.CRITICAL):
            while _drop_some(file, lane, before_ns, held=held, run=run, dropped=dropped):
                pass
    if file.totals.bytes <= bounds.max_bytes:
        return dropped
    target = bounds.max_bytes * ROOM_RATIO
    for lane in (Lane.ORDINARY, Lane.CRITICAL):
        while file.totals.bytes > target and _drop_some(file, lane, None, held=held, run=run, dropped=dropped):
            pass
    return dropped


def _drop_some(
    file: SpoolFile, lane: int, before_ns: int | None, *, held: AbstractSet[int], run: str, dropped: LaneCounts
) -> int:
    """Drop a few of the oldest; how many went."""
    rows = [row for row in file.oldest(lane, held, _AT_ONCE) if before_ns is None or row[2] < before_ns]
    if not rows:
        return 0
    reason = "overflow" if before_ns is None else "expired"
    frames = [frame for row in rows if (frame := unpack(row[3])) is not None]
    kept = [part for frame in frames if (part := critical_part(frame)) is not None] if lane == Lane.ORDINARY else []
    if before_ns is not None:
        kept = []
    points = sum(row[1] for row in rows) - sum(frame.points for frame in kept)
    if points:
        lanes = _lanes(frames, kept)
        dropped.update({(reason, lane): count for lane, count in lanes.items()})
        if unreadable := points - lanes.total():
            dropped[reason, "unknown"] += unreadable
        times = [row[2] for row in rows]
        payload = gap_payload(Gap(min(times), max(times), points, reason, lanes))
        kept.append(Frame(file.last_id + 1, max(times), 0, Lane.CRITICAL, run, payload))
    file.drop([row[0] for row in rows], lane, kept)
    return len(rows)


def _lanes(frames: Sequence[Frame], kept: Sequence[Frame]) -> Counter[str]:
    """How many points go in each lane with these frames, when those are kept of them; without the frames that cannot be read."""
    lanes: Counter[str] = Counter()
    for frame in frames:
        lanes.update(lanes_of(frame))
    for frame in kept:
        lanes.subtract(lanes_of(frame))
    return +lanes
