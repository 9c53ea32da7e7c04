"""What the default detector reaches on copies of labelled series that are unlike those it was made on, nothing refitted.

python benchmarks/detect_altered.py --judge detect_eval.py --data FOLDER [--detector rebellion]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from detect_bench import judge, outputs

Series = dict[str, Any]
NOISE_RATIO = 0.05


def noisy(one: Series) -> Series:
    """With normal noise of a twentieth of its standard deviation."""
    noise = np.random.default_rng(7).normal(size=len(one["x"]))
    return {**one, "x": one["x"] + NOISE_RATIO * one["x"].std() * noise}


def turned_over(one: Series) -> Series:
    """What was high is low."""
    return {**one, "x": -one["x"]}


def thinned(one: Series) -> Series:
    """Every other row."""
    windows = [(first // 2, last // 2) for first, last in one["windows"]]
    return {**one, "x": one["x"][::2], "y": one["y"][::2], "windows": windows}


def stretched(one: Series) -> Series:
    """A row between every two, halfway."""
    x = np.interp(np.arange(2 * len(one["x"]) - 1) / 2, np.arange(len(one["x"])), one["x"])
    windows = [(2 * first, 2 * last) for first, last in one["windows"]]
    return {**one, "x": x, "y": np.repeat(one["y"], 2)[: len(x)], "windows": windows}


def averaged(one: Series) -> Series:
    """The mean of every three rows."""
    count = len(one["x"]) // 3
    windows = [(first // 3, min(last // 3, count - 1)) for first, last in one["windows"]]
    return {
        **one,
        "x": one["x"][: 3 * count].reshape(count, 3).mean(axis=1),
        "y": one["y"][: 3 * count : 3],
        "windows": windows,
    }


def begun_later(one: Series) -> Series:
    """Without its first tenth, or half of what comes before its first window where that is less."""
    cut = min([len(one["x"]) // 10, *(first // 2 for first, _ in one["windows"])])
    windows = [(first - cut, last - cut) for first, last in one["windows"]]
    return {**one, "x": one["x"][cut:], "y": one["y"][cut:], "windows": windows}


def backwards(one: Series) -> Series:
    """From its end to its beginning."""
    end = len(one["x"]) - 1
    windows = [(end - last, end - first) for first, last in reversed(one["windows"])]
    return {**one, "x": one["x"][::-1].copy(), "y": one["y"][::-1].copy(), "windows": windows}


def rounded(one: Series) -> Series:
    """To a thirtieth of its range."""
    step = np.ptp(one["x"]) / 30 or 1.0
    return {**one, "x": np.round(one["x"] / step) * step}


def compressed(one: Series) -> Series:
    """Its logarithm: what is heavy in the tails is so no more."""
    above = one["x"] - one["x"].min()
    return {**one, "x": np.log1p(above / (np.median(above) or above.mean() or 1.0))}


def squared(one: Series) -> Series:
    """Its tails are heavier than they were."""
    return {**one, "x": (one["x"] - one["x"].min()) ** 2}


def with_gaps(one: Series) -> Series:
    """Forty-eight rows there, twelve missing, and so on; on average."""
    is_gone = np.arange(len(one["x"])) % 2 == 1
    lasts = np.random.default_rng(3).geometric(np.where(is_gone, 1 / 12, 1 / 48))
    return {**one, "x": np.where(np.repeat(is_gone, lasts)[: len(one["x"])], np.nan, one["x"])}


def woken(one: Series) -> Series:
    """After five hundred rows in which nothing moves."""
    count = 500
    windows = [(first + count, last + count) for first, last in one["windows"]]
    still, quiet = np.full(count, one["x"][0]), np.zeros(count, dtype=int)
    return {**one, "x": np.concatenate((still, one["x"])), "y": np.concatenate((quiet, one["y"])), "windows": windows}


ALTERED: tuple[Callable[[Series], Series], ...] = (
    noisy,
    turned_over,
    thinned,
    averaged,
    stretched,
    begun_later,
    backwards,
    rounded,
    compressed,
    squared,
    with_gaps,
    woken,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True, help="program with the scoring rules")
    parser.add_argument("--data", type=Path, required=True, help="folder with nab_dev.zip")
    parser.add_argument("--detector", default="rebellion")
    arguments = parser.parse_args()
    tool = judge(arguments.judge)
    series = tool.load("nab", "dev", str(arguments.data))
    print(f"{arguments.detector:12} standard  false/1000")
    for alter in (dict, *ALTERED):
        altered = [alter(one) for one in series]
        _, alerts = outputs(arguments.detector, altered)
        score = tool.NabScorer(altered).at(alerts, "standard", 0.5)
        false_rows = sum(int((alerts[one["name"]] * (one["y"] == 0)).sum()) for one in altered)
        name = "as it is" if alter is dict else alter.__name__.replace("_", " ")
        print(f"{name:12} {score:8.1f}  {1000 * false_rows / sum(len(one['x']) for one in altered):10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
