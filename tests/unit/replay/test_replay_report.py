"""What is printed, written and drawn of a replay."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from histories import JUMP_ROW, ROWS, history, jumping
from hypothesis import given
from hypothesis import strategies as st

from agent.replay.picture import MOST_PANELS, WIDTH, picture
from agent.replay.report import as_json, as_text, lasting, write_scores
from agent.replay.run import replay
from agent.replay.scales import number_marks, time_marks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def seen(loaded):
    gappy = np.sin(np.arange(ROWS) / 9)
    gappy[200:230] = np.nan
    return replay(loaded(), history({"load": jumping(), "a<b&c": gappy}), limit=100.0, keeps_averages=True)


def circles(text):
    return [one for one in ElementTree.fromstring(text).iter(f"{SVG}circle") if one.get("cy")]


def test_the_summary_tells_rows_alerts_forecast_and_limit(seen):
    lines = as_text(seen, "h.csv").splitlines()
    assert lines[0] == "h.csv: 400 rows, 2 series, 2026-05-28 20:26:40 to 2026-05-29 03:05:40"
    assert lines[1].startswith("1 alerts by rebellion, 2.50 in 1,000 rows")
    assert lines[2].startswith("  2026-05-29 01:26:40  load  score 0.")
    assert ", above the usual " in lines[2]
    assert f" ({seen.alerts[0].point.evidence})" in lines[2]
    assert "a<b&c: 370 values, 30 missing, mean " in "\n".join(lines)
    assert sum("in 20 min: " in line for line in lines) == 2
    assert "  nothing points to the limit" in lines


def test_json_holds_the_same_and_no_number_that_is_none(seen):
    found = json.loads(json.dumps(as_json(seen, "h.csv"), allow_nan=False))
    assert (found["rows"], found["detector"], found["health"].keys() >= {"cpu", "host"}) == (400, "rebellion", True)
    assert [alert["row"] for alert in found["alerts"]] == [JUMP_ROW]
    assert found["alerts"][0]["expected_high"] < found["alerts"][0]["value"]
    assert found["alerts"][0]["evidence"].startswith("level ")
    assert len(found["series"][0]["forecast"]["low"]) == 20
    assert found["series"][0]["exhaustion"]["eta_s"] is None


def test_the_scores_are_a_line_for_each_row_and_series(seen):
    file = io.StringIO()
    write_scores(seen, file)
    lines = file.getvalue().splitlines()
    assert lines[0] == "time,series,value,moving_average,score,alert"
    assert len(lines) == 1 + 2 * ROWS
    assert [line for line in lines if line.endswith(",1")] == [lines[1 + 2 * JUMP_ROW]]
    assert lines[2 + 2 * 210].split(",")[2] == ""


def test_the_picture_marks_every_alert_and_leaves_gaps(seen):
    text = picture(seen)
    assert len(circles(text)) == len(seen.alerts)
    assert "nan" not in text
    assert "inf" not in text
    values = [one.get("d") for one in ElementTree.fromstring(text).iter(f"{SVG}path") if one.get("class") == "value"]
    assert [one.count("M") for one in values[-2:]] == [1, 2]


@pytest.mark.parametrize(
    "column",
    [[5.0], [5.0] * 40, [np.nan] * 9, [np.nan, 3.0], [0.0, 1e300] * 20, [1e-12, 2e-12] * 20, [np.inf, 1.0, 2.0]],
    ids=["one", "constant", "none", "late", "huge", "tiny", "infinite"],
)
def test_odd_series_are_told_and_drawn(loaded, column):
    seen = replay(loaded(), history({"a": column}), limit=10.0, keeps_averages=True)
    assert as_text(seen, "odd.csv").count("\n") >= 4
    json.dumps(as_json(seen, "odd.csv"), allow_nan=False)
    ElementTree.fromstring(picture(seen))
    assert "nan" not in picture(seen)


def test_of_many_series_those_with_alerts_are_drawn_and_the_rest_is_counted(loaded):
    columns = {f"calm_{place}": np.sin(np.arange(ROWS) / (9 + place)) for place in range(MOST_PANELS)}
    text = picture(replay(loaded(), history(columns | {"last": jumping()}), keeps_averages=True))
    assert len(circles(text)) >= 1
    assert ">last</text>" in text
    assert ">1 more series are not drawn</text>" in text


def test_a_long_history_makes_no_long_picture(seen):
    """A hundred times as many rows in the same time: no line has more than four points on a pixel."""
    times_s = np.linspace(seen.history.times_s[0], seen.history.times_s[-1], 100 * ROWS)
    values, scores, averages = (np.tile(one, (100, 1)) for one in (seen.history.values, seen.scores, seen.averages))
    history = replace(seen.history, times_s=times_s, values=values)
    dense = replace(seen, history=history, scores=scores, averages=averages)
    assert picture(dense).count("L") < 4 * WIDTH * 6


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_marks_are_few_within_and_different(low, size):
    high = low + max(size, abs(low) * 1e-6)
    marks = number_marks(low, high)
    assert 1 <= len(marks) <= 6
    assert all(low - 1e-6 * (high - low) <= mark <= high + 1e-6 * (high - low) for mark, _ in marks)
    assert [mark for mark, _ in marks] == sorted({mark for mark, _ in marks})


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (34.0, 69.0, ["40", "50", "60"]),
        (0.0, 1.0, ["0.0", "0.5", "1.0"]),
        (0.0, 2.4e6, ["0", "1M", "2M"]),
        (-3e4, 3e4, ["-20k", "0", "20k"]),
        (0.0, 3e-5, ["0.00000", "0.00001", "0.00002", "0.00003"]),
    ],
)
def test_marks_read_well(low, high, texts):
    assert [text for _, text in number_marks(low, high)] == texts


@given(st.integers(0, 4_000_000_000), st.floats(1, 4e9))
def test_time_marks_are_few_rising_and_within(start, length):
    marks = [at for at, _ in time_marks(start, start + length)]
    assert len(marks) <= 9
    assert marks == sorted(set(marks))
    assert all(start <= at <= start + length for at in marks)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (90, "1.5 min"), (7200, "2 h"), (2e5, "2.31 d"), (float("inf"), "never")]
)
def test_lasting(seconds, text):
    assert lasting(seconds) == text
