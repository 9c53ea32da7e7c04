"""The frame of `rebellion top` in any room, its figures, and the rates between reports."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent.commands.top_trail import LENGTH, Trail
from agent.commands.top_view import PRESSURE_NAMES, Size, frame
from agent.commands.top_words import ASCII, BLOCKS, bar, byte_text, count_text, curve, duration_text, span_text

LONG = 'disk_written_bytes_per_s{device="vda"} ' * 9


def collector(name, state="CLOSED", **facts):
    told = {"name": name, "state": state, "retry_in_s": 0.0, "series": 7, "duration_s": 0.001, "failures": 0}
    return told | {"missed_ticks": 0, "last_error": "", "is_stuck": False} | facts


def sink(name, delivered=0, **facts):
    told = {"name": name, "breaker": "CLOSED", "retry_in_s": 0.0, "delivered": delivered, "dropped": 0}
    told |= {"buffer": {"points": 12, "fill_ratio": 0.5}, "spool": {"bytes": 2048, "fill_ratio": 0.25}}
    return told | {"last_acked_age_s": 1.0} | facts


def report(uptime_s=10.0, points=100, delivered=50, epoch="e1", **parts):
    told = {
        "agent": "web1",
        "version": "0.1.0",
        "epoch": epoch,
        "uptime_s": uptime_s,
        "health": {"state": "ok", "reasons": [], "score": None},
        "tick": {"points": points, "missed": 0, "duration_s": 0.02},
        "process": {"cpu_s": uptime_s / 50, "rss_bytes": 50 << 20},
        "series": 200,
        "collectors": [collector("cpu"), collector("load")],
        "sinks": [sink("hub", delivered)],
        "sampling": {"rate": 1.0, "reason": "", "pressure": 0.1, "retry_ratio": 1.0, "interval_factor": 1.0}
        | {"pressures": {"own_cpu": 0.1, "memory_stall": None}},
        "anomalies": {"points_total": 0, "now": []},
        "events": [],
    }
    return told | parts


def crowded():
    event = {"time_s": 0.0, "kind": "breaker.opened", "component": "sink:hub", "level": "warning"}
    return report(
        health={"state": "failing", "reasons": [LONG] * 9, "score": 12.0},
        collectors=[collector(f"collector_with_a_long_name_{n}", last_error=LONG, failures=n) for n in range(40)],
        sinks=[sink(f"sink:{n}", breaker="OPEN", retry_in_s=9.0, spool=None, last_acked_age_s=None) for n in range(12)],
        anomalies={"points_total": 10**7, "now": [LONG, LONG]},
        events=[event | {"detail": {"was": "CLOSED", "reason": LONG, "open_s": 0.565}}] * 50,
    )


def drawn(told, width, height, trouble="", glyphs=BLOCKS, trail=None):
    file = io.StringIO()
    console = Console(file=file, width=width, height=height or 500, color_system=None, highlight=False)
    console.print(frame(told, trail or Trail(), Size(width, height), glyphs, trouble))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@settings(max_examples=20, deadline=None)
@given(width=st.integers(40, 220), height=st.integers(24, 80), trouble=st.sampled_from(["", LONG]))
def test_a_frame_fits_its_room_however_much_there_is_to_tell(width, height, trouble):
    for told in (crowded(), report()):
        lines = drawn(told, width, height, trouble)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width


def test_80_by_24_has_everything_of_a_crowded_agent():
    lines = drawn(crowded(), 80, 24)
    assert lines[0].startswith("web1 ● failing   host 12 of 100")
    assert "and 7 more: rebellion status" in lines[4]
    for part in ("SINK", "PRESSURE", "anomalies 2 now", "COLLECTOR", "TIME", "q quits"):
        assert any(line.startswith(part) for line in lines), part


def test_80_columns_have_every_pressure():
    told = report()
    told["sampling"]["pressures"] = dict.fromkeys(("buffer", *PRESSURE_NAMES), 0.004) | {
        "own_memory": 0.21,
        "own_cpu": None,
    }
    (line,) = (line for line in drawn(told, 80, 24) if line.startswith("buffer"))
    assert [word for word in line.split() if word.isalpha()] == ["buffer", "breaker", "delay", "cpu", "rss", "stall"]
    assert [word for word in line.split() if word.endswith(("%", "-"))] == ["0%", "0%", "0%", "-", "21%", "0%"]


def test_what_is_in_trouble_comes_first_and_the_rest_is_counted():
    calm = [collector(f"calm_{n}") for n in range(20)]
    told = report(collectors=[*calm, collector("stuck", is_stuck=True), collector("open", "OPEN", retry_in_s=3.0)])
    lines = drawn(told, 80, 24)
    first = next(number for number, line in enumerate(lines) if line.startswith("COLLECTOR"))
    assert {line.split()[0] for line in lines[first + 1 : first + 3]} == {"stuck", "open"}
    assert "● OPEN 3s" in "".join(lines)
    assert any(line.split()[1:4] == ["more", "11", "CLOSED"] or " more" in line for line in lines)


def test_an_old_picture_says_so_and_why():
    assert "not live: no agent answers" in drawn(report(), 80, 24, "no agent answers")[2]


def test_a_terminal_without_unicode_gets_ascii():
    trail = Trail()
    for second in range(3):
        trail.add(report(float(second), points=second * 100))
    assert "".join(drawn(report(), 80, 24, glyphs=ASCII, trail=trail)).isascii()


def test_rates_are_between_reports_and_begin_anew_with_a_new_run():
    trail = Trail()
    trail.add(report(10.0, points=100, delivered=50))
    assert (list(trail.points_per_s), trail.delivered_per_s) == ([], {})
    trail.add(report(12.0, points=300, delivered=60))
    trail.add(report(12.0, points=999, delivered=99))
    assert (list(trail.points_per_s), trail.delivered_per_s) == ([100.0], {"hub": 5.0})
    assert list(trail.cpu_ratio) == pytest.approx([0.02])
    trail.add(report(13.0, points=310, delivered=0, sinks=[sink("hub", 0), sink("new", 5)]))
    assert trail.delivered_per_s == {"hub": 0.0}
    trail.add(report(1.0, epoch="e2"))
    assert (list(trail.points_per_s), list(trail.tick_s), trail.delivered_per_s) == ([], [0.02], {})
    for second in range(2, 2 * LENGTH):
        trail.add(report(float(second), epoch="e2"))
    assert len(trail.tick_s) == LENGTH


@given(st.floats(-10, 10), st.integers(0, 50))
def test_a_bar_has_its_width(ratio, width):
    drawn_bar = bar(ratio, width, BLOCKS)
    assert len(drawn_bar) == width
    assert drawn_bar.count("█") == round(min(max(ratio, 0), 1) * width)


@given(st.lists(st.floats(0, 1e9), max_size=99), st.integers(0, 60))
def test_a_curve_shows_the_newest(values, width):
    assert len(curve(values, width, BLOCKS)) == min(len(values), width)


def test_a_curve_is_as_high_as_its_largest_value():
    assert curve([0, 1, 2, 4], 4, BLOCKS) == "▁▃▅█"
    assert curve([0, 0], 2, ASCII) == "__"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (950, "950"),
        (9999, "9999"),
        (12_345, "12.3k"),
        (999_999, "1000k"),
        (4.56e6, "4.56M"),
        (7e9, "7G"),
    ],
)
def test_counts_are_short(number, text):
    assert count_text(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (8, "8 s"), (200, "3 m 20 s"), (3600, "1 h 0 m"), (7500, "2 h 5 m"), (273_600, "3 d 4 h")],
)
def test_spans_have_two_units(seconds, text):
    assert span_text(seconds) == text


def test_bytes_and_durations_carry_their_unit():
    assert [byte_text(size) for size in (0, 512, 2048, 50 << 20, 3 << 40)] == [
        "0 B",
        "512 B",
        "2.0 KiB",
        "50 MiB",
        "3.0 TiB",
    ]
    assert [duration_text(seconds) for seconds in (0.0004, 0.088, 1.25)] == ["0.4 ms", "88 ms", "1.25 s"]
