"""One frame of `rebellion top`: a report of the agent's status port as lines for a terminal. Needs rich."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.commands.top_trail import Trail
from agent.commands.top_words import Glyphs, bar, byte_text, count_text, curve, duration_text, span_text

__all__ = ["Size", "frame", "no_agent"]

STATE_STYLE = {
    "ok": "bold green",
    "degraded": "bold yellow",
    "failing": "bold red",
    "CLOSED": "green",
    "HALF_OPEN": "yellow",
    "OPEN": "bold red",
    "FORCED_OPEN": "bold red",
}
LEVEL_STYLE = {"info": "", "warning": "yellow", "error": "bold red"}
PRESSURE_NAMES = {
    "sink_breaker": "breaker",
    "queue_delay": "delay",
    "own_cpu": "cpu",
    "own_memory": "rss",
    "memory_stall": "stall",
}
HEADER = "bold white on grey23"
TELLING = {"reason", "error", "reason_1"}
"""Facts of an event that come first, as there is room for few."""
MAX_REASONS = 3
MAX_SINKS = 6
WIDE = 130
HALF, NEARLY_FULL = 0.5, 0.8

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """Room for a frame.

    Attributes:
        width: Columns, >= 40.
        height: Lines; None = as many as it takes.
    """

    width: int
    height: int | None


def frame(report: Report, trail: Trail, size: Size, glyphs: Glyphs, trouble: str = "") -> RenderableType:
    """Everything that fits, the most important first.

    Args:
        report: Of `GET /api/v1/status`.
        trail: What was before.
        size: The room; collectors and events share what is left of its height.
        glyphs: What bars are made of.
        trouble: Why this picture is old; "" = it is not.
    """
    reasons = _reasons(report, trouble)
    sinks = report["sinks"][:MAX_SINKS]
    above = [
        *_head(report, trail, size, glyphs),
        *reasons,
        _sinks(sinks, trail, size, glyphs),
        _pressure(report, glyphs),
    ]
    foot = [] if size.height is None else [Text("q quits", "dim")]
    used = 2 + len(reasons) + 1 + len(sinks) + 3
    rooms = _rooms(report, size, used)
    collectors, events = _collectors(report, rooms[0], glyphs), _events(report, rooms[1])
    if size.width >= WIDE:
        below = Table.grid(expand=True, padding=(0, 2, 0, 0))
        below.add_column(ratio=1)
        below.add_column(ratio=1)
        below.add_row(collectors, events)
        return Group(*above, below, *foot)
    return Group(*above, collectors, events, *foot)


def no_agent(trouble: str) -> RenderableType:
    """The frame before there was any report."""
    return Group(Text(trouble, style="bold red"), Text("asking again; q quits", style="dim"))


def _rooms(report: Report, size: Size, used: int) -> tuple[int, int]:
    """Rows for collectors and for events, below their headers."""
    collectors, events = len(report["collectors"]), len(report["events"])
    if size.height is None:
        return collectors, min(events, 10)
    left = max(size.height - used - 1, 4)
    if size.width >= WIDE:
        return left - 1, left - 1
    left -= 2
    for_collectors = min(collectors, max(left * 3 // 5, left - events))
    return max(for_collectors, 1), max(left - for_collectors, 1)


def _head(report: Report, trail: Trail, size: Size, glyphs: Glyphs) -> list[RenderableType]:
    health, tick, process = report["health"], report["tick"], report["process"]
    first = Text(no_wrap=True, overflow="ellipsis")
    first.append(f"{report['agent']} ", style="bold")
    first.append(f"{glyphs.dot} {health['state']}", style=STATE_STYLE.get(health["state"], ""))
    score = health.get("score")
    first.append(f"   host {'not known yet' if score is None else f'{score:.0f} of 100'}")
    first.append(f"   {report['series']} series   up {span_text(report['uptime_s'])}   {report['version']}")
    width = min(20, max(0, (size.width - 64) // 3))
    second = Table.grid(expand=True, padding=(0, 2, 0, 0))
    for _ in range(5):
        second.add_column(no_wrap=True, overflow="ellipsis")
    second.add_row(
        _figure("points/s", _last(trail.points_per_s, count_text), curve(trail.points_per_s, width, glyphs)),
        _figure("tick", duration_text(tick["duration_s"]), curve(trail.tick_s, width, glyphs)),
        _figure("cpu", _last(trail.cpu_ratio, lambda ratio: f"{ratio:.1%}"), curve(trail.cpu_ratio, width, glyphs)),
        _figure("rss", byte_text(process["rss_bytes"])),
        _figure("missed", count_text(tick["missed"]), style="yellow" if tick["missed"] else ""),
    )
    return [first, second]


def _figure(name: str, value: str, drawn: str = "", style: str = "") -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, style or "bold"), (f" {drawn}" if drawn else "", "cyan"))


def _last(values: Sequence[float] | Any, text: Any) -> str:
    return text(values[-1]) if values else "-"


def _reasons(report: Report, trouble: str) -> list[RenderableType]:
    if trouble:
        return [_line(f"not live: {trouble}", "bold red")]
    reasons, style = report["health"]["reasons"], STATE_STYLE.get(report["health"]["state"], "")
    shown: list[RenderableType] = [
        _line(f"  {reason}", style.removeprefix("bold ")) for reason in reasons[:MAX_REASONS]
    ]
    if len(reasons) > MAX_REASONS:
        shown[-1] = _line(f"  and {len(reasons) - MAX_REASONS + 1} more: rebellion status", style)
    return shown


def _sinks(sinks: list[Report], trail: Trail, size: Size, glyphs: Glyphs) -> RenderableType:
    table = _table(("SINK", 2), "STATE", ">SENT/S", "BUFFER", "SPOOL", ">DROPPED", ">ACKED")
    width = 6 + max(0, size.width - 80) // 4
    for sink in sinks:
        spool, acked_s = sink["spool"], sink["last_acked_age_s"]
        buffer = sink["buffer"]
        table.add_row(
            sink["name"],
            _state(sink["breaker"], sink["retry_in_s"], glyphs),
            _rate(trail, sink["name"]),
            _fill(buffer["fill_ratio"], width, count_text(buffer["points"]), glyphs),
            Text("none", "dim")
            if spool is None
            else _fill(spool["fill_ratio"], width, byte_text(spool["bytes"]), glyphs),
            Text(count_text(sink["dropped"]), "yellow" if sink["dropped"] else ""),
            "never" if acked_s is None else span_text(acked_s),
        )
    if not sinks:
        table.add_row("none: nothing is delivered")
    return table


def _pressure(report: Report, glyphs: Glyphs) -> RenderableType:
    sampling, anomalies = report["sampling"], report["anomalies"]
    why = f" by {PRESSURE_NAMES.get(sampling['reason'], sampling['reason'])}" if sampling["reason"] else ""
    now = f"PRESSURE {sampling['pressure']:.0%}{why}   sampling {sampling['rate']:.0%}"
    table = _table((f"{now}   retries {sampling['retry_ratio']:.0%}   intervals x{sampling['interval_factor']:.2g}", 1))
    each = Text()
    for name, value in sampling["pressures"].items():
        style = "bold red" if value and value >= 1 else "yellow" if value and value >= HALF else ""
        each.append(f"{PRESSURE_NAMES.get(name, name)} ", "dim").append(bar(value or 0, 2, glyphs), style or "cyan")
        each.append(f" {'-' if value is None else f'{value:.0%}'}  ", style)
    odd = Text.assemble(
        ("anomalies ", "dim"), (f"{len(anomalies['now'])} now", "bold magenta" if anomalies["now"] else "")
    )
    odd.append(f"  {count_text(anomalies['points_total'])} since the start  ")
    odd.append(", ".join(anomalies["now"]), "magenta")
    table.add_row(each)
    table.add_row(odd)
    return table


def _collectors(report: Report, room: int, glyphs: Glyphs) -> RenderableType:
    table = _table(("COLLECTOR", 2), "STATE", ">SERIES", ">TOOK", ">FAILED", ">MISSED", ("LAST ERROR", 3))
    ordered = sorted(report["collectors"], key=_urgency)
    shown = ordered if len(ordered) <= room else ordered[: room - 1]
    for one in shown:
        table.add_row(
            one["name"],
            Text("stuck", "bold red") if one["is_stuck"] else _state(one["state"], one["retry_in_s"], glyphs),
            str(one["series"]),
            duration_text(one["duration_s"]),
            Text(count_text(one["failures"]), "yellow" if one["failures"] else "dim"),
            Text(count_text(one["missed_ticks"]), "yellow" if one["missed_ticks"] else "dim"),
            Text(one["last_error"], "dim"),
        )
    rest = ordered[len(shown) :]
    if rest:
        closed = sum(one["state"] == "CLOSED" for one in rest)
        table.add_row(
            Text(f"{len(rest)} more", "dim"), Text(f"{closed} CLOSED", "dim"), str(sum(o["series"] for o in rest))
        )
    return table


def _urgency(one: Report) -> tuple[bool, bool, float]:
    """Collectors that are not asked come first, then those that have failed, then the slowest."""
    return (one["state"] == "CLOSED" and not one["is_stuck"], not one["failures"], -one["duration_s"])


def _events(report: Report, room: int) -> RenderableType:
    table = _table("TIME", ("EVENT", 2), ("OF", 2), ("WHAT", 3))
    for event in reversed(report["events"][-room:]):
        style = LEVEL_STYLE.get(event["level"], "")
        at = datetime.fromtimestamp(event["time_s"], UTC).astimezone()
        facts = sorted(event["detail"].items(), key=lambda fact: fact[0] not in TELLING)
        detail = " ".join(f"{key}={_short(value)}" for key, value in facts)
        table.add_row(f"{at:%H:%M:%S}", Text(event["kind"], style), event["component"], Text(detail, "dim"))
    return table


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(*columns: str | tuple[str, int]) -> Table:
    """A table whose rows are a line each; ">NAME" stands at the right, (NAME, share) takes a share of the room left over."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style=HEADER, pad_edge=True)
    for column in columns:
        name, ratio = column if isinstance(column, tuple) else (column, None)
        is_right = name.startswith(">")
        table.add_column(
            name.removeprefix(">"),
            justify="right" if is_right else "left",
            ratio=ratio,
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _state(state: str, retry_in_s: float, glyphs: Glyphs) -> Text:
    text = Text(f"{glyphs.dot} {state}", STATE_STYLE.get(state, "dim"))
    return text.append(f" {retry_in_s:.0f}s", "dim") if state == "OPEN" and retry_in_s else text


def _fill(ratio: float, width: int, text: str, glyphs: Glyphs) -> Text:
    style = "bold red" if ratio >= NEARLY_FULL else "yellow" if ratio >= HALF else "cyan"
    return Text.assemble((bar(ratio, width, glyphs), style), f" {text}")


def _rate(trail: Trail, sink: str) -> str:
    rate = trail.delivered_per_s.get(sink)
    return "-" if rate is None else count_text(rate)


def _line(text: str, style: str) -> Text:
    return Text(" ".join(text.split("\n")), style, no_wrap=True, overflow="ellipsis")
