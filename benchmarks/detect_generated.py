"""What a detector reaches on generated series: eleven backgrounds, ten kinds of anomaly, seconds to hours, 800 to 16,000 rows.

A second judge beside labelled data: it tells which kinds are seen, and where false alerts come from. Its world is simpler than
the real one, so its figures compare detectors with each other and with nothing else.

python benchmarks/detect_generated.py --judge detect_eval.py [--detector rebellion] [--seed 3]
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from detect_bench import judge, outputs
from numpy.random import Generator
from numpy.typing import NDArray

Series = dict[str, Any]
FloatArray = NDArray[np.float64]
DAY_S = 86_400
PERIODS_S = (60, 300, 900, 3600)
SHORTEST_COUNT, LONGEST_COUNT = 800, 16_000
COPIES = 24
QUIET_RATIO = 0.3
"""Share of the series without an anomaly."""
WINDOW_RATIO = 0.1
"""Share of a series that its windows cover together, as NAB has it."""
FIRST_RATIO = 0.2
"""Anomalies come after this share of a series."""


def noise(rng: Generator, count: int, _day: int) -> FloatArray:
    """Correlated normal noise round a level."""
    shocks, keep = rng.standard_normal(count), rng.choice([0.0, 0.5, 0.9])
    values = np.empty(count)
    now = 0.0
    for place in range(count):
        now = keep * now + shocks[place]
        values[place] = now
    return 50.0 + values * rng.uniform(0.5, 4.0)


def heavy_tailed(rng: Generator, count: int, _day: int) -> FloatArray:
    """Latency: log-normal, a few times its median now and then."""
    return 20.0 * np.exp(rng.uniform(0.3, 0.8) * rng.standard_normal(count))


def daily(rng: Generator, count: int, day: int) -> FloatArray:
    """Web traffic: a day's rhythm whose height varies from day to day, with weekends of its own half of the time."""
    time = np.arange(count) / day
    height = 1.0 + 0.1 * rng.standard_normal(int(time[-1]) + 2)[time.astype(int)]
    weekend = np.where((time.astype(int) % 7 >= 5) & (rng.random() < 0.5), 0.6, 1.0)
    shape = np.clip(np.sin(2 * np.pi * (time - rng.random())) + rng.uniform(0.0, 1.0), 0.0, None)
    return 20.0 + 100.0 * height * weekend * shape + rng.uniform(1.0, 8.0) * rng.standard_normal(count)


def square(rng: Generator, count: int, day: int) -> FloatArray:
    """A job that runs at the same hours every day."""
    busy = ((np.arange(count) / day + rng.random()) % 1.0) < rng.uniform(0.1, 0.6)
    return np.where(busy, 70.0, 15.0) + rng.uniform(0.0, 4.0) * rng.standard_normal(count)


def bursts(rng: Generator, count: int, _day: int) -> FloatArray:
    """Nearly idle, with short bursts at random."""
    height = np.where(rng.random(count) < rng.uniform(0.005, 0.03), rng.uniform(20.0, 60.0, count), 0.0)
    return 2.0 + 0.2 * rng.standard_normal(count) + height


def counts(rng: Generator, count: int, day: int) -> FloatArray:
    """Whole numbers, few of them: errors, connections."""
    rate = rng.uniform(0.5, 10.0) * (1.0 + 0.7 * np.sin(2 * np.pi * np.arange(count) / day))
    return rng.poisson(rate).astype(float)


def states(rng: Generator, count: int, _day: int) -> FloatArray:
    """Two levels, held for a random while each."""
    lasts = rng.geometric(1.0 / rng.uniform(30.0, 150.0), count)
    held = np.repeat(np.arange(count) % 2, lasts)[:count]
    return np.where(held, 60.0, 25.0) + rng.uniform(0.2, 3.0) * rng.standard_normal(count)


def saw(rng: Generator, count: int, _day: int) -> FloatArray:
    """Memory under a garbage collector."""
    length = rng.uniform(40.0, 300.0)
    return 30.0 + 40.0 * ((np.arange(count) / length) % 1.0) + rng.uniform(0.1, 2.0) * rng.standard_normal(count)


def walk(rng: Generator, count: int, _day: int) -> FloatArray:
    """A level that wanders and is drawn back."""
    shocks, now, values = rng.standard_normal(count), 0.0, np.empty(count)
    for place in range(count):
        now = 0.998 * now + shocks[place]
        values[place] = now
    return 500.0 + values


def constant(rng: Generator, count: int, _day: int) -> FloatArray:
    """One value, or hardly anything else."""
    jitter = rng.choice([0.0, 0.01]) * rng.standard_normal(count)
    return np.round(45.0 + jitter, 2)


def held(rng: Generator, count: int, _day: int) -> FloatArray:
    """A value that seldom changes: space used, processes."""
    changes = np.where(rng.random(count) < rng.uniform(0.002, 0.1), rng.integers(-3, 4, count), 0)
    return 400.0 + changes.cumsum()


BACKGROUNDS = (noise, heavy_tailed, daily, square, bursts, counts, states, saw, walk, constant, held)


def spike(rng: Generator, x: FloatArray, at: int, scale: float, _length: int) -> None:
    """One to three values far above."""
    x[at : at + rng.integers(1, 4)] += scale * rng.uniform(1.0, 4.0)


def dip(rng: Generator, x: FloatArray, at: int, scale: float, length: int) -> None:
    """An outage: nothing for a while."""
    x[at : at + max(3, length // 4)] = min(0.0, x.min() - 0.2 * scale * rng.random())


def shift(rng: Generator, x: FloatArray, at: int, scale: float, _length: int) -> None:
    """Another level from here on."""
    x[at:] += scale * rng.uniform(0.5, 2.0) * rng.choice([-1.0, 1.0])


def bump(rng: Generator, x: FloatArray, at: int, scale: float, length: int) -> None:
    """Another level for a while."""
    x[at : at + length] += scale * rng.uniform(0.5, 2.0) * rng.choice([-1.0, 1.0])


def louder(rng: Generator, x: FloatArray, at: int, scale: float, length: int) -> None:
    """More noise for a while."""
    x[at : at + length] += scale * rng.uniform(0.3, 1.0) * rng.standard_normal(len(x[at : at + length]))


def stuck(_rng: Generator, x: FloatArray, at: int, _scale: float, length: int) -> None:
    """The same value for a while."""
    x[at : at + length] = x[at]


def middle(_rng: Generator, x: FloatArray, at: int, _scale: float, length: int) -> None:
    """A plateau inside the range."""
    low, high = np.percentile(x, [2.0, 98.0])
    x[at : at + length] = low + 0.5 * (high - low) + 0.01 * (x[at : at + length] - x.mean())


def ramp(rng: Generator, x: FloatArray, at: int, scale: float, length: int) -> None:
    """A slow rise out of the usual."""
    x[at : at + length] += scale * rng.uniform(1.0, 3.0) * np.linspace(0.0, 1.0, len(x[at : at + length]))


def denser(rng: Generator, x: FloatArray, at: int, scale: float, length: int) -> None:
    """Spikes that the series knows, too many of them."""
    part = x[at : at + length]
    part[rng.random(len(part)) < 0.3] = np.percentile(x, 99.5) + 0.1 * scale * rng.random()


def shuffled(rng: Generator, x: FloatArray, at: int, _scale: float, length: int) -> None:
    """The usual values in an unusual order."""
    x[at : at + length] = rng.permutation(x[at : at + length])


ANOMALIES = (spike, dip, shift, bump, louder, stuck, middle, ramp, denser, shuffled)


def generated(rng: Generator, background: Callable[[Generator, int, int], FloatArray], name: str) -> Series:
    """One series, with none to three anomalies in it."""
    count = int(np.exp(rng.uniform(np.log(SHORTEST_COUNT), np.log(LONGEST_COUNT))))
    period_s = int(rng.choice(PERIODS_S))
    x = background(rng, count, DAY_S // period_s)
    scale = float(np.percentile(x, 99.0) - np.percentile(x, 1.0)) or 1.0
    number = 0 if rng.random() < QUIET_RATIO else int(rng.integers(1, 4))
    bounds = np.linspace(FIRST_RATIO * count, count, number + 1)
    windows, kinds = [], []
    half = int(WINDOW_RATIO * count / max(number, 1) / 2)
    for first, last in pairwise(bounds):
        at = int(rng.uniform(first + half + 1, last - half - 2))
        kind = ANOMALIES[rng.integers(len(ANOMALIES))]
        kind(rng, x, at, scale, min(half, int(rng.uniform(20, 200))))
        windows.append((at - half, at + half))
        kinds.append(kind.__name__)
    y = np.zeros(count, dtype=int)
    for first, last in windows:
        y[first : last + 1] = 1
    kind_of = background.__name__
    return {"name": name, "x": x, "y": y, "windows": windows, "kinds": kinds, "background": kind_of}


def corpus(seed: int) -> list[Series]:
    """All series of a seed."""
    rng = np.random.default_rng(seed)
    return [generated(rng, one, f"{one.__name__} {copy}") for one in BACKGROUNDS for copy in range(COPIES)]


def seen_ratios(series: list[Series], alerts: dict[str, Any]) -> dict[str, float]:
    """Share of the anomalies of each kind in whose window an alert is."""
    found: dict[str, list[bool]] = defaultdict(list)
    for one in series:
        for kind, (first, last) in zip(one["kinds"], one["windows"], strict=True):
            found[kind].append(bool(alerts[one["name"]][first : last + 1].any()))
    return {kind: float(np.mean(hits)) for kind, hits in sorted(found.items())}


def false_per_thousand(series: list[Series], alerts: dict[str, Any]) -> dict[str, float]:
    """Alerts outside of windows in 1,000 rows, by background."""
    wrong, rows = defaultdict(float), defaultdict(float)
    for one in series:
        wrong[one["background"]] += 1000 * float((alerts[one["name"]] * (one["y"] == 0)).sum())
        rows[one["background"]] += len(one["x"])
    return {kind: wrong[kind] / rows[kind] for kind in wrong}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True, help="program with the scoring rules")
    parser.add_argument("--detector", default="rebellion")
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    series = corpus(arguments.seed)
    _, alerts = outputs(arguments.detector, series)
    score = judge(arguments.judge).NabScorer(series).at(alerts, "standard", 0.5)
    false_rows = sum(float((alerts[one["name"]] * (one["y"] == 0)).sum()) for one in series)
    rows = sum(len(one["x"]) for one in series)
    print(
        f"{arguments.detector}, {len(series)} series: standard {score:.1f}, {1000 * false_rows / rows:.2f} false in 1,000"
    )
    print("seen: " + ", ".join(f"{kind} {ratio:.2f}" for kind, ratio in seen_ratios(series, alerts).items()))
    print(
        "false in 1,000: "
        + ", ".join(f"{kind} {rate:.2f}" for kind, rate in false_per_thousand(series, alerts).items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
