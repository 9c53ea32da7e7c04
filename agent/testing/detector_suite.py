"""What every detector must do, checked in one call from a plugin's own tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.contracts import Detector, ExplainingDetector
from agent.testing.requirement import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.model import FloatArray

__all__ = ["DetectorReport", "check_detector"]

_NASTY = (0.0, -0.0, 5e-324, -1e-300, 1e300, -1e300, np.inf, -np.inf, np.nan, 1e-9, 1e18)
_CONSTANTS = (0.0, -0.0, 45.0, 0.1, -1e12, 1e-300)


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """What a detector did with ordinary series while it was checked.

    Attributes:
        scores, alerts: Shape (ticks, series).
    """

    scores: FloatArray
    alerts: NDArray[np.bool_]


def check_detector(
    make: Callable[[], Detector], *, ticks: int = 300, bytes_per_series: float = 8192.0
) -> DetectorReport:
    """Run a detector over made-up series and hold it to its contract.

    Checked: it is a `Detector`; results have the right shapes and types, scores lie within 0..1 or are NaN, and nothing alerts
    without a score; where it explains alerts, it does so in a line each; a missing value has no score and no alert and no number
    in the series makes it warn; a constant series never alerts; what a series gets depends neither on the order of a call nor on
    which others share it; a forgotten row starts afresh, and its neighbours do not notice; rows are reused without growing; where
    it says `nbytes()`, it holds at most `bytes_per_series`.

    Args:
        make: Gives a new detector with the settings under test.
        ticks: How long it is run, >= 100.
        bytes_per_series: Bound for 1,000 series.

    Raises:
        AssertionError: Naming what was wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = _ordinary(ticks)
        report = _run(make(), data)
        _check_missing(make(), data)
        _run(make(), _nasty(ticks))
        _check_constants(make(), ticks)
        _check_independence(make, data, report)
        _check_forgetting(make, data)
        _check_size(make(), bytes_per_series)
    return report


def _ordinary(ticks: int) -> FloatArray:
    """Noise, a walk, sparse bursts, a wave, a step and a spike, heavy tails, a counter."""
    rng, time = np.random.default_rng(7), np.arange(ticks)
    noise = rng.standard_normal((ticks, 8))
    noise[:, 1] = noise[:, 1].cumsum()
    noise[:, 2] = np.where(rng.random(ticks) < 0.02, 100.0, 0.0)
    noise[:, 3] += 10.0 * np.sin(time / 20.0)
    noise[ticks * 3 // 4 :, 4] += 50.0
    noise[ticks * 3 // 4, 5] += 1e6
    noise[:, 6] = rng.standard_cauchy(ticks)
    noise[:, 7] = 1e12 + time
    return noise


def _nasty(ticks: int) -> FloatArray:
    rng = np.random.default_rng(3)
    return np.array([rng.permutation(_NASTY) for _ in range(ticks)])


def _run(detector: Detector, data: FloatArray, slots: NDArray[np.int64] | None = None) -> DetectorReport:
    require(isinstance(detector, Detector), f"the factory gives a detector (got {detector!r:.80})")
    rows = np.arange(data.shape[1]) if slots is None else slots
    results = [_tick(detector, rows, values) for values in data]
    return DetectorReport(np.array([score for score, _ in results]), np.array([alert for _, alert in results]))


def _tick(detector: Detector, slots: NDArray[np.int64], values: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    given = slots.copy(), values.copy()
    score, alert = detector.learn_and_score(slots, values)
    untouched = np.array_equal(slots, given[0]) and np.array_equal(values, given[1], equal_nan=True)
    require(untouched, "it leaves its arguments as they are")
    right_shape = score.shape == alert.shape == values.shape
    require(right_shape, f"one score and one alert a value (got {score.shape} and {alert.shape} for {values.shape})")
    require(score.dtype == np.float64, f"scores are float64 (got {score.dtype})")
    require(alert.dtype == np.bool_, f"alerts are bool (got {alert.dtype})")
    has_score = ~np.isnan(score)
    require(bool(((score[has_score] >= 0) & (score[has_score] <= 1)).all()), f"scores lie within 0..1 (got {score})")
    require(not (alert & ~has_score).any(), "what has no score does not alert")
    require(not (has_score & np.isnan(values)).any(), "a missing value has no score")
    if isinstance(detector, ExplainingDetector):
        _require_words(detector, slots[alert])
    return np.array(score), np.array(alert)


def _require_words(detector: ExplainingDetector, alerting: NDArray[np.int64]) -> None:
    for slot in alerting.tolist():
        reason: object = detector.explain(slot)
        is_line = isinstance(reason, str) and "\n" not in reason
        require(is_line, f"it explains an alert in one line of text (got {reason!r:.80})")


def _check_missing(detector: Detector, data: FloatArray) -> None:
    holes = np.where(np.random.default_rng(5).random(data.shape) < 0.3, np.nan, data)
    _run(detector, holes)
    _run(detector, np.full((3, data.shape[1]), np.nan))
    _run(detector, np.empty((2, 0)))


def _check_constants(detector: Detector, ticks: int) -> None:
    report = _run(detector, np.tile(np.array(_CONSTANTS), (ticks, 1)))
    loud = [value for value, alerts in zip(_CONSTANTS, report.alerts.T, strict=True) if alerts.any()]
    require(not loud, f"a constant series never alerts (these did: {loud})")


def _check_independence(make: Callable[[], Detector], data: FloatArray, report: DetectorReport) -> None:
    order = np.random.default_rng(11).permutation(data.shape[1])
    shuffled = _run(make(), data[:, order], order)
    _require_same(shuffled, report, order, "a series' results do not depend on the order of the call")
    part = order[:3]
    apart = _run(make(), data[:, part], part)
    _require_same(apart, report, part, "a series' results do not depend on which others share the call")


def _check_forgetting(make: Callable[[], Detector], data: FloatArray) -> None:
    detector, whole, half = make(), np.arange(data.shape[1]), len(data) // 2
    detector.forget(np.array([10_000]))
    first = _run(detector, data[:half])
    detector.forget(np.array([0, 2]))
    second = _run(detector, np.vstack((data[:1, whole], data[half + 1 :])))
    fresh = _run(make(), np.vstack((data[:1, [0, 2]], data[half + 1 :][:, [0, 2]])), np.array([0, 2]))
    same = np.array_equal(np.isnan(second.scores[:8, [0, 2]]), np.isnan(fresh.scores[:8]))
    require(same and len(first.scores) == half, "a forgotten row starts afresh")
    require(
        bool(not np.isnan(second.scores[0, [1, 3]]).all()) or bool(np.isnan(first.scores[-1, [1, 3]]).all()),
        "others go on",
    )


def _check_size(detector: Detector, bytes_per_series: float) -> None:
    size: Callable[[], int] | None = getattr(detector, "nbytes", None)
    slots = np.arange(1000)
    for tick in range(3):
        detector.learn_and_score(slots, np.full(1000, float(tick)))
    if size is None:
        return
    before = size()
    require(before <= 1000 * bytes_per_series, f"at most {bytes_per_series:.0f} B a series (got {before / 1000:.0f})")
    for tick in range(20):
        detector.forget(slots)
        detector.learn_and_score(slots, np.full(1000, float(tick)))
    require(size() == before, f"rows are reused (grew from {before} to {size()} B)")


def _require_same(got: DetectorReport, whole: DetectorReport, columns: Any, message: str) -> None:
    same = np.array_equal(got.scores, whole.scores[:, columns], equal_nan=True)
    require(same and np.array_equal(got.alerts, whole.alerts[:, columns]), message)
