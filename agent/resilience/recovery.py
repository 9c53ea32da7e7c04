"""The recovery engine: which strategy answers which error, what comes after it, and what is remembered."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.clock import Clock
from agent.contracts import RecoveryMethod, RecoveryOutcome, RecoveryRequest, RecoveryStep
from agent.errors import BreakerOpen
from agent.model import Level, Scalar
from agent.resilience.escalation import LADDER, Escalation, EscalationSettings
from agent.resilience.history import ErrorHistory, ErrorRecord, error_text
from agent.resilience.policy import DEFAULT_POLICIES, Policy, PolicyTable
from agent.resilience.restart import CrashLoop, RestartFailed, Restarts, RestartSettings

__all__ = [
    "DEFAULT_POLICIES",
    "LADDER",
    "CrashLoop",
    "Policy",
    "RecoveryEngine",
    "RecoverySettings",
    "RecoveryStats",
    "RestartFailed",
    "StrategyCounts",
]


class OnEvent(Protocol):
    """Where the engine reports what happened; must not raise."""

    def __call__(self, kind: str, component: str, level: Level = ..., /, **detail: Scalar) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySettings:
    """See the settings of each part; `max_records` is how many kinds of error the history keeps, >= 1."""

    escalation: EscalationSettings = field(default_factory=EscalationSettings)
    restarts: RestartSettings = field(default_factory=RestartSettings)
    max_records: int = 1000


@dataclass(slots=True)
class StrategyCounts:
    """How often a strategy ran, how often that solved it, how often it raised."""

    runs: int = 0
    resolved: int = 0
    raised: int = 0


@dataclass(frozen=True, slots=True)
class RecoveryStats:
    """What the engine has seen and done since its start; a copy.

    Attributes:
        handled: Errors given to `handle`.
        resolved: Of these, those that a strategy solved.
        restarts: Restarts begun.
        strategies: By name.
        escalated: Component -> strategy that its escalation has reached.
        disabled: Component -> why, of those that crash in a loop.
        errors: The latest kinds of error, the one seen last at the end.
        forgotten_errors: Errors whose kind had to make room there.
        by_component, by_type, by_severity: Exact counts.
    """

    handled: int
    resolved: int
    restarts: int
    strategies: Mapping[str, StrategyCounts]
    escalated: Mapping[str, str]
    disabled: Mapping[str, str]
    errors: tuple[ErrorRecord, ...]
    forgotten_errors: int
    by_component: Mapping[str, int]
    by_type: Mapping[str, int]
    by_severity: Mapping[str, int]


_NEXT = RecoveryOutcome(RecoveryStep.NEXT)


def _unheard(kind: str, component: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
    """Nobody listens."""


class RecoveryEngine:
    """Answers errors. Whatever a strategy does, the original error survives. Any thread, any event loop.

    Args:
        policies: Which strategies answer which error; see `Policy`. Of equally specific ones the last wins.
        methods: Name -> strategy. A name that is not there is left out, which is reported once.
        clock: Monotonic time for decisions, wall time for labels.
        rng: Spreads what a fleet would otherwise do at the same moment.
        on_event: Told of escalations, restarts, disabled components and strategies that raised.
        settings: See `RecoverySettings`.

    Attributes:
        troubled: Components that failed and have not been well for long enough since; only their successes matter.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        methods: Mapping[str, RecoveryMethod],
        *,
        clock: Clock,
        rng: random.Random,
        on_event: OnEvent = _unheard,
        settings: RecoverySettings | None = None,
    ) -> None:
        settings = settings or RecoverySettings()
        self._policies = PolicyTable(policies)
        self._methods = dict(methods)
        self._clock = clock
        self._on_event = on_event
        self._settings = settings
        self._lock = threading.Lock()
        self._history = ErrorHistory(settings.max_records)
        self._escalation = Escalation(settings.escalation, rng)
        self.troubled = self._escalation.troubled
        self._restarts = Restarts(settings.restarts, clock=clock, on_restart=self._restarted, on_disable=self._disabled)
        self._counts: dict[str, StrategyCounts] = {}
        self._resolved = 0
        self._missing: set[str] = set()

    def add_policy(self, policy: Policy) -> None:
        """Add a policy, or replace the one for the same component, error and operation."""
        self._policies.add(policy)

    def add_method(self, name: str, method: RecoveryMethod) -> None:
        """Add a strategy, or replace the one of that name."""
        self._methods[name] = method

    def policy_for(self, component: str, operation: str, error: Exception) -> Policy:
        """The policy that `handle` would follow."""
        return self._policies.choose(component, operation, error)

    async def handle(self, request: RecoveryRequest) -> RecoveryOutcome:
        """Try the strategies that the policy names, in order, then, when it is time, the next stronger one.

        Returns:
            RESOLVED with the value; NEXT when nothing helped; GIVE_UP when nothing helped and the component is disabled. `error`
            of the last two is what the call raised last, where that is not the request's error.
        """
        request = self._noted(request)
        policy = self._policies.choose(request.component, request.operation, request.error)
        outcome = await self._try(policy.strategies, request)
        if outcome.step is RecoveryStep.NEXT and self._restarts.why_disabled(request.component) is None:
            outcome = await self._escalate(policy, request, outcome)
        reason = self._restarts.why_disabled(request.component)
        if outcome.step is RecoveryStep.NEXT and reason is not None:
            return replace(outcome, step=RecoveryStep.GIVE_UP, note=f"disabled: {reason}")
        if outcome.step is RecoveryStep.RESOLVED:
            with self._lock:
                self._resolved += 1
        return outcome

    def succeeded(self, component: str) -> None:
        """A call of this component went well. Cheap unless it is troubled."""
        if component not in self.troubled:
            return
        for method in tuple(self._methods.values()):
            hear = getattr(method, "succeeded", None)
            if hear is not None:
                hear(component)
        with self._lock:
            left = self._escalation.succeeded(component, self._clock.monotonic_s())
            is_well = component not in self.troubled
        if is_well:
            self._restarts.forget(component)
        if left is not None:
            self._on_event("recovery.deescalated", component, Level.INFO, from_strategy=left)

    def reinstate(self, component: str) -> None:
        """Enable a component that was disabled, and count its restarts from 0."""
        self._restarts.forget(component)

    def stats(self) -> RecoveryStats:
        """What has happened so far."""
        with self._lock:
            history = self._history
            return RecoveryStats(
                handled=history.total,
                resolved=self._resolved,
                restarts=self._restarts.total,
                strategies={name: replace(counts) for name, counts in self._counts.items()},
                escalated=self._escalation.escalated(),
                disabled=self._restarts.disabled(),
                errors=tuple(map(replace, history.records())),
                forgotten_errors=history.forgotten,
                by_component=history.by_component(),
                by_type=history.by_type(),
                by_severity=history.by_severity(),
            )

    def _noted(self, request: RecoveryRequest) -> RecoveryRequest:
        """Count the error; what is refused by an open breaker is no new failure."""
        component = request.component
        with self._lock:
            now_s = self._clock.monotonic_s()
            record = self._history.add(
                component, request.operation, request.error, request.severity, self._clock.wall_ns()
            )
            is_failure = not isinstance(request.error, BreakerOpen)
            occurrences = self._escalation.failed(component, now_s) if is_failure else record.count
        return replace(
            request, occurrences=occurrences, fingerprint=record.fingerprint, reset=self._single_flight(request)
        )

    def _single_flight(self, request: RecoveryRequest) -> Callable[[], Awaitable[None]] | None:
        """The component's reset, run once for all who ask at the same time; none inside that very reset."""
        component, reset = request.component, request.reset
        if reset is None or self._restarts.is_running_here(component):
            return None

        async def restart() -> None:
            await self._restarts.run(component, reset)

        return restart

    async def _escalate(self, policy: Policy, request: RecoveryRequest, outcome: RecoveryOutcome) -> RecoveryOutcome:
        from_rung = _rung(policy)
        if from_rung is None or isinstance(request.error, BreakerOpen):
            return outcome
        with self._lock:
            now_s = self._clock.monotonic_s()
            strategy = self._escalation.climb(
                request.component, from_rung, lambda name: self._has_means(name, request), now_s
            )
        if strategy is None:
            return outcome
        self._on_event(
            "recovery.escalated", request.component, Level.WARNING, strategy=strategy, failures=request.occurrences
        )
        stronger = await self._try((strategy,), replace(request, error=outcome.error or request.error))
        return stronger if stronger.error is not None else replace(stronger, error=outcome.error)

    def _has_means(self, strategy: str, request: RecoveryRequest) -> bool:
        means = {"reset": request.reset, "circuit_break": request.trip}
        return strategy in self._methods and means.get(strategy, self) is not None

    async def _try(self, strategies: Iterable[str], request: RecoveryRequest) -> RecoveryOutcome:
        outcome, error = _NEXT, None
        for strategy in strategies:
            outcome = await self._run(strategy, request)
            if outcome.error is not None:
                error = outcome.error
                request = replace(request, error=error)
            if outcome.step is not RecoveryStep.NEXT:
                break
        return outcome if outcome.error is error else replace(outcome, error=error)

    async def _run(self, strategy: str, request: RecoveryRequest) -> RecoveryOutcome:
        """Run one strategy. Whatever it raises, cancellation apart, means that it could not help."""
        method = self._methods.get(strategy)
        if method is None:
            return self._not_there(strategy, request.component)
        try:
            outcome = _checked(await method.recover(request))
        except CrashLoop as reason:
            self._count(strategy)
            return RecoveryOutcome(RecoveryStep.NEXT, note=str(reason))
        except Exception as raised:  # noqa: BLE001 - a strategy is a plugin: it may do anything, the original error stays
            self._count(strategy, raised=1)
            self._on_event(
                "recovery.strategy_failed",
                request.component,
                Level.WARNING,
                strategy=strategy,
                error=f"{type(raised).__name__}: {error_text(raised)}",
            )
            return _NEXT
        self._count(strategy, resolved=int(outcome.step is RecoveryStep.RESOLVED))
        return outcome

    def _count(self, strategy: str, *, resolved: int = 0, raised: int = 0) -> None:
        with self._lock:
            counts = self._counts.setdefault(strategy, StrategyCounts())
            counts.runs += 1
            counts.resolved += resolved
            counts.raised += raised

    def _not_there(self, strategy: str, component: str) -> RecoveryOutcome:
        if strategy not in self._missing:
            self._missing.add(strategy)
            self._on_event("recovery.strategy_missing", component, Level.WARNING, strategy=strategy)
        return _NEXT

    def _restarted(self, component: str) -> None:
        self._on_event("component.restarted", component)

    def _disabled(self, component: str, reason: str) -> None:
        self._on_event("component.disabled", component, Level.ERROR, reason=reason)


def _rung(policy: Policy) -> int | None:
    """The highest rung of the ladder that a policy stands on; `NAME:2` is another instance of NAME."""
    kinds = [strategy.partition(":")[0] for strategy in policy.strategies]
    return max((LADDER.index(kind) for kind in kinds if kind in LADDER), default=None)


def _checked(outcome: object) -> RecoveryOutcome:
    if not isinstance(outcome, RecoveryOutcome):
        raise TypeError(f"recover() returns a RecoveryOutcome (got {outcome!r:.80})")
    return outcome
