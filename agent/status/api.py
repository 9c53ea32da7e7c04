"""The agent's own state, its newest points and its events, as HTTP answers; worded as the hub words its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.dashboard.answers import TEXT, Answer, BadQuery, Query, json_answer, number, page, span_ns
from agent.dashboard.live_pages import tick_message
from agent.status.history import Column, History, Tick, columns
from agent.status.report import collector_report, health, process_report, sampling_report, sink_report, tick_report

if TYPE_CHECKING:
    from agent.anomaly_reports import AnomalyReports
    from agent.collection.series_table import SeriesTable
    from agent.hosting import Shared
    from agent.model import Batch, Event
    from agent.pipeline import Pipeline
    from agent.regulator import Regulator

__all__ = ["StatusApi", "event_fields"]

_EVENTS_KEPT = 500
_EVENTS_TOLD = 50
_HEALTH_SERIES = 'health_score{subsystem="host"}'


class StatusApi:
    """Answers GET requests about one running agent.

    Args:
        shared: Who it is.
        pipeline, regulator, table: What is told of.
        anomalies: Its counts; None when nothing looks for any.
        history: Where its newest points are.
    """

    def __init__(
        self,
        shared: Shared,
        pipeline: Pipeline,
        regulator: Regulator,
        table: SeriesTable,
        history: History,
        *,
        anomalies: AnomalyReports | None,
    ) -> None:
        self.name = shared.agent
        self._shared = shared
        self._pipeline = pipeline
        self._regulator = regulator
        self._table = table
        self._history = history
        self._anomaly_reports = anomalies
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self._started_s = shared.clock.monotonic_s()
        self._batches = 0
        self._queries: dict[str, Callable[[Query], Awaitable[Any]]] = {
            "/api/v1/status": self._status,
            "/api/v1/latest": self._latest,
            "/api/v1/agents": self._agents,
            "/api/v1/series": self._series,
            "/api/v1/query": self._query,
            "/api/v1/events": self._list_events,
        }

    def note_batch(self, batch: Batch) -> None:
        """Keep a tick's points."""
        self._batches += 1
        self._history.put(batch)

    def note_event(self, event: Event) -> None:
        """Keep an event."""
        self._events.append(event)

    async def answer(self, path: str, query: Query) -> Answer:
        """The response to a GET that may be answered."""
        if path == "/healthz":
            return self._healthz()
        if path not in self._queries:
            return page(path)
        try:
            return json_answer(await self._queries[path](query))
        except BadQuery as error:
            return json_answer({"error": str(error)}, error.status)

    def agents(self) -> dict[str, Any]:
        """This agent as the hub's list of agents would have it."""
        latest = self._history.latest
        senders = self._pipeline.senders
        described = {
            "name": self.name,
            "labels": dict(self._shared.labels),
            "version": __version__,
            "epoch": self._shared.epoch,
            "connected": True,
            "last_seen_s": self._shared.clock.wall_ns() / 1e9,
            "last_time_s": latest.time_ns / 1e9 if latest is not None else 0.0,
            "series_count": len(self._table),
            "points_total": self._pipeline.stats.points,
            "batches_total": self._batches,
            "duplicates_total": 0,
            "gap_points_total": sum(sender.outbox.counts().dropped_points for sender in senders),
            "last_seq": self._batches,
            "health_score": self._score(latest),
        }
        return {"source": "agent", "agents": [described]}

    def tick(self, agent: str = "") -> dict[str, Any] | None:
        """The newest tick as pages are told of it; None before the first, and for any other agent."""
        latest = self._history.latest
        if latest is None or agent not in ("", self.name):
            return None
        values = dict(zip(self._texts(latest.ids.tolist()), latest.values.tolist(), strict=True))
        return tick_message(self.name, latest.time_ns, values, self._texts(latest.anomalous_ids()))

    def report(self) -> dict[str, Any]:
        """What `/api/v1/status` answers."""
        clock, latest = self._shared.clock, self._history.latest
        now_s = clock.monotonic_s()
        tick = tick_report(self._pipeline, now_s, latest.monotonic_s if latest is not None else self._started_s)
        collectors = [collector_report(one, now_s) for one in self._pipeline.collectors]
        sinks = [sink_report(one, now_s) for one in self._pipeline.senders]
        sampling = sampling_report(self._regulator)
        return {
            "agent": self.name,
            "version": __version__,
            "epoch": self._shared.epoch,
            "labels": dict(self._shared.labels),
            "time_s": clock.wall_ns() / 1e9,
            "uptime_s": now_s - self._started_s,
            "health": {**health(tick, collectors, sinks, sampling), "score": self._score(latest)},
            "tick": tick,
            "process": process_report(),
            "series": len(self._table),
            "collectors": collectors,
            "sinks": sinks,
            "sampling": sampling,
            "anomalies": self._anomalies(latest),
            "events": [event_fields(self.name, event) for event in list(self._events)[-_EVENTS_TOLD:]],
        }

    async def _status(self, query: Query) -> Any:
        return self.report()

    async def _latest(self, query: Query) -> Any:
        tick = self.tick()
        if tick is None:
            raise BadQuery(404, "no tick yet")
        return tick

    async def _agents(self, query: Query) -> Any:
        return self.agents()

    async def _series(self, query: Query) -> Any:
        self._require_agent(query)
        name = query.get("name", "")
        return {
            "agent": self.name,
            "series": [
                {
                    "series": str(one),
                    "name": one.name,
                    "labels": dict(one.labels),
                    "unit": one.unit,
                    "kind": one.kind.value,
                }
                for _, one in self._table.items()
                if name in ("", one.name)
            ],
        }

    async def _query(self, query: Query) -> Any:
        self._require_agent(query)
        from_ns, to_ns = span_ns(query, self._shared.clock.wall_ns())
        text, name = query.get("series", ""), query.get("name", "")
        if bool(text) == bool(name):
            raise BadQuery(400, "exactly one of series= and name= is needed")
        found = {key: one for key, one in self._table.items() if name in ("", one.name) and text in ("", str(one))}
        if not found:
            raise BadQuery(404, f"agent {self.name!r} has no series {text or name!r}")
        ticks = self._history.within(from_ns, to_ns)
        points = await self._shared.workers.run(columns, ticks, found.keys())
        results = [
            {"series": str(one), "labels": dict(one.labels), **_arrays(points[key])} for key, one in found.items()
        ]
        if text:
            return {"agent": self.name, **results[0]}
        return {"agent": self.name, "name": name, "results": results}

    async def _list_events(self, query: Query) -> Any:
        if query.get("agent"):
            self._require_agent(query)
        from_ns, to_ns = span_ns(query, self._shared.clock.wall_ns())
        limit = max(1, int(number(query, "limit", 200.0)))
        chosen = [event for event in self._events if from_ns <= event.time_ns <= to_ns]
        return {"events": [event_fields(self.name, event) for event in chosen[-limit:]]}

    def _require_agent(self, query: Query) -> None:
        name = query.get("agent", "")
        if name not in ("", self.name):
            raise BadQuery(404, f"this is agent {self.name!r} (got {name[:80]!r})")

    def _healthz(self) -> Answer:
        report = self.report()["health"]
        if report["state"] != "failing":
            return Answer(200, b"ok\n", TEXT)
        return Answer(503, ("; ".join(report["reasons"]) + "\n").encode(), TEXT)

    def _anomalies(self, latest: Tick | None) -> dict[str, Any]:
        now = self._texts(latest.anomalous_ids()) if latest is not None else []
        reports = self._anomaly_reports
        return {
            "points_total": self._pipeline.stats.anomalous_points,
            "alerts_total": sum(reports.alerts_total.values()) if reports is not None else 0,
            "incidents_total": reports.incidents_total if reports is not None else 0,
            "now": sorted(now),
        }

    def _score(self, latest: Tick | None) -> float | None:
        if latest is None:
            return None
        for series_id, value in zip(latest.ids.tolist(), latest.values.tolist(), strict=True):
            if str(self._table.definition(series_id)) == _HEALTH_SERIES:
                return float(value)
        return None

    def _texts(self, ids: list[int]) -> list[str]:
        return [str(self._table.definition(one)) for one in ids]


def event_fields(agent: str, event: Event) -> dict[str, Any]:
    """An event as pages and queries are told of it."""
    return {
        "time_s": event.time_ns / 1e9,
        "agent": agent,
        "kind": event.kind,
        "component": event.component,
        "level": event.level.value,
        "detail": dict(event.detail),
    }


def _arrays(column: Column) -> dict[str, Any]:
    return {
        "times": [time_ns / 1e9 for time_ns in column.times_ns],
        "values": column.values,
        "anomalies": [time_ns / 1e9 for time_ns in column.anomalies_ns],
    }
