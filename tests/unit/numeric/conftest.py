"""The slow form: one window at a time, in exact fractions, by the textbook."""

from fractions import Fraction
from math import inf, isnan, isqrt, nan

import numpy as np
import pytest

from agent.numeric.transformer import Transformer

C_MAD = 0.6744897501960817
PERCENTS = (50.0, 95.0, 99.0)


def root(square: Fraction) -> float:
    """Square root of a fraction, right to far below a float's last bit."""
    if square <= 0:
        return 0.0
    shift = max(0, 140 - (square.numerator.bit_length() - square.denominator.bit_length()))
    shift += shift % 2
    return float(Fraction(isqrt((square.numerator << shift) // square.denominator), 1 << (shift // 2)))


def percentile(ordered: list[Fraction], percent: Fraction) -> Fraction:
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def related(deviation: Fraction, spread: float) -> float:
    if spread > 0:
        return float(deviation) / spread
    return 0.0 if deviation == 0 else inf if deviation > 0 else -inf


class ExactWindow:
    """What every result must be for a window of floats, oldest first, NaN = missing, the newest last."""

    def __init__(self, window, *, horizon=60, ewma_of=None, alpha=0.2):
        self.window = [None if isnan(value) else Fraction(value) for value in window]
        self.values = [value for value in self.window if value is not None]
        self.history = [value for value in self.window[:-1] if value is not None]
        self.newest = self.window[-1]
        self.horizon = horizon
        self.count = len(self.values)
        self.ewma = self._ewma(window if ewma_of is None else ewma_of, Fraction(alpha))

    @property
    def scale(self) -> float:
        """Width of the window: what errors are measured against."""
        return float(max(self.values) - min(self.values)) if self.values else nan

    @property
    def mad(self) -> float:
        """Of the history; its own rounding is what a robust z cannot be more exact than."""
        median = percentile(sorted(self.history), Fraction(50))
        return float(percentile(sorted(abs(value - median) for value in self.history), Fraction(50)))

    def results(self):
        if not self.values:
            names = ("mean", "std", "min", "max", "p50", "p95", "p99", "z", "rz", "slope", "intercept", "r2", "fc")
            return {"n": 0.0, "ewma": self.ewma, **dict.fromkeys((*names, "fc_lo", "fc_hi"), nan)}
        mean = sum(self.values) / self.count
        squares = sum((value - mean) ** 2 for value in self.values)
        ordered = sorted(self.values)
        return {
            "n": float(self.count),
            "mean": float(mean),
            "std": root(squares / self.count),
            "min": float(ordered[0]),
            "max": float(ordered[-1]),
            **{f"p{percent:g}": float(percentile(ordered, Fraction(percent))) for percent in PERCENTS},
            "ewma": self.ewma,
            "z": self._z(),
            "rz": self._rz(),
            **self._line(mean, squares),
        }

    def _ewma(self, values, alpha):
        """Of the last 400 values: what came before weighs less than 1e-38."""
        average = None
        for value in values[-400:]:
            if not isnan(value):
                average = Fraction(value) if average is None else average + alpha * (Fraction(value) - average)
        return nan if average is None else float(average)

    def _z(self):
        if self.newest is None or len(self.history) < 8:
            return nan
        mean = sum(self.history) / len(self.history)
        return related(self.newest - mean, root(sum((v - mean) ** 2 for v in self.history) / len(self.history)))

    def _rz(self):
        if self.newest is None or len(self.history) < 8:
            return nan
        median = percentile(sorted(self.history), Fraction(50))
        return related((self.newest - median) * Fraction(C_MAD), self.mad)

    def _line(self, mean, squares):
        ages = [Fraction(place - len(self.window) + 1) for place, value in enumerate(self.window) if value is not None]
        mean_age = sum(ages) / self.count
        age_squares = sum((age - mean_age) ** 2 for age in ages)
        if not age_squares:
            return dict.fromkeys(("slope", "intercept", "r2", "fc", "fc_lo", "fc_hi"), nan)
        products = sum((age - mean_age) * (value - mean) for age, value in zip(ages, self.values, strict=True))
        slope = products / age_squares
        intercept = mean - slope * mean_age
        left = squares - slope * products
        forecast = intercept + slope * self.horizon
        half = nan
        if self.count > 2:
            spread = 1 + Fraction(1, self.count) + (self.horizon - mean_age) ** 2 / age_squares
            half = 1.96 * root(left / (self.count - 2) * spread)
        return {
            "slope": float(slope),
            "intercept": float(intercept),
            "r2": float(slope * products / squares) if squares else nan,
            "fc": float(forecast),
            "fc_lo": float(forecast) - half,
            "fc_hi": float(forecast) + half,
        }


class OneSeries:
    """A transformer that is fed one series, and its results under the short names."""

    ID = np.array([3], dtype=np.uint32)

    def __init__(self, window=120, **settings):
        self.window = window
        self.transformer = Transformer(window, **settings)
        self.fed = []

    def feed(self, *values):
        for value in values:
            self.last = self.transformer.tick(self.ID, np.array([value], dtype=np.float64))
            self.fed.append(float(value))
        return self

    def prefill(self, values):
        self.transformer.prefill(self.ID, np.array(values, dtype=np.float64)[:, None])
        self.fed += values
        return self

    def limit(self, value):
        self.transformer.set_limits(self.ID, np.array([value]))
        return self

    @property
    def results(self):
        known = self.transformer.statistics()
        names = {"n": "count", "min": "minimum", "max": "maximum", "sma5": "moving_average", "rz": "robust_z"}
        names |= {"fc": "forecast", "fc_lo": "forecast_low", "fc_hi": "forecast_high", "ttt": "ticks_to_limit"}
        plain = ("mean", "std", "ewma", "z", "slope", "intercept", "r2", "bad_count")
        found = {short: getattr(known, name)[0] for short, name in names.items()}
        found |= {name: getattr(known, name)[0] for name in plain}
        return found | {f"p{percent:g}": values[0] for percent, values in known.percentiles.items()}

    @property
    def is_anomaly(self):
        return bool(self.last.is_anomaly[0])

    @property
    def exact(self):
        return ExactWindow(self.fed[-self.window :], ewma_of=self.fed)


@pytest.fixture(name="one_series")
def _one_series():
    return OneSeries


@pytest.fixture(name="exact_window")
def _exact_window():
    return ExactWindow


ORDER = ("n", "min", "max")
LEVEL = ("mean", "std", "p50", "p95", "p99")
LINE = ("intercept", "fc", "fc_lo", "fc_hi")


def assert_exact(series, tolerance=1e-12):
    """Every result within `tolerance` of the exact one, relative to the window's width (and one rounding of the result)."""
    exact, got = series.exact, series.results
    expected, scale = exact.results(), exact.scale
    for name in ORDER:
        assert same(got[name], expected[name], 0), name
    for name in LEVEL:
        assert same(got[name], expected[name], tolerance * scale), (name, got[name], expected[name])
    largest = max(abs(value) for value in series.fed if not isnan(value))
    assert same(got["ewma"], expected["ewma"], tolerance * largest), ("ewma", got["ewma"], expected["ewma"])
    reach = 1 + exact.horizon / max(1, min(exact.count, series.window) - 1)
    for name in LINE:
        assert same(got[name], expected[name], tolerance * scale * reach), (name, got[name], expected[name])
    assert same(got["slope"], expected["slope"], tolerance * scale), "slope"
    assert same(got["r2"], expected["r2"], 1e-10), ("r2", got["r2"], expected["r2"])
    for name in ("z", "rz"):
        assert same(got[name], expected[name], 1e-9 * abs(expected[name])), (name, got[name], expected[name])


def same(got, expected, allowed):
    if isnan(expected) or expected in (inf, -inf):
        return (isnan(got) and isnan(expected)) or got == expected
    return abs(got - expected) <= allowed + np.spacing(abs(expected))


@pytest.fixture(name="assert_exact")
def _assert_exact():
    return assert_exact
