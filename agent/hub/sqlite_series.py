"""The store's ids of series: found for many at once, since a fleet that reconnects defines all of its series anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import lru_cache

from agent.hub.records import SeriesWrite

__all__ = ["define_series", "json_text"]

_AT_ONCE = 64
"""Of one size, so that two statements are prepared once and do for all; what is missing to it is NULL."""
_SHARED_LABELS_COUNT = 16_384

_ASKED = f"""
WITH asked (place, name, labels, unit, kind, text) AS (VALUES {",".join(f"({place},?,?,?,?,?)" for place in range(_AT_ONCE))})
"""
_FIND = f"""{_ASKED}
SELECT json_group_object(place, id), count(*) FILTER (WHERE series.unit = asked.unit AND series.kind = asked.kind)
    FROM asked CROSS JOIN series USING (name, labels) WHERE agent_id = ?
"""  # noqa: S608 - made of constants
_WRITE = f"""{_ASKED}
INSERT INTO series (agent_id, name, labels, unit, kind, text)
    SELECT ?, name, labels, unit, kind, text FROM asked WHERE name IS NOT NULL
    ON CONFLICT (agent_id, name, labels) DO UPDATE SET unit = excluded.unit, kind = excluded.kind
"""  # noqa: S608 - made of constants
_COUNT = "UPDATE agent SET series_count = (SELECT count(*) FROM series WHERE agent_id = ?1) WHERE id = ?1"

json_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
"""How the store holds labels."""


def define_series(connection: sqlite3.Connection, agent_id: int, series: Sequence[SeriesWrite]) -> list[int]:
    """Id of each of an agent's series. Those that stand there already, as after every reconnect, cost no write."""
    changes = connection.total_changes
    parts = (series[start : start + _AT_ONCE] for start in range(0, len(series), _AT_ONCE))
    ids = [series_id for part in parts for series_id in _define(connection, agent_id, part)]
    if connection.total_changes > changes:
        connection.execute(_COUNT, (agent_id,))
    return ids


def _define(connection: sqlite3.Connection, agent_id: int, series: Sequence[SeriesWrite]) -> list[int]:
    words = [word for one in series for word in (one.name, _labels_text(one.labels), one.unit, one.kind, one.text)]
    asked = (*words, *[None] * (5 * (_AT_ONCE - len(series))), agent_id)
    found, as_told_count = connection.execute(_FIND, asked).fetchone()
    if as_told_count < len(series):
        connection.execute(_WRITE, asked)
        found, _ = connection.execute(_FIND, asked).fetchone()
    ids = json.loads(found)
    return [ids[str(place)] for place in range(len(series))]


@lru_cache(_SHARED_LABELS_COUNT)
def _labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    """Hosts of a fleet mostly have the same labels."""
    return json_text(dict(labels))
