"""The hub's benchmark in its smallest form: every figure is there, and nothing that was sent is missing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "benchmarks" / "hub_bench.py"

pytestmark = pytest.mark.system


def test_the_benchmark_measures_a_hub_that_stores_what_it_acknowledges(tmp_path):
    sizes = {"--agents": 4, "--series": 10, "--seconds": 2, "--history-agents": 1, "--history-minutes": 3, "--idle": 3}
    words = [str(word) for pair in sizes.items() for word in pair]
    done = subprocess.run(
        [sys.executable, str(BENCH), *words, "--json", "--folder", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["offered_points"] == figures["acked_points"] == figures["stored_points"] == 4 * 10 * 2
    assert figures["nacks"] == 0
    assert figures["chunk_bytes_a_point"] > 1
    measured = {"ack_p99_s", "rss_mib", "hub_core_share", "hour_of_a_series_ms", "list_of_agents_ms"}
    assert all(math.isfinite(figures[name]) and figures[name] > 0 for name in measured)
    assert figures["hour_of_a_series_points"] >= 170
    assert list(tmp_path.iterdir()) == []
