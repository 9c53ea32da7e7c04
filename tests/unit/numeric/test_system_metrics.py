import enum
import json
import threading
from math import inf, nan

import numpy as np
import pytest

from agent.numeric.system_metrics import (
    MetricSettings,
    MetricTransformer,
    SettingsConflict,
    get_metric_transformer,
    remove_metric_transformer,
)
from agent.testing.clock import FakeClock

KEYS = {
    *("current", "smoothed", "history", "smoothed_history", "anomalies"),
    *("rate_of_change", "statistics", "trend", "is_anomaly"),
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def transformer(clock):
    return MetricTransformer("t", clock=clock)


@pytest.fixture
def shared_name():
    yield "shared"
    remove_metric_transformer("shared")


def cpu(transformer, *readings):
    for reading in readings:
        out = transformer.transform_system_metrics({"cpu": {"usage_percent": reading}})
    return out["cpu"]


def test_the_example_of_the_library_face():
    from agent.resilience import get_metric_transformer as door

    transformer = door(name="system_metrics", history_size=120, smoothing_window=5)
    try:
        raw_metrics = {
            "cpu": {"usage_percent": 12.5, "cores": 8},
            "memory": {"percent": 61.0, "total": 2**34},
            "disk": {"partitions": [{"mountpoint": "/", "percent": 40.0}, {"mountpoint": "/var", "percent": 71.0}]},
            "network": {"rate_mbps": 3.25},
        }
        transformed = transformer.transform_system_metrics(raw_metrics)
    finally:
        remove_metric_transformer("system_metrics")
    assert set(transformed) == {"cpu", "memory", "disk", "network", "system_analysis"}
    assert [transformed[name]["current"] for name in ("cpu", "memory", "disk", "network")] == [12.5, 61.0, 71.0, 3.25]
    for name in ("cpu", "memory", "disk", "network"):
        assert set(transformed[name]) >= KEYS | set(raw_metrics[name])
    assert transformed["cpu"]["cores"] == 8
    assert json.loads(json.dumps(transformed, allow_nan=False)) == transformed


@pytest.mark.parametrize(
    ("section", "raw", "current"),
    [
        ("cpu", {"usage_percent": 5, "percent": 6}, 5.0),
        ("memory", {"percent": 6}, 6.0),
        ("cpu", {"total_percent": 7}, 7.0),
        ("cpu", {"data": {"usage_percent": 8}}, 8.0),
        (
            "disk",
            {"data": {"partitions": [{"usage_percent": 9}, {"usage": {"percent": 10}}, {"percent": "full"}, None]}},
            10.0,
        ),
        ("network", {"rate_mbps": 11}, 11.0),
        ("network", {"bandwidth_mbps": 12}, 12.0),
        ("network", {"io_stats": {"rate_mbps": 13}}, 13.0),
        ("cpu", {"usage_percent": np.float64(14)}, 14.0),
        ("cpu", {"usage_percent": None, "percent": 15}, 15.0),
    ],
)
def test_each_shape_of_a_raw_section_is_understood(transformer, section, raw, current):
    out = transformer.transform_system_metrics({section: raw})
    assert out[section]["current"] == current
    assert "error" not in out[section]


def test_everything_may_be_nested_under_data(transformer):
    out = transformer.transform_system_metrics({"host": "a", "data": {"cpu": {"percent": 1}, "memory": {"percent": 2}}})
    assert (out["cpu"]["current"], out["memory"]["current"], out["host"]) == (1.0, 2.0, "a")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"bytes_sent": 1_000_000, "bytes_recv": 0}, {"bytes_sent": 1_500_000, "bytes_recv": 2_000_000}),
        (
            {"eth0": {"bytes_sent": 5}, "lo": {"bytes_recv": 7}},
            {"eth0": {"bytes_sent": 5}, "lo": {"bytes_recv": 2_500_007}},
        ),
    ],
)
def test_running_totals_become_megabits_a_second(transformer, clock, first, second):
    out = transformer.transform_system_metrics({"network": {"io_stats": first}})
    assert out["network"]["current"] is None
    assert "next reading" in out["network"]["error"]
    clock.advance(2.0)
    assert transformer.transform_system_metrics({"network": {"io_stats": second}})["network"]["current"] == 10.0


def test_smoothed_and_histories(transformer):
    out = cpu(transformer, 10, 20, 30, 40, 50, 60)
    assert out["history"] == [10, 20, 30, 40, 50, 60]
    assert out["smoothed_history"] == [10, 15, 20, 25, 30, 40]
    assert out["smoothed"] == 40
    assert out["rate_of_change"] == 10
    assert out["trend"] == "increasing"


def test_history_keeps_the_newest_of_its_size():
    transformer = MetricTransformer("t", MetricSettings(history_size=3, smoothing_window=2, percentiles=(50, 99.9)))
    out = cpu(transformer, 1, 2, 3, 4)
    assert out["history"] == [2, 3, 4]
    assert out["smoothed_history"] == [2, 2.5, 3.5]
    assert out["statistics"] == {
        "mean": 3.0,
        "min": 2.0,
        "max": 4.0,
        "std_dev": pytest.approx(np.std([2, 3, 4])),
        "percentiles": {"p50": 3.0, "p99.9": pytest.approx(3.998)},
    }


def test_first_reading(transformer):
    out = cpu(transformer, 7)
    assert (out["current"], out["smoothed"], out["rate_of_change"], out["trend"]) == (7.0, 7.0, 0.0, "unknown")
    assert (out["anomalies"], out["is_anomaly"], out["history"]) == ([], False, [7.0])


def test_anomalies_keep_their_place_in_the_history_as_it_moves():
    transformer = MetricTransformer("t", MetricSettings(history_size=12))
    out = cpu(transformer, *[10, 12] * 6, 95)
    assert (out["is_anomaly"], out["anomalies"]) == (True, [11])
    out = cpu(transformer, 11, 10)
    assert (out["is_anomaly"], out["anomalies"]) == (False, [9])
    assert out["history"][9] == 95


def test_threshold_decides_what_is_an_anomaly():
    readings = [*[10, 12] * 6, 16]
    strict = MetricTransformer("t", MetricSettings(anomaly_threshold=3.0))
    easy = MetricTransformer("t", MetricSettings(anomaly_threshold=10.0))
    assert cpu(strict, *readings)["is_anomaly"]
    assert not cpu(easy, *readings)["is_anomaly"]


@pytest.mark.parametrize(
    ("readings", "trend"),
    [
        ([5, 4, 3, 2, 1], "decreasing"),
        ([5, 5, 5, 5, 5], "stable"),
        ([1, 9, 1, 9, 1, 9], "stable"),
        ([1, 2, 3, 4], "unknown"),
    ],
)
def test_trend(transformer, readings, trend):
    assert cpu(transformer, *readings)["trend"] == trend


class Hostile:
    def __str__(self):
        raise RuntimeError("no")

    def __float__(self):
        raise TypeError("never")


class Colour(enum.IntEnum):
    RED = 3


LOOP: dict = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    "bad",
    [None, nan, inf, -1, "42", b"4", True, [], {}, object(), Hostile(), 10**400, np.nan, LOOP, 1j],
    ids=lambda bad: type(bad).__name__,
)
@pytest.mark.parametrize("key", ["usage_percent", "percent", "rate_mbps", "partitions", "io_stats", "data"])
def test_a_section_without_a_usable_number_is_marked_and_harms_nothing(transformer, key, bad):
    transformer.transform_system_metrics({"cpu": {"usage_percent": 5}, "memory": {"percent": 1}})
    out = transformer.transform_system_metrics({"cpu": {key: bad, "extra": bad}, "memory": {"percent": 2}})
    json.dumps(out, allow_nan=False)
    assert out["cpu"]["current"] is None
    assert out["cpu"]["error"]
    assert out["cpu"]["history"] == [5.0]
    assert set(out["cpu"]) >= KEYS
    assert out["memory"]["history"] == [1.0, 2.0]
    assert out["system_analysis"]["missing_sections"] == ["cpu", "disk", "network"]


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"cpu": None}, {"cpu": 3, "disk": []}])
def test_missing_sections_are_left_out(transformer, raw):
    out = transformer.transform_system_metrics(raw)
    assert set(out) - {"system_analysis"} == set()
    assert out["system_analysis"]["missing_sections"] == ["cpu", "memory", "disk", "network"]


def test_a_missed_reading_is_left_out_of_history_and_counts_in_no_statistic(transformer):
    cpu(transformer, 10, 20)
    transformer.transform_system_metrics({"memory": {"percent": 1}})
    out = cpu(transformer, 60)
    assert out["history"] == [10, 20, 60]
    assert out["statistics"]["mean"] == 30
    assert out["rate_of_change"] == 40


def test_other_entries_pass_through_as_plain_values(transformer):
    out = transformer.transform_system_metrics({"at": np.int64(5), 3: {1, 2}, "colour": Colour.RED, "deep": LOOP})
    assert (out["at"], sorted(out["3"]), out["colour"]) == (5, [1, 2], 3)
    json.dumps(out)


def test_system_analysis_names_what_stands_out(transformer):
    for reading in [10, 12] * 6:
        out = transformer.transform_system_metrics({"cpu": {"percent": reading}, "memory": {"percent": reading}})
    assert out["system_analysis"] == {
        "health_score": 1.0,
        "status": "normal",
        "anomalous_sections": [],
        "trends": {"cpu": "stable", "memory": "stable"},
        "missing_sections": ["disk", "network"],
    }
    out = transformer.transform_system_metrics({"cpu": {"percent": 11}, "memory": {"percent": 99}})
    analysis = out["system_analysis"]
    assert (analysis["status"], analysis["anomalous_sections"], analysis["health_score"]) == (
        "anomalous",
        ["memory"],
        0.5,
    )


def test_the_input_is_left_as_it_was(transformer):
    raw = {"cpu": {"data": {"percent": 3}}, "x": [1]}
    transformer.transform_system_metrics(raw)
    assert raw == {"cpu": {"data": {"percent": 3}}, "x": [1]}


def test_one_name_is_one_transformer(shared_name):
    one = get_metric_transformer(name=shared_name, history_size=60, percentiles=[50, 90])
    assert get_metric_transformer(name=shared_name, history_size=60, percentiles=(50, 90)) is one
    assert get_metric_transformer(shared_name) is one
    with pytest.raises(SettingsConflict, match="history_size is 60, asked for 61"):
        get_metric_transformer(shared_name, history_size=61)
    assert remove_metric_transformer(shared_name)
    assert get_metric_transformer(shared_name, history_size=61) is not one


@pytest.mark.parametrize(
    "wrong",
    [
        {"history_size": 1},
        {"smoothing_window": 0},
        {"anomaly_threshold": 0},
        {"percentiles": (101,)},
        {"history_size": 2.5},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        get_metric_transformer("never made", **wrong)


def test_threads_may_share_a_transformer(transformer):
    def work():
        for _ in range(50):
            cpu(transformer, 5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cpu(transformer, 5)["history"] == [5.0] * 120
