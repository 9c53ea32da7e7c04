"""What `GET /api/v1/status` says: the agent's parts at this moment, and whether that is well."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.procfs import ProcFile, resident_bytes
from agent.resilience.breaker import CircuitState
from agent.resilience.ledger import reasons_by_lane

if TYPE_CHECKING:
    from agent.collection.running import RunningCollector
    from agent.delivery.sender import Sender
    from agent.pipeline import Pipeline
    from agent.regulator import Regulator
    from agent.resilience.breaker import Breaker

__all__ = ["collector_report", "health", "process_report", "sampling_report", "sink_report", "tick_report"]

LATE_INTERVALS = 3
WORRYING_FILL_RATIO = 0.8
_SOUND = {CircuitState.CLOSED.name, CircuitState.DISABLED.name, CircuitState.METRICS_ONLY.name}

Report = dict[str, Any]


def tick_report(pipeline: Pipeline, now_s: float, last_tick_s: float) -> Report:
    """The loop's own beat."""
    stats = pipeline.stats
    return {
        "count": stats.ticks,
        "missed": stats.missed_ticks,
        "interval_s": pipeline.settings.interval_s,
        "duration_s": stats.last_duration_s,
        "late_s": stats.last_late_s,
        "age_s": max(0.0, now_s - last_tick_s),
        "points": stats.points,
    }


def collector_report(collector: RunningCollector, now_s: float) -> Report:
    """One collector."""
    stats = collector.stats
    return {
        "name": collector.name,
        **_breaker_report(collector.breaker, now_s),
        "last_error": stats.last_error,
        "series": len(collector.source),
        "max_series": collector.source.max_series,
        "interval_s": collector.settings.interval_s,
        "duration_s": stats.last_duration_s,
        "collects": stats.collects,
        "failures": stats.failures,
        "missed_ticks": stats.missed_ticks,
        "bad_values": stats.bad_values,
        "rebuilds": stats.rebuilds,
        "is_stuck": collector.is_stuck,
    }


def sink_report(sender: Sender, now_s: float) -> Report:
    """One sink; its points obey accepted = delivered + dropped + buffered + spooled + in flight."""
    counts, stats, spool = sender.outbox.counts(), sender.stats, sender.outbox.spool
    state = _breaker_report(sender.breaker, now_s)
    return {
        "name": sender.name,
        "breaker": state.pop("state"),
        **state,
        "last_error": stats.last_error,
        "buffer": {"points": counts.buffered, "fill_ratio": sender.buffer.fill_ratio},
        "in_flight_points": counts.in_flight,
        "spool": None
        if spool is None
        else {
            "is_open": spool.is_open,
            "points": counts.spooled,
            "bytes": spool.bytes,
            "fill_ratio": spool.bytes / spool.settings.bounds.max_bytes,
            "damaged_records": spool.damaged_records,
            "failures": spool.failures,
        },
        "accepted": counts.accepted,
        "delivered": counts.delivered,
        "dropped": counts.dropped_points,
        "dropped_by_reason": dict(counts.dropped),
        "dropped_by_lane": reasons_by_lane(counts.dropped_by_lane),
        "failed_deliveries": stats.failed_deliveries,
        "last_acked_age_s": None if stats.last_acked_s is None else max(0.0, now_s - stats.last_acked_s),
        "retry_ratio": sender.retry_ratio,
    }


def sampling_report(regulator: Regulator) -> Report:
    """What the control loop decided last, and from what."""
    decision = regulator.decision
    return {
        "rate": decision.sampling_ratio,
        "reason": decision.reason,
        "pressure": decision.pressure,
        "is_pressed": decision.is_pressed,
        "retry_ratio": decision.retry_ratio,
        "interval_factor": decision.interval_factor,
        "pressures": dict(decision.pressures),
    }


def process_report() -> Report:
    """What the agent costs; the processor's seconds are since its start."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "pid": os.getpid(),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "rss_bytes": resident_bytes(ProcFile("/proc/self/statm")),
        "threads": threading.active_count(),
    }


def health(tick: Report, collectors: Sequence[Report], sinks: Sequence[Report], sampling: Report) -> Report:
    """`ok`, `degraded` (something helps itself) or `failing` (nothing is measured, or nothing arrives), with every reason."""
    late = tick["age_s"] > LATE_INTERVALS * tick["interval_s"]
    reasons = [f"no tick for {tick['age_s']:.1f} s"] if late else []
    reasons += [_breaker_text("collector", one, one["state"]) for one in collectors if one["state"] not in _SOUND]
    reasons += [_breaker_text("sink", one, one["breaker"]) for one in sinks if one["breaker"] not in _SOUND]
    for sink in sinks:
        fill_ratio = max(sink["buffer"]["fill_ratio"], (sink["spool"] or {}).get("fill_ratio", 0.0))
        if fill_ratio >= WORRYING_FILL_RATIO:
            reasons.append(f"sink:{sink['name']} is {fill_ratio:.0%} full")
    if sampling["is_pressed"]:
        reasons.append(f"pressed by {sampling['reason']}, {sampling['rate']:.0%} of the points are kept")
    is_failing = late or _all_down(collectors, "state") or _all_down(sinks, "breaker")
    return {"state": "failing" if is_failing else "degraded" if reasons else "ok", "reasons": reasons}


def _all_down(parts: Sequence[Mapping[str, Any]], key: str) -> bool:
    return bool(parts) and all(part[key] not in _SOUND for part in parts)


def _breaker_text(kind: str, part: Mapping[str, Any], state: str) -> str:
    why = f": {part['last_error'][:120]}" if part["last_error"] else ""
    return f"{kind}:{part['name']} is {state}{why}"


def _breaker_report(breaker: Breaker, now_s: float) -> Report:
    seen = breaker.snapshot()
    return {
        "state": seen.state.name,
        "since_s": max(0.0, now_s - seen.since_s),
        "retry_in_s": seen.retry_in_s,
        "trips": seen.totals.trips,
        "rejected": seen.totals.rejected,
    }
