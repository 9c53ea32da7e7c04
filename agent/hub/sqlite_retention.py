"""What the embedded store lets go of, and which part takes new chunks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from agent.hub.sqlite_parts import Part, PartKind, Parts
from agent.hub.store import Limits

__all__ = ["current_part", "expire", "let_go"]

_EXPIRE_ROWS = 500
_SHARE = 8
_ROLLUP_SHARE = 0.25
_MIN_PART_S = 600.0
_MAX_PART_S = {PartKind.POINTS: 86_400.0, PartKind.ROLLUPS: 2_592_000.0}


def current_part(parts: Parts, kind: PartKind, now_ns: int, limits: Limits) -> Part:
    """The part that takes new chunks, an eighth of what is kept."""
    _, max_age_s = _kept_s(kind, limits)
    return parts.current(kind, now_ns, max_age_s=max_age_s, max_bytes=limits.max_bytes // _SHARE)


def expire(main: sqlite3.Connection, before_ns: int) -> Iterator[int]:
    """Delete batches and events that came before that time, some at a time; how many.

    Rows stand in the order in which they came: no index is needed.
    """
    deleted = _EXPIRE_ROWS
    while deleted >= _EXPIRE_ROWS:
        deleted = 0
        for table in ("batch", "event"):
            oldest = f"SELECT id, received_ns FROM {table} ORDER BY id LIMIT {_EXPIRE_ROWS}"  # noqa: S608 - names from above
            doomed = f"SELECT id FROM ({oldest}) WHERE received_ns < ?"  # noqa: S608
            deleted += main.execute(f"DELETE FROM {table} WHERE id IN ({doomed})", (before_ns,)).rowcount  # noqa: S608
        main.execute(f"PRAGMA incremental_vacuum({_EXPIRE_ROWS})").fetchall()
        yield deleted


def let_go(parts: Parts, now_ns: int, limits: Limits) -> int:
    """Remove parts that are too old, then the oldest while together they are too large; never one that takes new chunks."""
    removed = 0
    for kind in PartKind:
        kept_ns, max_age_ns = (round(seconds * 1e9) for seconds in _kept_s(kind, limits))
        of_kind = parts.of(kind)
        for index, part in enumerate(of_kind):
            closed_ns = of_kind[index + 1].opened_ns if index + 1 < len(of_kind) else part.opened_ns + max_age_ns
            if closed_ns < now_ns - kept_ns:
                parts.remove(part)
                removed += 1
    return removed + _let_go_of_too_much(parts, limits.max_bytes)


def _let_go_of_too_much(parts: Parts, max_bytes: int) -> int:
    """Remove the oldest parts while there are too many bytes: of roll-ups where these take more than their share of them."""
    removed = 0
    while max_bytes:
        rollup_bytes = parts.size_bytes(PartKind.ROLLUPS)
        if parts.size_bytes(PartKind.POINTS) + rollup_bytes <= max_bytes:
            break
        closed = {kind: parts.of(kind)[:-1] for kind in PartKind}
        are_rollups_too_large = rollup_bytes > max_bytes * _ROLLUP_SHARE
        order = (PartKind.ROLLUPS, PartKind.POINTS) if are_rollups_too_large else (PartKind.POINTS, PartKind.ROLLUPS)
        oldest = next((closed[kind][0] for kind in order if closed[kind]), None)
        if oldest is None:
            break
        parts.remove(oldest)
        removed += 1
    return removed


def _kept_s(kind: PartKind, limits: Limits) -> tuple[float, float]:
    """For how long a part is kept after it took its last chunk, and for how long it takes them."""
    kept_s = limits.points_s if kind is PartKind.POINTS else limits.rollups_s
    return kept_s, min(max(kept_s / _SHARE, _MIN_PART_S), _MAX_PART_S[kind])
