"""How good forecasts and predicted failures are, beside what people use today.

    python benchmarks/forecast_bench.py --data nab_dev.zip      a zip of CSV files, `timestamp,value`

First part: each series is forecast 24 rows ahead from 12 moments (evenly spaced from 30 % of it to its end), each time from
what was known then. `mase` is the mean absolute error over the mean absolute step of the history (1 = as far off as one step),
`coverage` the share of values inside the 90 % interval. Beside it the last value, a least-squares line over 60 rows (what
Prometheus calls predict_linear) and Theil-Sen over 60 rows. A series that never moves has no mase.

Second part: generated series (benchmarks/failures.py), one value a minute, looked at every 10 minutes once four hours are
known, through the last four hours and through all that is known. An alarm is a crossing expected within four hours. `recall` is
the share of the series that cross whose first alarm comes before they do, `false` the share of the others that ever alarm, `lead`
the median time from first alarm to crossing, counted up to four hours; `early` the share whose first alarm came over six hours
before.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from benchmarks.adapters import forecaster
from benchmarks.failures import LIMIT, STEP_S, Case, make_cases

FloatArray = NDArray[np.float64]
Eta = Callable[[FloatArray, FloatArray, float], float]

STEPS, MOMENTS, FIRST_RATIO, LINE_ROWS = 24, 12, 0.3, 60
WINDOW = round(4 * 3600 / STEP_S)
EVERY = round(600 / STEP_S)
ALARM_S = 4 * 3600.0


def read(path: Path) -> list[tuple[str, FloatArray, FloatArray]]:
    """Name, Unix seconds and values of each CSV file in a zip."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".csv"))
        return [(name, *_columns(archive.read(name).decode())) for name in names]


def _columns(text: str) -> tuple[FloatArray, FloatArray]:
    rows = [row for row in csv.reader(io.StringIO(text)) if len(row) >= 2][1:]
    times = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp() for row in rows]
    return np.array(times), np.array([float(row[1]) for row in rows])


def last_value(values: FloatArray) -> FloatArray:
    return np.full(STEPS, values[-1])


def line(values: FloatArray) -> FloatArray:
    slope, now = np.polyfit(np.arange(1 - LINE_ROWS, 1), values[-LINE_ROWS:], 1)
    return np.asarray(now + slope * np.arange(1, STEPS + 1))


def theil_sen_line(values: FloatArray) -> FloatArray:
    rows = values[-LINE_ROWS:]
    earlier, later = np.triu_indices(LINE_ROWS, 1)
    slope = np.median((rows[later] - rows[earlier]) / (later - earlier))
    return np.asarray(np.median(rows - slope * np.arange(1 - LINE_ROWS, 1)) + slope * np.arange(1, STEPS + 1))


OTHERS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "last value": last_value,
    "line, 60 rows": line,
    "Theil-Sen, 60 rows": theil_sen_line,
}


def forecasts(path: Path) -> None:
    """Print the first part."""
    ours = forecaster()
    errors: dict[str, list[float]] = {name: [] for name in ("shipped", *OTHERS)}
    covered: list[float] = []
    spent_s = 0.0
    for _name, times, values in read(path):
        moments = np.linspace(int(len(values) * FIRST_RATIO), len(values) - STEPS - 1, MOMENTS).astype(int)
        found: dict[str, list[float]] = {name: [] for name in errors}
        for moment in moments.tolist():
            known, truth = values[:moment], values[moment : moment + STEPS]
            start_s = process_time()
            point, low, high = ours.forecast(times[:moment], known, STEPS)
            spent_s += process_time() - start_s
            covered.append(float(((low <= truth) & (truth <= high)).mean()))
            scale = float(np.abs(np.diff(known)).mean())
            if scale > 0:
                found["shipped"].append(float(np.abs(truth - point).mean()) / scale)
                for name, method in OTHERS.items():
                    found[name].append(float(np.abs(truth - method(known)).mean()) / scale)
        for name, ratios in found.items():
            errors[name] += [float(np.mean(ratios))] if ratios else []
    print(f"forecast {STEPS} rows ahead, {MOMENTS} moments a series, {len(errors['shipped'])} series that move")
    print(f"  {'':20} mase mean  mase median")
    for name, ratios in errors.items():
        print(f"  {name:20} {np.mean(ratios):9.3f} {np.median(ratios):12.3f}")
    print(f"  coverage of the 90 % interval {np.mean(covered):.3f}, {spent_s / len(covered) * 1e3:.1f} ms a forecast\n")


def predict_linear(times: FloatArray, values: FloatArray, limit: float) -> float:
    """Crossing of the least-squares line through all it is given."""
    slope, now = np.polyfit(times - times[-1], values, 1)
    if values[-1] >= limit:
        return 0.0
    return float(max(limit - now, 0.0) / slope) if slope > 0 else np.inf


def first_alarm(case: Case, eta: Eta, window: int) -> int | None:
    """Position at which a crossing within four hours is first expected, before it happens."""
    times = np.arange(len(case.values)) * STEP_S
    for now in range(WINDOW, case.crosses_at or len(case.values), EVERY):
        start = max(0, now - window)
        if eta(times[start:now], case.values[start:now], LIMIT) <= ALARM_S:
            return now
    return None


def failures(each: int, seed: int) -> None:
    """Print the second part."""
    cases = make_cases(each, seed)
    print(f"time to exhaustion, {len(cases)} series of {', '.join(dict.fromkeys(case.kind for case in cases))}")
    print(f"  {'':28} recall  false  lead h  early   ms")
    ours = forecaster()
    methods: tuple[tuple[str, Eta, int], ...] = (
        ("shipped, last four hours", ours.eta, WINDOW),
        ("shipped, all that is known", ours.eta, len(cases[0].values)),
        ("line, last four hours", predict_linear, WINDOW),
    )
    for name, eta, window in methods:
        start_s = process_time()
        alarms = [(case, first_alarm(case, eta, window)) for case in cases]
        report(name, alarms, process_time() - start_s)


def report(name: str, alarms: list[tuple[Case, int | None]], spent_s: float) -> None:
    looks = sum(((at or case.crosses_at or len(case.values)) - WINDOW) / EVERY for case, at in alarms)
    leads = [0 if at is None else case.crosses_at - at for case, at in alarms if case.crosses_at is not None]
    false = [at is not None for case, at in alarms if case.crosses_at is None]
    lead_h = np.array(leads) * STEP_S / 3600
    print(
        f"  {name:28} {np.mean(lead_h > 0):6.3f} {np.mean(false):6.3f} {np.median(np.minimum(lead_h, 4.0)):7.2f}"
        f" {np.mean(lead_h > 6):6.3f} {spent_s / looks * 1e3:4.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="zip of CSV files; without it only the second part runs")
    parser.add_argument("--each", type=int, default=30, help="generated series of each of the five shapes")
    parser.add_argument("--seed", type=int, default=7, help="of the generated series")
    arguments = parser.parse_args()
    if arguments.data:
        forecasts(arguments.data)
    failures(arguments.each, arguments.seed)


if __name__ == "__main__":
    main()
