"""Settings of the library's metric transformer."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["MetricSettings", "SettingsConflict", "differences"]


class SettingsConflict(ValueError):
    """A name was asked for with other settings than it has; names the fields, with both values."""


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How a `MetricTransformer` works.

    Attributes:
        history_size: Calls remembered, >= 2.
        smoothing_window: Calls that `smoothed` averages over, >= 1.
        anomaly_threshold: Robust z from which a value is an anomaly, > 0.
        percentiles: In percent, each 0..100.

    Raises:
        ValueError: A setting is out of range.
    """

    history_size: int = 120
    smoothing_window: int = 5
    anomaly_threshold: float = 3.0
    percentiles: tuple[float, ...] = (50.0, 95.0, 99.0)

    def __post_init__(self) -> None:
        _require(_is_count(self.history_size, 2), "history_size must be a whole number >= 2", self.history_size)
        _require(
            _is_count(self.smoothing_window, 1), "smoothing_window must be a whole number >= 1", self.smoothing_window
        )
        _require(self.anomaly_threshold > 0, "anomaly_threshold must be > 0", self.anomaly_threshold)
        in_range = all(0 <= percent <= 100 for percent in self.percentiles)
        _require(in_range, "percentiles must each be 0..100", self.percentiles)


def differences(old: MetricSettings, new: MetricSettings) -> str:
    """Fields that differ, with both values, as text."""
    names = [field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)]
    return ", ".join(f"{name} is {getattr(old, name)!r}, asked for {getattr(new, name)!r}" for name in names)


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(is_met: bool, rule: str, got: object) -> None:
    if not is_met:
        raise ValueError(f"{rule} (got {got!r})")
