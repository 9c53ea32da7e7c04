"""How well something is, from 0 to 100, out of everything that is wrong with it. No I/O, no numpy.

    score of a subsystem = 100 * product of (1 - loss)        over all its losses
    score of the host    = 0.7 * the worst subsystem + 0.3 * the mean of all

A loss is 0 (nothing wrong) to 1 (as wrong as can be). More loss never gives a better score, of the subsystem or of the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

__all__ = ["HOST", "Loss", "SubsystemHealth", "band_of", "graded", "health", "is_better_band"]

HOST = "host"
WORST_SHARE = 0.7
BANDS = (("good", 80.0), ("worried", 50.0), ("bad", 0.0))
"""Word and lowest score of each band, the best first."""
BAND_MARGIN = 5.0
"""How far above its band's edge a score must climb to be called better."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that is wrong.

    Attributes:
        subsystem: Whose: `cpu`, `memory`, `disk`.
        cause: In words, with the value.
        share: 0..1; what is beyond is cut.
    """

    subsystem: str
    cause: str
    share: float


@dataclass(frozen=True, slots=True)
class SubsystemHealth:
    """Score 0..100, and what costs it, the greatest loss first."""

    score: float
    reasons: tuple[Loss, ...] = ()


def graded(value: float, good: float, bad: float, weight: float) -> float:
    """Loss of a reading: 0 up to `good`, rising evenly to `weight` at `bad` and beyond; `bad` may lie below `good`. NaN: 0."""
    share = (value - good) / (bad - good)
    return weight * min(share, 1.0) if share > 0 else 0.0


def health(losses: Iterable[Loss], subsystems: Iterable[str]) -> dict[str, SubsystemHealth]:
    """Health of each subsystem, and of all of them as `host`.

    Args:
        losses: What is wrong; losses of 0 are left out of the reasons.
        subsystems: Those that are there, with or without losses; one without has 100. With none, the host has 100.
    """
    by_subsystem: dict[str, list[Loss]] = {name: [] for name in subsystems}
    for loss in losses:
        if loss.share > 0:
            by_subsystem.setdefault(loss.subsystem, []).append(loss)
    found = {name: _scored(own) for name, own in by_subsystem.items()}
    return {**found, HOST: _host(found)}


def band_of(score: float, was: str = "") -> str:
    """Word for a score: `good` from 80, `worried` from 50, else `bad`; a better one than before needs 5 points more."""
    for word, lowest in BANDS:
        if score >= lowest + (BAND_MARGIN if is_better_band(word, was) else 0.0):
            return word
    return BANDS[-1][0]


def is_better_band(word: str, than: str) -> bool:
    """True when `word` stands for better scores; nothing is better than an unknown word."""
    words = [word for word, _ in BANDS]
    return than in words and words.index(word) < words.index(than)


def _scored(losses: list[Loss]) -> SubsystemHealth:
    kept = prod(1.0 - min(loss.share, 1.0) for loss in losses)
    return SubsystemHealth(100.0 * kept, _ranked(losses))


def _host(found: Mapping[str, SubsystemHealth]) -> SubsystemHealth:
    if not found:
        return SubsystemHealth(100.0)
    scores = [one.score for one in found.values()]
    score = WORST_SHARE * min(scores) + (1.0 - WORST_SHARE) * sum(scores) / len(scores)
    return SubsystemHealth(score, _ranked([loss for one in found.values() for loss in one.reasons]))


def _ranked(losses: list[Loss]) -> tuple[Loss, ...]:
    return tuple(sorted(losses, key=lambda loss: (-loss.share, loss.cause)))
