"""What the transformer costs: time a series a tick, beside sorting alone, and on request its peers, drift and memory over time.

    python benchmarks/transformer_bench.py                            all sizes, every result at every tick
    python benchmarks/transformer_bench.py --peers FILE               the same job in FILE (a naive baseline, peers, a check)
    python benchmarks/transformer_bench.py --soak-ticks 1000000       drift and memory after so many ticks

Times are medians; compare ratios within a run, not figures of two machines.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from agent.numeric.transformer import Transformer
from benchmarks.adapters import transformer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

SIZES = ((200, 120), (2_000, 120), (20_000, 120), (100_000, 120), (200, 3_600), (2_000, 3_600))
TICKS = 60


def walks(ticks: int, series: int, missing_ratio: float = 0.01) -> FloatArray:
    """Random walks, noise, ramps, heavy tails and counts in turn, shape (ticks, series)."""
    random = np.random.default_rng(0)
    data = random.standard_normal((ticks, series))
    data[:, 0::5].cumsum(axis=0, out=data[:, 0::5])
    data[:, 1::5] += random.uniform(1, 1000, data[:, 1::5].shape[1])
    data[:, 2::5] += 0.5 * np.arange(ticks)[:, None]
    np.exp(1.5 * data[:, 3::5], out=data[:, 3::5])
    data[:, 4::5] = random.poisson(3.0, data[:, 4::5].shape)
    data[random.random(data.shape) < missing_ratio] = np.nan
    return data


def times_of(call: Any, count: int) -> FloatArray:
    """Seconds of each of `count` calls of `call(number)`."""
    taken = np.empty(count)
    for number in range(count):
        start = perf_counter()
        call(number)
        taken[number] = perf_counter() - start
    return taken


def sort_time_s(data: FloatArray) -> float:
    """Seconds to copy and sort the rows of such a matrix: what no exact order statistic can do without."""
    rows = np.ascontiguousarray(data.T)
    buffer = np.empty_like(rows)

    def copy_and_sort(_number: int) -> None:
        np.copyto(buffer, rows)
        buffer.sort(axis=1)

    return float(np.median(times_of(copy_and_sort, 7)))


def measure(series: int, window: int) -> None:
    """Print one row of the table."""
    data = walks(window + TICKS, series)
    limits, groups = np.full(series, 2000.0), np.arange(series) % 10
    adapter = transformer(series, window, horizon=60, alpha=0.2, thresholds=limits, groups=groups)
    adapter.prefill(data[:window], 0)
    taken = times_of(lambda number: adapter.tick(data[window + number], window + number), TICKS)
    lean = Transformer(window)
    ids = np.arange(series, dtype=np.uint32)
    lean.prefill(ids, data[:window])
    lean_s = float(np.median(times_of(lambda number: lean.tick(ids, data[window + number]), TICKS)))
    median_s, p99_s = float(np.median(taken)), float(np.quantile(taken, 0.99))
    sort_s = sort_time_s(data[:window])
    print(
        f"{series:8} {window:7} {median_s * 1e3:10.3f} {p99_s / median_s:11.2f} {median_s * 1e6 / series:15.3f}"
        f" {lean_s * 1e3:10.3f} {sort_s * 1e3:13.3f} {median_s / sort_s:8.2f} {adapter.nbytes() / series:9.0f}"
    )


def soak(ticks: int, series: int = 20, window: int = 120) -> None:
    """Tick long, with gaps and with series that come and go, and compare with a transformer that starts afresh."""
    random = np.random.default_rng(1)
    long, fresh = Transformer(window), Transformer(window)
    ids = np.arange(series, dtype=np.uint32)
    level = np.full(series, 1e9)
    kept = np.full((window, series), np.nan)
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for tick in range(ticks):
        level += random.standard_normal(series)
        kept[tick % window] = np.where(random.random(series) < 0.05, np.nan, level)
        guest = np.array([series + tick // 60], dtype=np.uint32)
        long.tick(np.append(ids, guest), np.append(kept[tick % window], 1.0))
        if tick % 60 == 59:
            long.forget(guest)
        if tick == 10 * window:
            start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fresh.prefill(ids, np.roll(kept, -(ticks % window), axis=0))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib
    report_drift(long, fresh, kept, series)
    print(
        f"after {ticks} ticks: {grown_kib} KiB more at the peak, {long.engine.rings.row_count} rows for {series + 1} series"
    )


def report_drift(long: Transformer, fresh: Transformer, kept: FloatArray, series: int) -> None:
    """Print the largest difference of each result from the fresh one's, relative to the width of the window."""
    ours, theirs = long.statistics(), fresh.statistics()
    width = np.nanmax(kept, axis=0) - np.nanmin(kept, axis=0)
    for name in ("mean", "std", "minimum", "maximum", "moving_average", "ewma", "slope", "intercept", "forecast_high"):
        apart = np.abs(getattr(ours, name)[:series] - getattr(theirs, name)) / width
        print(f"  {name:16} {np.nanmax(apart):.1e}")


def run_peers(path: Path, *, check: bool) -> int:
    """Run the job in another program's terms; its exit code is not 0 when a result is wrong."""
    spec = importlib.util.spec_from_file_location("transformer_peers", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"--peers {path}: there is no such Python file")
    peers: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)
    adapter = ["--adapter", "benchmarks.adapters:transformer"]
    worst = int(peers.main(["--series", "200", "--window", "120", *adapter, *(["--check"] if check else [])]))
    worst |= int(peers.main(["--series", "2000,20000", "--window", "120", "--only", "naive,adapter", *adapter]))
    return worst | int(peers.main(["--series", "200,2000", "--window", "3600", "--only", "naive,adapter", *adapter]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="program with a naive baseline and peers, run with this adapter")
    parser.add_argument(
        "--no-check", action="store_true", help="with --peers: do not compare results with the naive ones"
    )
    parser.add_argument(
        "--soak-ticks", type=int, default=0, help="instead: look for drift and growth over so many ticks"
    )
    arguments = parser.parse_args()
    if arguments.soak_ticks:
        soak(arguments.soak_ticks)
        return 0
    print("  series  window    ms/tick  p99/median  us/series/tick  lean ms  copy+sort ms    ratio  B/series")
    for series, window in SIZES:
        measure(series, window)
    return run_peers(arguments.peers, check=not arguments.no_check) if arguments.peers else 0


if __name__ == "__main__":
    sys.exit(main())
