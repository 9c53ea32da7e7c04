"""The hub's HTTP side: JSON queries, Prometheus text, health, and the page's files."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import msgspec

from agent.clock import Clock
from agent.dashboard.answers import TEXT, Answer, BadQuery, Query, json_answer, number, page, span_ns
from agent.hub.fleet import Fleet, FleetAgent
from agent.hub.forecasting import horizon_of, stored_forecast
from agent.hub.records import EventRow
from agent.hub.series_queries import SeriesQueries
from agent.hub.store import StoreReader, TooManyPoints

__all__ = ["HttpApi"]

Question = Callable[[], Any]
"""What is left to do of a query once it is understood: runs on the reading thread, in one go, as every change of threads has to
wait for the loop's turn. Its answer goes out as JSON."""

_MAX_EVENTS = 1000
_OPTIONAL = ("forecast",)
"""Queries that a page asks only where they are answered."""


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
        self._about = SeriesQueries(reader)
        self._executor = executor
        self._clock = clock
        self._metrics = metrics
        self._is_healthy = is_healthy
        self._queries: dict[str, Callable[[Query], Question]] = {
            "/api/v1/agents": self._agents,
            "/api/v1/series": self._series,
            "/api/v1/query": self._query,
            "/api/v1/statistics": self._statistics,
            "/api/v1/latest": self._latest,
            "/api/v1/events": self._events,
            "/api/v1/forecast": self._forecast,
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
            return Answer(200, b"ok\n", TEXT) if self._is_healthy() else Answer(503, b"the store cannot write\n", TEXT)
        if path == "/metrics":
            return Answer(200, self._metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
        return page(path)

    async def _answer_query(self, understand: Callable[[Query], Question], query: Query) -> Answer:
        try:
            question = understand(query)
            body = await asyncio.get_running_loop().run_in_executor(self._executor, _answered, question)
        except BadQuery as error:
            return json_answer({"error": str(error)}, error.status)
        except TooManyPoints as error:
            return json_answer({"error": str(error)}, 400)
        return Answer(200, body)

    def _agents(self, query: Query) -> Question:
        found = {
            "agents": self._fleet.describe(),
            "can": [name for name in _OPTIONAL if f"/api/v1/{name}" in self._queries],
        }
        return lambda: found

    def _series(self, query: Query) -> Question:
        agent, name = self._agent(query), query.get("name", "")
        return lambda: {"agent": agent.row.name, "series": self._about.known(agent, name)}

    def _query(self, query: Query) -> Question:
        agent = self._agent(query)
        text, name = query.get("series", ""), query.get("name", "")
        if bool(text) == bool(name):
            raise BadQuery(400, "exactly one of series= and name= is needed")
        span, step_s = span_ns(query, self._clock.wall_ns()), _step_s(query)
        head: dict[str, Any] = {"agent": agent.row.name} | ({"step_s": step_s} if step_s else {})
        return lambda: head | self._about.values(agent, text, name, span, step_s)

    def _statistics(self, query: Query) -> Question:
        agent, text = self._agent(query), _text(query)
        span = span_ns(query, self._clock.wall_ns())
        head = {"agent": agent.row.name, "series": text, "from_s": span[0] / 1e9, "to_s": span[1] / 1e9}
        return lambda: head | self._about.statistics(agent, text, span)

    def _latest(self, query: Query) -> Question:
        name = query.get("name", "")
        if query.get("agent"):
            agent = self._agent(query)
            return lambda: {"agents": self._about.latest([agent], agent.row.agent_id, name)}
        if not name:
            raise BadQuery(400, "agent= or name= is needed")
        agents = list(self._fleet)
        return lambda: {"agents": self._about.latest(agents, None, name)}

    def _forecast(self, query: Query) -> Question:
        agent, text, horizon_s = self._agent(query), _text(query), horizon_of(query)
        head, now_ns = {"agent": agent.row.name, "series": text}, self._clock.wall_ns()
        return lambda: head | stored_forecast(self._reader, agent.row.agent_id, text, now_ns, horizon_s)

    def _events(self, query: Query) -> Question:
        agent_id = self._agent(query).row.agent_id if query.get("agent") else None
        span = span_ns(query, self._clock.wall_ns())
        limit = max(1, min(_MAX_EVENTS, int(number(query, "limit", 200.0))))
        return lambda: {"events": [_event(row) for row in self._reader.events(agent_id, *span, limit)]}

    def _agent(self, query: Query) -> FleetAgent:
        name = query.get("agent", "")
        if not name:
            raise BadQuery(400, "agent= is needed")
        agent = self._fleet.get(name)
        if agent is None:
            raise BadQuery(404, f"no agent {name!r} was ever seen here")
        return agent


def _answered(question: Question) -> bytes:
    return msgspec.json.encode(question())


def _text(query: Query) -> str:
    if text := query.get("series", ""):
        return text
    raise BadQuery(400, "series= is needed")


def _event(row: EventRow) -> dict[str, Any]:
    return {
        "time_s": row.time_ns / 1e9,
        "agent": row.agent,
        "kind": row.kind,
        "component": row.component,
        "level": row.level,
        "detail": msgspec.json.decode(row.detail),
    }


def _step_s(query: Query) -> int:
    """The step asked for, 0 = none; from a minute on rounded up to what roll-ups can answer."""
    asked_s = number(query, "step", 0.0)
    if not asked_s:
        return 0
    if asked_s < 1:
        raise BadQuery(400, f"step= must be 1 second or more (got {query['step'][:40]!r})")
    unit_s = next(unit_s for unit_s in (3600, 60, 1) if asked_s >= unit_s)
    return math.ceil(asked_s / unit_s) * unit_s
