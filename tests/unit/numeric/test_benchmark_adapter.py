import importlib.util
from pathlib import Path

import numpy as np
import pytest

FIELDS = (
    *("n", "mean", "std", "min", "max", "p50", "p95", "p99", "sma5", "ewma", "z", "rz"),
    *("slope", "intercept", "r2", "fc", "fc_lo", "fc_hi", "ttt", "health"),
)


@pytest.fixture(scope="module")
def make():
    path = Path(__file__).parents[3] / "benchmarks" / "adapters.py"
    spec = importlib.util.spec_from_file_location("adapters_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda series, window, groups: module.transformer(
        series, window, horizon=60, alpha=0.2, thresholds=np.full(series, 20.0), groups=np.array(groups, dtype=np.int64)
    )


def test_every_output_is_there_for_every_series(make):
    adapter = make(3, 12, [0, 1, 1])
    adapter.prefill(np.arange(36.0).reshape(12, 3), 0)
    out = adapter.tick(np.array([36.0, 37.0, 38.0]), 12)
    assert sorted(out) == sorted(FIELDS)
    assert all(len(out[name]) == 3 for name in FIELDS if name != "health")
    assert out["slope"] == pytest.approx([3, 3, 3])
    assert adapter.nbytes() > 3 * 12 * 8


def test_health_is_by_group_and_nan_without_a_scored_member(make):
    adapter = make(4, 20, [0, 0, 3, 1])
    random = np.random.default_rng(0)
    for tick in range(30):
        adapter.tick(np.array([*random.normal(size=2), np.nan, 5.0]), tick)
    out = adapter.tick(np.array([0.0, 1e9, np.nan, 5.0]), 30)
    assert out["health"][0] == pytest.approx(50 * (2 - min(abs(out["rz"][0]) / 6, 1) - 1))
    assert np.isnan(out["health"][[2, 3]]).all()
    assert out["health"][1] == 100


def test_no_series_at_all(make):
    assert make(0, 5, []).tick(np.empty(0), 0)["health"].shape == (0,)
