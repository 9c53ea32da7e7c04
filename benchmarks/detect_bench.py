"""Judge the shipped detectors by another program's rules (NAB score, precision-recall), and time them.

Every figure is taken at the alerts that a detector gives with its shipped settings; no threshold is fitted. `seasonal` is told
the period of the data (288 values), as it would be by whoever switches it on. `worst` and `best` are the standard score with one
series left out: how much a single one decides.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.builtin import BUILTIN, load_builtin

if TYPE_CHECKING:
    from agent.contracts import Detector

SETTINGS: dict[str, dict[str, Any]] = {"seasonal": {"period_count": 288}}
TIMED_TICKS = 500


def make(name: str) -> Detector:
    registration = load_builtin("detectors", name)
    assert registration.config is not None
    made: Detector = registration.factory(registration.config(**SETTINGS.get(name, {})), None)
    return made


def judge(path: Path) -> Any:
    """The program that judges, as a module."""
    spec = importlib.util.spec_from_file_location("detect_eval", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"--judge {path}: there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(name: str, series: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores and alerts of each series, all ticked through together, each from its own first value."""
    rows = max(len(one["x"]) for one in series)
    data = np.full((rows, len(series)), np.nan)
    for column, one in enumerate(series):
        data[: len(one["x"]), column] = one["x"]
    detector, slots = make(name), np.arange(len(series))
    results = [detector.learn_and_score(slots, values) for values in data]
    scores, alerts = (np.array([result[part] for result in results]) for part in (0, 1))
    ends = [(column, one["name"], len(one["x"])) for column, one in enumerate(series)]
    dense = {name: np.nan_to_num(scores[:end, column]) for column, name, end in ends}
    return dense, {name: alerts[:end, column].astype(float) for column, name, end in ends}


def without_one(tool: Any, series: list[dict[str, Any]], alerts: dict[str, Any]) -> list[float]:
    """Standard score with each series left out in turn."""
    kept = [[other for other in series if other is not one] for one in series]
    return [tool.NabScorer(part).at(alerts, "standard", 0.5) for part in kept]


def quality(tool: Any, series: list[dict[str, Any]], name: str) -> str:
    dense, alerts = outputs(name, series)
    scorer = tool.NabScorer(series)
    nab = [scorer.at(alerts, profile, 0.5) for profile in tool.PROFILES]
    apart = without_one(tool, series, alerts)
    false_rows = sum(int((alerts[one["name"]] * (one["y"] == 0)).sum()) for one in series)
    labelled = [one for one in series if 0 < one["y"].sum() < len(one["y"])]
    precision = np.mean([tool.average_precision(one["y"], dense[one["name"]]) for one in labelled])
    volume = np.mean([tool.vus_pr(one["y"], dense[one["name"]]) for one in labelled])
    per_thousand = 1000.0 * false_rows / sum(len(one["x"]) for one in series)
    return (
        f"{nab[0]:9.1f} {nab[1]:7.1f} {nab[2]:7.1f} {min(apart):7.1f} {max(apart):6.1f} {per_thousand:11.2f}"
        f" {precision:7.3f} {volume:7.3f}"
    )


def microseconds(name: str, series: int) -> tuple[float, float]:
    """CPU microseconds a value, median over ticks, and bytes a series."""
    detector, slots = make(name), np.arange(series)
    data = np.random.default_rng(1).standard_normal((TIMED_TICKS, series))
    taken = []
    for values in data:
        start_ns = time.thread_time_ns()
        detector.learn_and_score(slots, values)
        taken.append(time.thread_time_ns() - start_ns)
    nbytes: Any = getattr(detector, "nbytes", lambda: np.nan)
    return float(np.median(taken[TIMED_TICKS // 2 :])) / 1000.0 / series, nbytes() / series


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, help="program with the scoring rules; needs --data")
    parser.add_argument("--data", type=Path, help="folder with nab_dev.zip")
    arguments = parser.parse_args()
    tool = judge(arguments.judge) if arguments.judge and arguments.data else None
    series = tool.load("nab", "dev", str(arguments.data)) if tool else []
    print(
        "detector   standard   lowFP   lowFN   worst   best  false/1000      AP     VUS  us alone  us at 1000  B/series"
    )
    for name in BUILTIN["detectors"]:
        told = quality(tool, series, name) if tool else " " * 67
        alone, (together, size) = microseconds(name, 1)[0], microseconds(name, 1000)
        print(f"{name:10} {told} {alone:9.1f} {together:11.3f} {size:9.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
