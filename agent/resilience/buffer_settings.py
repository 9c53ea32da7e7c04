"""How much a buffer may hold, and what happens beyond."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["BufferSettings", "Overflow"]


class Overflow(Enum):
    """What makes room when more comes than may stay."""

    SAMPLE = "sample"
    """The sampler thins out the whole content, from `sample_from_ratio` on."""
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    REJECT = "reject"
    """Nothing is accepted until there is room."""


@dataclass(frozen=True, slots=True)
class BufferSettings:
    """How much a buffer may hold, and what happens beyond.

    Attributes:
        max_points: Points at most, >= 1.
        max_bytes: Bytes at most, >= 1.
        max_age_s: Seconds after which a point that still waits is dropped as `expired`, > 0.
        sample_from_ratio: Fill (the larger of points and bytes), in (0, 1], at which sampling starts; 1: only beyond the bounds.
        sample_to_ratio: Fill that sampling leaves behind, as a share of `sample_from_ratio`, in (0, 1]; the room between the two
            is what makes a put cheap on average.
        max_events: Events that may wait beside the points, >= 1; beyond it the oldest event is dropped.
        overflow: See `Overflow`.

    Raises:
        ValueError: A figure is out of its range.
    """

    max_points: int = 500_000
    max_bytes: int = 16_777_216
    max_age_s: float = 3600.0
    sample_from_ratio: float = 0.8
    sample_to_ratio: float = 0.625
    max_events: int = 1000
    overflow: Overflow = Overflow.SAMPLE

    def __post_init__(self) -> None:
        for name in ("max_points", "max_bytes", "max_events"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1 (got {getattr(self, name)})")
        if not self.max_age_s > 0:
            raise ValueError(f"max_age_s must be > 0 (got {self.max_age_s})")
        if not 0 < self.sample_from_ratio <= 1:
            raise ValueError(f"sample_from_ratio must be in (0, 1] (got {self.sample_from_ratio})")
        if not 0 < self.sample_to_ratio <= 1:
            raise ValueError(f"sample_to_ratio must be in (0, 1] (got {self.sample_to_ratio})")
