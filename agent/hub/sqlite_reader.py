"""Queries of the embedded store, on a connection of their own: they see what is durable and never wait for the writer."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

from agent.hub.sqlite_schema import open_for_reading
from agent.hub.store import AgentRow, EventRow, Points, SeriesRow, TooManyPoints

__all__ = ["SqliteReader"]

_AGENT_COLUMNS = (
    "id, name, labels, version, epoch, last_seq, last_seen_ns, last_time_ns, series_count,"
    " points_total, batches_total, duplicates_total, gap_points_total"
)
_VALUE = struct.Struct("<d")


class SqliteReader:
    """`StoreReader` of the file that a `SqliteStore` writes."""

    def __init__(self, path: Path) -> None:
        self._connection = open_for_reading(path)

    def agents(self) -> list[AgentRow]:
        """See `StoreReader.agents`."""
        rows = self._connection.execute(f"SELECT {_AGENT_COLUMNS} FROM agent ORDER BY name")  # noqa: S608 - a constant
        return [AgentRow(agent_id, name, json.loads(labels), *rest) for agent_id, name, labels, *rest in rows]

    def series(self, agent_id: int, name: str = "") -> list[SeriesRow]:
        """See `StoreReader.series`."""
        rows = self._connection.execute(
            "SELECT id, text, name, labels, unit, kind FROM series WHERE agent_id = ?1 AND (?2 = '' OR name = ?2) ORDER BY text",
            (agent_id, name),
        )
        return [SeriesRow(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5]) for row in rows]

    def points(
        self, agent_id: int, series_ids: Sequence[int], from_ns: int, to_ns: int, limit: int
    ) -> dict[int, Points]:
        """See `StoreReader.points`."""
        found = {series_id: Points([], []) for series_id in series_ids}
        places = _Places(series_ids)
        count = 0
        rows = self._connection.execute(
            "SELECT time_ns, ids, points FROM batch WHERE agent_id = ? AND time_ns BETWEEN ? AND ? ORDER BY time_ns",
            (agent_id, from_ns, to_ns),
        )
        for time_ns, ids, values in rows:
            wanted = places.of(ids)
            count += len(wanted)
            if count > limit:
                raise TooManyPoints(f"more than {limit} points; ask for less time or fewer series")
            for series_id, offset in wanted:
                points = found[series_id]
                points.times_ns.append(time_ns)
                points.values.append(_VALUE.unpack_from(values, offset)[0])
        return found

    def events(self, agent_id: int | None, from_ns: int, to_ns: int, limit: int) -> list[EventRow]:
        """See `StoreReader.events`."""
        rows = self._connection.execute(
            "SELECT time_ns, agent.name, kind, component, level, detail FROM event JOIN agent ON agent.id = agent_id"
            " WHERE time_ns BETWEEN ?1 AND ?2 AND (?3 IS NULL OR agent_id = ?3) ORDER BY time_ns DESC, event.id DESC LIMIT ?4",
            (from_ns, to_ns, agent_id, limit),
        ).fetchall()
        return [EventRow(*row) for row in reversed(rows)]

    def close(self) -> None:
        """See `StoreReader.close`; safe twice."""
        self._connection.close()


class _Places:
    """Where in a batch's values the wanted series stand. Most batches of an agent share one layout, so the last is kept."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self._wanted = wanted
        self._layout = b""
        self._places: list[tuple[int, int]] = []

    def of(self, ids: bytes) -> list[tuple[int, int]]:
        """Pairs of series id and byte offset."""
        if ids != self._layout:
            place = {series_id: index * 8 for index, series_id in enumerate(struct.unpack(f"<{len(ids) // 4}I", ids))}
            self._places = [(series_id, place[series_id]) for series_id in self._wanted if series_id in place]
            self._layout = ids
        return self._places
