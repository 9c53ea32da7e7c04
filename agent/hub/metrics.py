"""The hub's own counters as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterable

from agent.hub.counters import HubCounters
from agent.hub.fleet import Fleet
from agent.hub.writer import Writer

__all__ = ["hub_metrics"]

Sample = tuple[str, float]


def hub_metrics(counters: HubCounters, fleet: Fleet, writer: Writer, live_pages: int) -> str:
    """The text exposition format, version 0.0.4."""
    families = (*_ingest(counters, fleet), *_store(counters, writer), *_http(counters, live_pages), *_agents(fleet))
    return "".join(_family(*family) for family in families)


Family = tuple[str, str, str, Iterable[Sample]]


def _ingest(counters: HubCounters, fleet: Fleet) -> list[Family]:
    refused = [(f'code="{code}"', count) for code, count in sorted(counters.refused.items())]
    return [
        _one("agents_connected", "gauge", "Agents with an open connection", fleet.connected_count),
        _one("agents_known", "gauge", "Agents ever seen", len(fleet)),
        _one("connections_total", "counter", "Agent connections opened", counters.connections),
        ("connections_refused_total", "counter", "Connections refused, by close code or HTTP status", refused),
        _one("frames_total", "counter", "Frames received from agents", counters.frames),
        _one("frame_bytes_total", "counter", "Bytes of these frames", counters.frame_bytes),
        _one("batches_total", "counter", "Batches stored", counters.batches),
        _one("points_total", "counter", "Points stored", counters.points),
        _one("events_total", "counter", "Events stored, gaps among them", counters.events),
        _one("gap_points_total", "counter", "Points that agents said they dropped", counters.gap_points),
        _one("duplicates_total", "counter", "Records received again and not stored again", counters.duplicates),
        _one(
            "slowed_seconds_total",
            "counter",
            "Seconds for which agents that sent too much were not read",
            counters.slowed_s,
        ),
        _one("nacks_total", "counter", "Records sent back because the store could not write", counters.nacks),
    ]


def _store(counters: HubCounters, writer: Writer) -> list[Family]:
    stats = writer.stats
    return [
        _one("store_transactions_total", "counter", "Transactions written", stats.transactions),
        _one("store_failed_transactions_total", "counter", "Transactions that failed", stats.failed_transactions),
        _one("store_busy_seconds_total", "counter", "Seconds spent writing", stats.busy_s),
        _one("folded_batches_total", "counter", "Batches brought into chunks", counters.folded),
        _one("store_pending_records", "gauge", "Records waiting to be written", writer.pending_count),
        _one("store_pending_bytes", "gauge", "Bytes of these records", writer.pending_bytes),
    ]


def _http(counters: HubCounters, live_pages: int) -> list[Family]:
    requests = [(f'status="{status}"', count) for status, count in sorted(counters.requests.items())]
    return [
        ("http_requests_total", "counter", "HTTP requests answered", requests),
        _one("live_pages", "gauge", "Open live pages", live_pages),
        _one("live_skipped_total", "counter", "Messages that slow pages did not get", counters.live_skipped),
        _one("expired_records_total", "counter", "Records and files of points let go of", counters.expired),
    ]


def _agents(fleet: Fleet) -> list[Family]:
    agents = [(f'agent="{_escaped(agent.row.name)}"', agent) for agent in fleet]
    return [
        ("agent_up", "gauge", "1 while the agent is connected", [(label, a.link is not None) for label, a in agents]),
        (
            "agent_last_time_seconds",
            "gauge",
            "Time of the agent's newest batch, by its own clock",
            [(label, a.row.last_time_ns / 1e9) for label, a in agents],
        ),
        ("agent_points_total", "counter", "Points stored, ever", [(label, a.row.points_total) for label, a in agents]),
    ]


def _one(name: str, kind: str, help_text: str, value: float) -> Family:
    return name, kind, help_text, [("", value)]


def _family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> str:
    full = f"rebellion_hub_{name}"
    lines = [f"# HELP {full} {help_text}.", f"# TYPE {full} {kind}"]
    lines += [f"{full}{{{labels}}} {value:.17g}" if labels else f"{full} {value:.17g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
