"""How much of labelled series survives each sampling strategy, and what it costs.

Reads a zip of CSV files (`timestamp,value`) with a `windows.json` (file -> [[from, to], ...] of labelled anomalies), cuts each
series into blocks, lets each strategy keep a share of each block, and draws straight lines between what it kept.

    python benchmarks/sampling.py --data nab_dev.zip

Columns:
    kept        points kept, share of all
    nrmse       root mean square error of the drawn lines over the series' standard deviation, mean over the series
    max         largest error over the series' range, mean over the series
    exceptional share kept of the 1 % of points farthest from their trailing median, in MADs
    visible     share of the labelled windows whose extreme point (farthest from the series' median) has a kept point within two
                steps whose value is within 10 % of the range
    centre      the same for the middle of each window
    ns          nanoseconds a point in `keep`, of this thread's CPU time, the best of three rounds

The last two rows need no buffer: steered swinging doors, all series in one call a tick, each point decided as it comes. The first
has the labelled series alone, the second says what a point costs where 200 series go through at once.

At a tenth the goals stand below the table. At the end is what is left of an outage in which only a fiftieth may stay: 50,000
points of 200 series with Zipf rates, 0.2 % of them critical, and a burst, through the daemon's buffer.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import time
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from goals import Goal

from agent.builtin import BUILTIN, load_builtin
from agent.clock import SystemClock
from agent.contracts import Block, Kept, Sampler
from agent.model import Batch, PointFlag
from agent.numeric.swinging_door import SteeredDoors
from agent.resilience.buffer import BatchBuffer, BufferSettings

TRAILING = 120
EXCEPTIONAL_RATIO = 0.01
NEAR_STEPS = 2
NEAR_RATIO = 0.1
ROUNDS = 3
MANY_SERIES = 200
MANY_TICKS = 2000
GOALS_RATIO = 0.1
PLUGIN_LABEL = {"hybrid": "hybrid (default)"}


@dataclass(frozen=True)
class Labelled:
    """One series: values, which of them are exceptional, and the positions in each labelled window."""

    values: np.ndarray
    is_exceptional: np.ndarray
    windows: list[np.ndarray]


def read(path: Path) -> list[Labelled]:
    with zipfile.ZipFile(path) as archive:
        windows = json.loads(archive.read("windows.json"))
        return [
            read_one(archive, name, windows.get(name, []))
            for name in sorted(archive.namelist())
            if name.endswith(".csv")
        ]


def read_one(archive: zipfile.ZipFile, name: str, labels: list[list[str]]) -> Labelled:
    rows = list(csv.DictReader(io.TextIOWrapper(archive.open(name), "utf-8")))
    seconds = np.array([moment(row["timestamp"]) for row in rows])
    values = np.array([float(row["value"]) for row in rows])
    spans = [np.flatnonzero((seconds >= moment(a)) & (seconds <= moment(b))) for a, b in labels]
    return Labelled(values, farthest(values), [span for span in spans if len(span)])


def moment(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - the files say no zone


def farthest(values: np.ndarray) -> np.ndarray:
    """The 1 % of points farthest from the median of the points before them, in median absolute deviations."""
    before = np.lib.stride_tricks.sliding_window_view(values, TRAILING)[:-1]
    median = np.median(before, axis=1)
    mad = np.median(np.abs(before - median[:, None]), axis=1)
    far = np.zeros(len(values))
    far[TRAILING:] = np.abs(values[TRAILING:] - median) / (mad + 1e-3 * values.std() + 1e-12)
    count = int(len(values) * EXCEPTIONAL_RATIO)
    found = np.zeros(len(values), bool)
    found[np.argsort(far)[len(far) - count :]] = True
    return found & (far > 3)


def sampler_of(name: str) -> Sampler:
    registration = load_builtin("sampling", name)
    config = registration.config() if registration.config else None
    return registration.factory(config, SimpleNamespace(name=name, rng=random.Random(1)))


def block_of(one: Labelled, part: slice) -> Block:
    values, flags = one.values[part], one.is_exceptional[part]
    size = len(values)
    return Block(
        np.arange(size, dtype=np.float64),
        np.zeros(size, np.uint32),
        values,
        flags.astype(np.int64),
        flags,
        np.ones(size),
    )


@dataclass
class Tally:
    """What is summed up over all series."""

    nrmse: list[float]
    largest: list[float]
    exceptional: list[int]
    visible: list[bool]
    centre: list[bool]
    points: int = 0
    kept: int = 0
    seconds: float = 0.0

    def add(self, one: Labelled, index: np.ndarray, drawn: np.ndarray) -> None:
        values, span = one.values, float(np.ptp(one.values))
        self.points += len(values)
        self.kept += len(index)
        if span > 0:
            miss = drawn - values
            self.nrmse.append(float(np.sqrt((miss**2).mean()) / values.std()))
            self.largest.append(float(np.abs(miss).max() / span))
        self.exceptional += np.isin(np.flatnonzero(one.is_exceptional), index).tolist()
        for window in one.windows:
            extreme = window[np.abs(values[window] - np.median(values)).argmax()]
            self.visible.append(is_visible(values, index, extreme, span))
            self.centre.append(is_visible(values, index, window[len(window) // 2], span))

    def row(self) -> list[float]:
        ns = self.seconds / self.points * 1e9
        means = [float(np.mean(x)) for x in (self.nrmse, self.largest, self.exceptional, self.visible, self.centre)]
        return [self.kept / self.points, *means, ns]


def is_visible(values: np.ndarray, index: np.ndarray, point: int, span: float) -> bool:
    near = index[np.abs(index - point) <= NEAR_STEPS]
    return bool((np.abs(values[near] - values[point]) <= NEAR_RATIO * span).any())


def measure(series: list[Labelled], name: str, ratio: float, block_points: int) -> Tally:
    tally = Tally([], [], [], [], [])
    for one in series:
        blocks = [block_of(one, slice(at, at + block_points)) for at in range(0, len(one.values), block_points)]
        kept, seconds = thinned(blocks, name, ratio)
        tally.seconds += seconds
        places = np.concatenate([one.index + number * block_points for number, one in enumerate(kept)])
        shown = np.concatenate([shown_values(*pair) for pair in zip(blocks, kept, strict=True)])
        tally.add(one, places, np.interp(np.arange(len(one.values)), places, shown))
    return tally


def thinned(blocks: list[Block], name: str, ratio: float) -> tuple[list[Kept], float]:
    """What is kept of each block, and the CPU seconds that it took in the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        sampler = sampler_of(name)
        began = time.thread_time()
        kept = [sampler.keep(block, int(len(block) * ratio)) for block in blocks]
        best = min(best, time.thread_time() - began)
    return kept, best


def measure_doors(series: list[Labelled], ratio: float) -> Tally:
    """One pass over all series at once; those that are over first drop out."""
    tally, sizes = Tally([], [], [], [], []), np.array([len(one.values) for one in series])
    ticks = np.full((sizes.max(), len(series)), np.nan)
    for column, one in enumerate(series):
        ticks[: len(one.values), column] = one.values
    doors, sent = SteeredDoors(len(series), ratio), []
    began = time.thread_time()
    for number, tick in enumerate(ticks):
        slots = np.flatnonzero(sizes > number)
        sent.append(doors.offer(slots, float(number), tick[slots]))
    tally.seconds = time.thread_time() - began
    slots = np.concatenate([slots for slots, _, _ in sent])
    steps = np.concatenate([moments for _, moments, _ in sent]).astype(np.int64)
    for column, one in enumerate(series):
        places = np.unique(np.concatenate(([0], steps[slots == column], [len(one.values) - 1])))
        tally.add(one, places, np.interp(np.arange(len(one.values)), places, one.values[places]))
    return tally


def many_doors(series: list[Labelled], ratio: float) -> tuple[float, float]:
    """Share sent and nanoseconds a point, best of some rounds, with the labelled series over and over in 200 columns."""
    columns = [np.resize(series[number % len(series)].values, MANY_TICKS) for number in range(MANY_SERIES)]
    ticks, slots, best = np.stack(columns, axis=1), np.arange(MANY_SERIES), float("inf")
    for _ in range(ROUNDS):
        doors, sent = SteeredDoors(MANY_SERIES, ratio), 0
        began = time.thread_time()
        for number, tick in enumerate(ticks):
            sent += len(doors.offer(slots, float(number), tick)[0])
        best = min(best, time.thread_time() - began)
    return sent / ticks.size, best / ticks.size * 1e9


def shown_values(block: Block, kept: Kept) -> np.ndarray:
    return block.values[kept.index] if kept.values is None else kept.values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="zip of labelled series")
    parser.add_argument("--block", type=int, default=1000, help="points a block (1000)")
    parser.add_argument("--ratio", type=float, nargs="+", default=[0.02, 0.05, 0.1, 0.2], help="shares to keep")
    parser.add_argument("--strategy", nargs="+", default=list(BUILTIN["sampling"]), help="strategies (all)")
    given = parser.parse_args()
    series = read(given.data)
    labels = sum(len(one.windows) for one in series)
    print(
        f"{len(series)} series, {sum(len(one.values) for one in series)} points, {labels} labels, blocks of {given.block}"
    )
    for ratio in given.ratio:
        print(f"\n{ratio:.0%}  {'':17}" + "".join(f"{head:>12}" for head in HEADS))
        rows = {name: measure(series, name, ratio, given.block).row() for name in given.strategy}
        doors, (kept, ns) = measure_doors(series, ratio).row(), many_doors(series, ratio)
        for name, row in rows.items():
            show(PLUGIN_LABEL.get(name, name), row)
        show("doors, no buffer", doors)
        print(f"     {f'doors, {MANY_SERIES} series':17}{kept:12.3f}{'':60}{ns:12.0f}")
        if ratio == GOALS_RATIO:
            print(*goals(rows, doors, ns), sep="\n")
    show_lanes()


def goals(rows: dict[str, list[float]], doors: list[float], doors_ns: float) -> list[Goal]:
    """What is wanted of the two strategies that keep the course, and of the doors, at a tenth in blocks of at most 1,000."""
    found = []
    if "change" in rows:
        _, nrmse, _, _, visible, _, _ = rows["change"]
        found += [Goal("change: nrmse", nrmse, 0.28), Goal("change: visible", visible, 0.87, is_least=True)]
    if "hybrid" in rows:
        _, nrmse, _, exceptional, _, _, ns = rows["hybrid"]
        found += [Goal("hybrid: nrmse", nrmse, 0.33), Goal("hybrid: exceptional", exceptional, 0.95, is_least=True)]
        found += [Goal("hybrid: ns a point", ns, 2000)]
    kept, nrmse, _, _, visible, _, _ = doors
    found += [Goal("doors: nrmse", nrmse, 0.65), Goal("doors: visible", visible, 0.68, is_least=True)]
    found += [Goal("doors: share sent, off the wished one", abs(kept / GOALS_RATIO - 1), 0.15)]
    return [*found, Goal(f"doors: ns a point, {MANY_SERIES} series at once", doors_ns, 500)]


def show_lanes() -> None:
    """What the daemon's buffer keeps of an outage, in 1,000 places."""
    rng, popularity = np.random.default_rng(11), 1 / np.arange(1, 201)
    time_s = np.sort(np.concatenate([rng.uniform(0, 1000, 40_000), rng.uniform(400, 420, 10_000)]))
    ids = rng.choice(200, 50_000, p=popularity / popularity.sum()).astype(np.uint32)
    flags = np.where(rng.random(50_000) < 0.002, PointFlag.CRITICAL.value, 0).astype(np.uint8)
    settings = BufferSettings(max_points=1000, max_age_s=1e12)
    buffer = BatchBuffer("bench", settings, sampler_of("hybrid"), clock=SystemClock())
    for at in range(50_000):
        one = slice(at, at + 1)
        buffer.put(Batch(int(time_s[at] * 1e9), time_s[at], ids[one], rng.normal(size=1), flags[one]))
    kept = [record for record in buffer.take(10**6, 10**9) if isinstance(record, Batch)]
    flagged = [batch.flags & PointFlag.CRITICAL.value for batch in kept if batch.flags is not None]
    critical = np.count_nonzero(np.concatenate(flagged))
    series = {one for batch in kept for one in batch.ids.tolist()}
    twentieths = np.histogram([batch.monotonic_s for batch in kept], bins=20, range=(0, 1000))[0]
    print(
        f"\noutage in 1,000 places: {len(kept)} points, {critical} of {np.count_nonzero(flags)} critical, {len(series)} of 200"
        f" series, {np.count_nonzero(twentieths == 0)} of 20 parts empty, newest kept: {kept[-1].monotonic_s == time_s[-1]}"
    )


def show(name: str, row: list[float]) -> None:
    figures = "".join(f"{value:12.3f}" for value in row[:-1])
    print(f"     {name:17}{figures}{row[-1]:12.0f}")


HEADS = ("kept", "nrmse", "max", "exceptional", "visible", "centre", "ns")

if __name__ == "__main__":
    main()
