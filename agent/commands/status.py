"""`rebellion status`: whether the agent on this host is well, for people and for monitoring."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from agent.errors import RebellionError

__all__ = ["EXIT_CODE", "MAX_DROPPED_RATIO", "MIN_SCORE", "NOT_RUNNING", "judge", "recent_incidents", "show_status"]

NOT_RUNNING = 3
EXIT_CODE = {"ok": 0, "degraded": 1, "failing": 4}
_COLOUR = {"ok": "green", "degraded": "yellow", "failing": "red"}
MIN_SCORE = 40.0
MAX_DROPPED_RATIO = 0.01
RECENT_S = 600.0

Report = dict[str, Any]


def show_status(args: argparse.Namespace) -> int:
    """Print one line, and one for each reason to worry; the exit code says the same.

    Returns:
        0 well, 1 degraded, 3 no agent answers, 4 failing.

    Raises:
        ConfigError: The configuration does not say where the agent's port is.
    """
    from agent.status_client import NotRunning, fetch_status, status_url

    try:
        report = fetch_status(args.url or status_url(args.config, os.environ), args.timeout)
    except NotRunning as error:
        sys.stderr.write(f"rebellion: {error}\n")
        return NOT_RUNNING
    try:
        state, reasons = judge(report, args.min_score, args.max_dropped_ratio)
        text = _as_json(report, state, reasons) if args.json else _as_lines(report, state, reasons)
    except (KeyError, TypeError) as error:
        raise RebellionError(f"the agent answers in a form that this version does not know ({error!r})") from error
    sys.stdout.write(text + "\n")
    return EXIT_CODE[state]


def judge(report: Report, min_score: float, max_dropped_ratio: float) -> tuple[str, list[str]]:
    """State and reasons of a report: what the agent says of itself, and the bounds of whoever asks.

    Args:
        report: Of `GET /api/v1/status`.
        min_score: Health of the host, 0..100, below which `ok` becomes `degraded`.
        max_dropped_ratio: Share of a sink's points since the start, 0..1, beyond which it does.
    """
    health = report["health"]
    reasons = [*health["reasons"], *_dropped(report, max_dropped_ratio)]
    score = health.get("score")
    if score is not None and score < min_score:
        reasons.append(f"health of the host is {score:.0f}, below {min_score:g}")
    is_worse = health["state"] == "ok" and bool(reasons)
    return ("degraded" if is_worse else health["state"]), reasons


def recent_incidents(report: Report) -> Iterator[str]:
    """A line for each anomaly told in the last ten minutes, the newest last. They are news, and no reason to be degraded."""
    for event in report["events"]:
        age_s = report["time_s"] - event["time_s"]
        if event["kind"] == "anomaly.found" and age_s <= RECENT_S:
            detail = event["detail"]
            others = detail["series_count"] - 1
            more = f" (and {others} more series)" if others else ""
            yield f"anomaly {age_s / 60:.0f} min ago: {detail['series']} {detail['reason']}{more}"


def _dropped(report: Report, max_ratio: float) -> Iterator[str]:
    for sink in report["sinks"]:
        ratio = sink["dropped"] / sink["accepted"] if sink["accepted"] else 0.0
        if ratio > max_ratio:
            most = max(sink["dropped_by_reason"].items(), key=lambda item: item[1])[0]
            yield f"sink:{sink['name']} has dropped {ratio:.1%} of its points, most of them for: {most}"


def _as_lines(report: Report, state: str, reasons: list[str]) -> str:
    from agent.colour import painter

    collectors, sinks = len(report["collectors"]), len(report["sinks"])
    shipped = f"{sinks} sink{'' if sinks == 1 else 's'}"
    beat = f"tick {report['tick']['count']}, {report['series']} series, {collectors} collectors, {shipped}"
    told = painter(sys.stdout, os.environ)(state, _COLOUR[state])
    head = f"{report['agent']}: {told}; {beat}, up {report['uptime_s']:.0f} s"
    return "\n".join([head, *(f"  {line}" for line in (*reasons, *recent_incidents(report)))])


def _as_json(report: Report, state: str, reasons: list[str]) -> str:
    return json.dumps({"state": state, "reasons": reasons, "exit_code": EXIT_CODE[state], "report": report}, indent=2)
