"""The hub's HTTP side: JSON queries, Prometheus text, health, and the page's files."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from agent.clock import Clock
from agent.dashboard import asset
from agent.hub.fleet import Fleet, FleetAgent
from agent.hub.store import Points, SeriesRow, StoreReader, TooManyPoints

__all__ = ["Answer", "HttpApi", "parse_target"]

T = TypeVar("T")

_DEFAULT_SPAN_S = 300.0
_MAX_EVENTS = 1000
_MAX_POINTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: int
    body: bytes
    content_type: str = "application/json"


class _BadQuery(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Query = Mapping[str, str]


def parse_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request line; of a parameter given twice the last counts."""
    parts = urlsplit(target)
    return parts.path, {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}


class HttpApi:
    """Answers GET requests.

    Args:
        metrics: Makes the Prometheus text.
        is_healthy: False turns `/healthz` into 503.
        executor: Where queries run.
    """

    def __init__(
        self,
        fleet: Fleet,
        reader: StoreReader,
        executor: Executor,
        *,
        clock: Clock,
        metrics: Callable[[], str],
        is_healthy: Callable[[], bool],
    ) -> None:
        self._fleet = fleet
        self._reader = reader
        self._executor = executor
        self._clock = clock
        self._metrics = metrics
        self._is_healthy = is_healthy
        self._queries: dict[str, Callable[[Query], Awaitable[Any]]] = {
            "/api/v1/agents": self._agents,
            "/api/v1/series": self._series,
            "/api/v1/query": self._query,
            "/api/v1/events": self._events,
        }

    @staticmethod
    def is_public(path: str) -> bool:
        """True for what holds no data: health and the page's own files."""
        return not path.startswith("/api/") and path != "/metrics"

    async def answer(self, path: str, query: Query) -> Answer:
        """The response to a GET that may be answered."""
        if path in self._queries:
            return await self._answer_query(self._queries[path], query)
        if path == "/healthz":
            return (
                Answer(200, b"ok\n", _TEXT) if self._is_healthy() else Answer(503, b"the store cannot write\n", _TEXT)
            )
        if path == "/metrics":
            return Answer(200, self._metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
        return _page(path)

    async def _answer_query(self, query_function: Callable[[Query], Awaitable[Any]], query: Query) -> Answer:
        try:
            found = await query_function(query)
        except _BadQuery as error:
            return Answer(error.status, msgspec.json.encode({"error": str(error)}) + b"\n")
        except TooManyPoints as error:
            return Answer(400, msgspec.json.encode({"error": str(error)}) + b"\n")
        return Answer(200, await self._read(msgspec.json.encode, found))

    async def _agents(self, query: Query) -> Any:
        return {"agents": self._fleet.describe()}

    async def _series(self, query: Query) -> Any:
        agent = self._agent(query)
        rows = await self._read(self._reader.series, agent.row.agent_id, query.get("name", ""))
        described = [
            {"series": row.text, "name": row.name, "labels": row.labels, "unit": row.unit, "kind": row.kind}
            for row in rows
        ]
        return {"agent": agent.row.name, "series": described}

    async def _query(self, query: Query) -> Any:
        agent = self._agent(query)
        from_ns, to_ns = self._span(query)
        text, name = query.get("series", ""), query.get("name", "")
        if bool(text) == bool(name):
            raise _BadQuery(400, "exactly one of series= and name= is needed")
        found = await self._read(self._points, agent.row.agent_id, text, name or text.partition("{")[0], from_ns, to_ns)
        if not found:
            raise _BadQuery(404, f"agent {agent.row.name!r} has no series {text or name!r}")
        if text:
            return {"agent": agent.row.name, "series": text, **_arrays(found[0][1])}
        results = [{"series": row.text, "labels": row.labels, **_arrays(points)} for row, points in found]
        return {"agent": agent.row.name, "name": name, "results": results}

    async def _events(self, query: Query) -> Any:
        agent_id = self._agent(query).row.agent_id if query.get("agent") else None
        from_ns, to_ns = self._span(query)
        limit = max(1, min(_MAX_EVENTS, int(_number(query, "limit", 200.0))))
        rows = await self._read(self._reader.events, agent_id, from_ns, to_ns, limit)
        events = [
            {
                "time_s": row.time_ns / 1e9,
                "agent": row.agent,
                "kind": row.kind,
                "component": row.component,
                "level": row.level,
                "detail": msgspec.json.decode(row.detail),
            }
            for row in rows
        ]
        return {"events": events}

    def _points(self, agent_id: int, text: str, name: str, from_ns: int, to_ns: int) -> list[tuple[SeriesRow, Points]]:
        rows = [row for row in self._reader.series(agent_id, name) if not text or row.text == text]
        points = self._reader.points(agent_id, [row.series_id for row in rows], from_ns, to_ns, _MAX_POINTS)
        return [(row, points[row.series_id]) for row in rows]

    def _agent(self, query: Query) -> FleetAgent:
        name = query.get("agent", "")
        if not name:
            raise _BadQuery(400, "agent= is needed")
        agent = self._fleet.get(name)
        if agent is None:
            raise _BadQuery(404, f"no agent {name!r} was ever seen here")
        return agent

    def _span(self, query: Query) -> tuple[int, int]:
        now_s = self._clock.wall_ns() / 1e9
        from_s = _instant(_number(query, "from", -_DEFAULT_SPAN_S), now_s)
        to_s = _instant(_number(query, "to", now_s), now_s)
        return round(from_s * 1e9), round(to_s * 1e9)

    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)


_TEXT = "text/plain; charset=utf-8"


def _page(path: str) -> Answer:
    found = asset(path)
    if found is None:
        return Answer(404, b'{"error":"no such page"}\n')
    body, content_type = found
    return Answer(200, body, content_type)


def _number(query: Query, name: str, default: float) -> float:
    text = query.get(name, "")
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) < 9e9:
        raise _BadQuery(400, f"{name}= must be a number of seconds (got {text[:40]!r})")
    return number


def _instant(number_s: float, now_s: float) -> float:
    """Unix seconds; a negative number, -0 too, counts back from now."""
    return now_s + number_s if math.copysign(1.0, number_s) < 0 else number_s


def _arrays(points: Points) -> dict[str, Any]:
    return {
        "times": [time_ns / 1e9 for time_ns in points.times_ns],
        "values": [value if math.isfinite(value) else None for value in points.values],
    }
