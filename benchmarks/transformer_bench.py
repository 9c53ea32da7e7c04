"""What the transformer costs: time a series a tick, beside sorting alone, and on request its peers, drift and memory over time.

    python benchmarks/transformer_bench.py                            all sizes, every result at every tick, beside the goals
    python benchmarks/transformer_bench.py --peers FILE               the same job in FILE (a naive baseline, peers, a check)
    python benchmarks/transformer_bench.py --soak-ticks 1000000       drift and memory after so many ticks

Times are medians of the thread's CPU time, so that what else the machine does counts little. Ours, the sort and the naive
baseline take turns, tick by tick, so that a slow moment of the machine slows all of them; still compare ratios within a run, not
figures of two machines. The peers run in an environment of their own, which is removed afterwards.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from agent.numeric.transformer import Transformer
from benchmarks.adapters import transformer
from benchmarks.goals import Goal
from benchmarks.peer_environment import TRANSFORMER_PEERS, run_beside_peers, versions
from benchmarks.transformer_upkeep import calls_a_tick, coming_and_going, growth, scratch_mib

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

SIZES = ((200, 120), (2_000, 120), (20_000, 120), (100_000, 120), (200, 3_600), (2_000, 3_600))
TICKS = 60
NAIVE_SERIES = 50
GROWTH_TICKS = 10_000
CALL_TICKS = 15


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table; times in seconds a tick, but for the naive baseline's: microseconds a series; NaN = not run."""

    series: int
    window: int
    median_s: float
    p99_s: float
    lean_s: float
    sort_s: float
    naive_us: float
    bytes_a_series: float

    @property
    def name(self) -> str:
        return f"{self.series:,} x {self.window:,}"

    def __str__(self) -> str:
        return (
            f"{self.series:8} {self.window:7} {self.median_s * 1e3:10.3f} {self.p99_s / self.median_s:11.2f}"
            f" {self.median_s * 1e6 / self.series:15.3f} {self.lean_s * 1e3:10.3f} {self.sort_s * 1e3:13.3f}"
            f" {self.median_s / self.sort_s:8.2f} {self.times_naive:8.0f} {self.bytes_a_series:9.0f}"
        )

    @property
    def times_naive(self) -> float:
        """How many times as fast as the naive baseline, a series."""
        return self.naive_us / (self.median_s * 1e6 / self.series)


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


def times_in_turn(calls: Sequence[Callable[[int], object]], count: int) -> FloatArray:
    """CPU seconds of `call(number)` for each number and each of the calls, which take turns; shape (calls, count)."""
    taken_ns = np.empty((len(calls), count))
    for number in range(count):
        for place, call in enumerate(calls):
            start_ns = thread_time_ns()
            call(number)
            taken_ns[place, number] = thread_time_ns() - start_ns
    return taken_ns / 1e9


def copying_and_sorting(data: FloatArray) -> Callable[[int], None]:
    """A call that copies and sorts the rows of such a matrix: what no exact order statistic can do without."""
    rows = np.ascontiguousarray(data.T)
    buffer = np.empty_like(rows)

    def copy_and_sort(_number: int) -> None:
        np.copyto(buffer, rows)
        buffer.sort(axis=1)

    return copy_and_sort


def ticking(made: Any, data: FloatArray, window: int) -> Callable[[int], object]:
    """A call that gives a transformer, which is filled first, one more tick of the data."""
    made.prefill(data[:window], 0)
    return lambda number: made.tick(data[window + number], window + number)


def measure(series: int, window: int, peers: Any | None = None) -> Measured:
    """One size, in one row of the table."""
    data, ids = walks(window + TICKS, series), np.arange(series, dtype=np.uint32)
    limits, groups = np.full(series, 2000.0), np.arange(series) % 10
    adapter = transformer(series, window, horizon=60, alpha=0.2, thresholds=limits, groups=groups)
    lean = Transformer(window)
    lean.prefill(ids, data[:window])
    calls = [
        ticking(adapter, data, window),
        lambda number: lean.tick(ids, data[window + number]),
        copying_and_sorting(data[:window]),
    ]
    if peers:
        few = peers.make_data(NAIVE_SERIES, window + TICKS)
        calls.append(ticking(peers.build(peers.Naive, NAIVE_SERIES, window), few, window))
    taken = times_in_turn(calls, TICKS)
    median_s, lean_s, sort_s, *naive_s = np.median(taken, axis=1).tolist()
    naive_us = naive_s[0] * 1e6 / NAIVE_SERIES if naive_s else np.nan
    p99_s = float(np.quantile(taken[0], 0.99))
    return Measured(series, window, median_s, p99_s, lean_s, sort_s, naive_us, adapter.nbytes() / series)


def ratio_goals(row: Measured) -> list[Goal]:
    """Goals beside what was timed in the same run."""
    least = 400.0 if row.window == 120 else 900.0
    goals = [Goal(f"{row.name}: p99 over the median", row.p99_s / row.median_s, 2.0)]
    if not np.isnan(row.times_naive):
        goals.append(Goal(f"{row.name}: times as fast as the naive baseline", row.times_naive, least, is_least=True))
    return goals


def goals_of(rows: dict[tuple[int, int], Measured]) -> list[Goal]:
    """What the table shows beside what it should."""
    small, wide, long = rows[200, 120], rows[20_000, 120], rows[2_000, 3_600]
    return [
        Goal(f"{wide.name}: ms a tick", wide.median_s * 1e3, 30.0),
        Goal(f"{wide.name}: times copy and sort", wide.median_s / wide.sort_s, 4.0),
        *ratio_goals(wide),
        Goal(f"{small.name}: ms a tick", small.median_s * 1e3, 0.8),
        Goal(f"{long.name}: ms a tick", long.median_s * 1e3, 4.0),
        *ratio_goals(long),
        Goal("200 x 3,600: ms a tick", rows[200, 3_600].median_s * 1e3, 1.0),
        Goal(f"{wide.name}: bytes a series", wide.bytes_a_series, 1_300.0),
        Goal("100,000 x 120: bytes a series", rows[100_000, 120].bytes_a_series, 1_310.0),
        Goal(f"{long.name}: bytes a series", long.bytes_a_series, 31_000.0),
        Goal("20,000 x 120: MiB of temporaries", scratch_mib(20_000, 120), 4.0),
        Goal("2,000 x 3,600: MiB of temporaries", scratch_mib(2_000, 3_600), 4.0),
    ]


def calls_of(series: int, missing_ratio: float = 0.01) -> list[int]:
    """Calls of NumPy in each of some ticks with every result."""
    full = Transformer(120, computes_all=True)
    ids, data = np.arange(series, dtype=np.uint32), walks(121 + CALL_TICKS, series, missing_ratio)
    full.prefill(ids, data[:120])
    full.tick(ids, data[120])
    return [calls_a_tick(partial(full.tick, ids, values)) for values in data[121:]]


def call_goals() -> list[Goal]:
    whole, holed = calls_of(200, 0.0), calls_of(200)
    few, many = calls_of(1_000), calls_of(1_900)
    return [
        Goal("200 x 120, nothing missing: calls of NumPy a tick", float(np.median(whole)), 200),
        Goal("200 x 120, 1 % missing: calls of NumPy a tick", float(np.median(holed)), 200),
        Goal("most calls in a tick at 1,900 series, less those at 1,000", max(many) - max(few), 0),
    ]


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


def peers_of(path: Path) -> Any:
    """The program with the peers, as a module."""
    spec = importlib.util.spec_from_file_location("transformer_peers", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"--peers {path}: there is no such Python file")
    peers: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)
    return peers


def run_peers(peers: Any) -> int:
    """Run the job in another program's terms; the exit code is not 0 when a result of ours differs from the naive one."""
    print(versions(TRANSFORMER_PEERS))
    adapter = ["--adapter", "benchmarks.adapters:transformer"]
    worst = int(peers.main(["--series", "200", "--window", "120", *adapter, "--check"]))
    worst |= int(peers.main(["--series", "2000,20000", "--window", "120", "--only", "naive,adapter", *adapter]))
    return worst | int(peers.main(["--series", "200,2000", "--window", "3600", "--only", "naive,adapter", *adapter]))


def run_goals(peers: Any | None) -> None:
    """Print the table of all sizes and the goals."""
    print("  series  window    ms/tick  p99/median  us/series/tick    lean ms  copy+sort ms  x that  x naive  B/series")
    rows = {}
    for size in SIZES:
        rows[size] = measure(*size, peers)
        print(rows[size], flush=True)
    goals = [*goals_of(rows), *call_goals(), *coming_and_going(20_000), growth(GROWTH_TICKS)]
    print("\n".join(map(str, goals)), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="program with a naive baseline and peers, run with this adapter")
    parser.add_argument(
        "--beside-peers", action="store_true", help="with --peers: only those, which are installed here"
    )
    parser.add_argument(
        "--soak-ticks", type=int, default=0, help="instead: look for drift and growth over so many ticks"
    )
    arguments = parser.parse_args()
    if arguments.soak_ticks:
        soak(arguments.soak_ticks)
        print(growth(arguments.soak_ticks))
        return 0
    peers = peers_of(arguments.peers) if arguments.peers else None
    if arguments.beside_peers:
        return run_peers(peers)
    run_goals(peers)
    if not peers:
        return 0
    return run_beside_peers("transformer_bench.py", ["--peers", str(arguments.peers.resolve())], TRANSFORMER_PEERS)


if __name__ == "__main__":
    sys.exit(main())
