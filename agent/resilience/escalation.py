"""When gentler means have failed often enough, stronger ones: retry, reset, circuit break, notify. Sans-I/O."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

__all__ = ["LADDER", "Escalation", "EscalationSettings"]

LADDER = ("retry", "reset", "circuit_break", "notify")
"""Strategies in rising order of strength."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationSettings:
    """When a component is given stronger means, and when it is taken to be well again.

    Attributes:
        failures: So many failures within `window_s` start the climb, >= 1.
        window_s: Seconds, > 0.
        calm_s: Successes, and nothing but successes, for so many seconds end it, >= 0.
        rearm_s: A component that still fails so long after the last rung is taken up the ladder again, seconds, > 0, give or
            take a fifth, so that a fleet that failed together does not restart together.
        max_components: Components remembered, >= 1; the one that failed longest ago makes room.
    """

    failures: int = 5
    window_s: float = 60.0
    calm_s: float = 60.0
    rearm_s: float = 600.0
    max_components: int = 1000

    def __post_init__(self) -> None:
        for name in ("failures", "max_components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1 (got {getattr(self, name)})")
        for name in ("window_s", "rearm_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0 (got {getattr(self, name)})")
        if not self.calm_s >= 0:
            raise ValueError(f"calm_s must be >= 0 (got {self.calm_s})")


@dataclass(slots=True)
class _Case:
    """One component that has failed and is not well yet. `rung` is the highest one climbed to, 0 = none."""

    recent_s: deque[float]
    failures: int = 0
    rung: int = 0
    rearm_at_s: float = field(default=float("inf"))
    well_since_s: float | None = None


class Escalation:
    """Remembers how far each component has been escalated.

    The climb begins at the failure that fills the window; each further one climbs another rung, each rung once. A rung that
    a component has no means for is left out.

    Args:
        settings: See `EscalationSettings`.
        rng: Spreads `rearm_s`.

    Attributes:
        troubled: Components that failed and have not been well for long enough since.
    """

    def __init__(self, settings: EscalationSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._cases: dict[str, _Case] = {}
        self.troubled: Container[str] = self._cases

    def failed(self, component: str, now_s: float) -> int:
        """Count a failure; returns how many there were since the component was last well."""
        case = self._cases.pop(component, None) or self._new_case()
        self._cases[component] = case
        case.recent_s.append(now_s)
        case.failures += 1
        case.well_since_s = None
        return case.failures

    def climb(self, component: str, from_rung: int, has_means: Callable[[str], bool], now_s: float) -> str | None:
        """The strategy to add to what was tried already; None when it is not time, or nothing is left.

        Args:
            component: Who failed.
            from_rung: Position in `LADDER` of the strongest strategy that has been tried for this failure.
            has_means: Whether a strategy can be carried out for this component.
            now_s: Monotonic seconds.
        """
        case = self._cases[component]
        if case.rung and now_s >= case.rearm_at_s:
            case.rung = 0
        elif not case.rung and not self._is_full(case, now_s):
            return None
        for rung in range(max(case.rung, from_rung) + 1, len(LADDER)):
            if has_means(LADDER[rung]):
                case.rung = rung
                case.rearm_at_s = now_s + self._settings.rearm_s * self._rng.uniform(0.8, 1.2)
                return LADDER[rung]
        return None

    def succeeded(self, component: str, now_s: float) -> str | None:
        """Count a success; returns the rung left, when the component is well again by it."""
        case = self._cases.get(component)
        if case is None:
            return None
        if case.well_since_s is None:
            case.well_since_s = now_s
        if now_s - case.well_since_s < self._settings.calm_s:
            return None
        del self._cases[component]
        return LADDER[case.rung] if case.rung else None

    def escalated(self) -> Mapping[str, str]:
        """Component -> rung, of those that are on one."""
        return {component: LADDER[case.rung] for component, case in self._cases.items() if case.rung}

    def _new_case(self) -> _Case:
        if len(self._cases) >= self._settings.max_components:
            del self._cases[next(iter(self._cases))]
        return _Case(deque(maxlen=self._settings.failures))

    def _is_full(self, case: _Case, now_s: float) -> bool:
        recent_s = case.recent_s
        return len(recent_s) == self._settings.failures and now_s - recent_s[0] <= self._settings.window_s
