"""The breaker of connections: opens after so many failures in a row. A thin face of `Breaker`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, overload

from agent.clock import Clock, SystemClock
from agent.errors import BreakerOpen
from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState, Permit
from agent.resilience.registry import Registry

__all__ = [
    "WebSocketBreakerSettings",
    "WebSocketCircuitBreaker",
    "get_circuit_breaker",
    "reset_all_circuit_breakers",
    "reset_circuit_breaker",
]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketBreakerSettings:
    """Settings of a `WebSocketCircuitBreaker`.

    Attributes:
        max_failures: Failures in a row, >= 1, that open it.
        reset_timeout: First wait while open, seconds, > 0.
        exponential_backoff_factor: Each failed trial round multiplies the wait by this, 1 to 1000.
        max_reset_timeout: Longest wait, seconds; None: ten times `reset_timeout`, at least 300.
        half_open_max_trials: Trials, >= 1, that may run at once when the wait is over, all of which must succeed.
        jitter_ratio: Waits vary by this share up and down, in [0, 1]; 0: exactly as long as it says.
        trial_timeout: Seconds, > 0, after which a trial without outcome counts as failed.
    """

    max_failures: int = 3
    reset_timeout: float = 30.0
    exponential_backoff_factor: float = 1.5
    max_reset_timeout: float | None = None
    half_open_max_trials: int = 1
    jitter_ratio: float = 0.0
    trial_timeout: float = 60.0

    def engine(self) -> BreakerSettings:
        """The same in the engine's words.

        Raises:
            ValueError: Settings out of range; one line for each.
        """
        longest_s = self.max_reset_timeout
        try:
            return BreakerSettings(
                failure_ratio=None,
                slow_call_s=None,
                consecutive_failures=self.max_failures,
                open_s=self.reset_timeout,
                backoff_factor=self.exponential_backoff_factor,
                max_open_s=max(300.0, 10 * self.reset_timeout) if longest_s is None else longest_s,
                jitter_ratio=self.jitter_ratio,
                probes=self.half_open_max_trials,
                concurrent_probes=self.half_open_max_trials,
                probe_lease_s=self.trial_timeout,
                max_half_open_s=0.0,
            )
        except ValueError as error:
            raise ValueError(_in_own_words(str(error))) from None


_OWN_WORDS = {
    "BreakerSettings.": "",
    " or None": "",
    "consecutive_failures": "max_failures",
    "max_open_s": "max_reset_timeout",
    "open_s": "reset_timeout",
    "concurrent_probes": "half_open_max_trials",
    "probe_lease_s": "trial_timeout",
    "backoff_factor": "exponential_backoff_factor",
    "probes": "half_open_max_trials",
}


def _in_own_words(problems: str) -> str:
    for engine, own in _OWN_WORDS.items():
        problems = problems.replace(engine, own)
    return "\n".join(dict.fromkeys(problems.splitlines()))


class WebSocketCircuitBreaker:
    """Guards connecting: either `execute` the connecting function, or ask `can_attempt_connection` and record how it went.

    Args:
        name: Name of the target.
        settings: See `WebSocketBreakerSettings`; None: the defaults.
        clock: Source of monotonic seconds; None: the machine's.
        rng: Source of the jitter; None: a generator of its own.
    """

    def __init__(
        self,
        name: str = "websocket",
        settings: WebSocketBreakerSettings | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings or WebSocketBreakerSettings()
        self.breaker = Breaker(name, self.settings.engine(), clock=clock or SystemClock(), rng=rng or random.Random())
        self._attempts: deque[Permit] = deque(maxlen=self.settings.half_open_max_trials)

    @property
    def name(self) -> str:
        """Name of the target."""
        return self.breaker.name

    @property
    def state(self) -> CircuitState:
        """CLOSED, OPEN or HALF_OPEN."""
        return self.breaker.state

    @property
    def half_open_max_trials(self) -> int:
        """How many trials may run at once when the wait is over."""
        return self.settings.half_open_max_trials

    @overload
    async def execute(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def execute(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def execute(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call `function`, await what it returns if that can be awaited, and give back the result.

        Raises:
            BreakerOpen: A ConnectionError; the call was refused and `function` not called.
            BaseException: Whatever `function` raised, the same object.
        """
        return await self.breaker.execute(function, *args, **kwargs)

    def can_attempt_connection(self) -> bool:
        """Whether to try now. True after the wait takes a trial's place, until `record_*` or the trial's time-out."""
        if self.breaker.state is CircuitState.CLOSED:
            return True
        try:
            self._attempts.append(self.breaker.acquire())
        except BreakerOpen:
            return False
        return True

    def record_success(self) -> None:
        """The attempt went well."""
        permit = self._attempt()
        if permit is not None:
            permit.succeed()

    def record_failure(self, error: BaseException | None = None) -> None:
        """The attempt failed, by this error if one is given."""
        permit = self._attempt()
        if permit is not None:
            permit.fail(error or ConnectionError("connection failed"))

    def get_wait_time(self) -> float:
        """Seconds until an attempt may be made; 0 when one may now."""
        return self.breaker.retry_in_s

    def reset(self) -> None:
        """Back to CLOSED as if new."""
        self._attempts.clear()
        self.breaker.reset()

    def _attempt(self) -> Permit | None:
        """The permit of the attempt that ended; None when it belongs to a time that is over."""
        try:
            return self._attempts.popleft()
        except IndexError:
            return self.breaker.acquire() if self.breaker.state is CircuitState.CLOSED else None


_breakers: Registry[WebSocketBreakerSettings, WebSocketCircuitBreaker] = Registry(
    WebSocketCircuitBreaker, WebSocketBreakerSettings()
)


def get_circuit_breaker(
    name: str = "websocket",
    max_failures: int | None = None,
    reset_timeout: float | None = None,
    exponential_backoff_factor: float | None = None,
    *,
    half_open_max_trials: int | None = None,
    max_reset_timeout: float | None = None,
    jitter_ratio: float | None = None,
    trial_timeout: float | None = None,
) -> WebSocketCircuitBreaker:
    """The process's breaker of this name, made when it is not there yet.

    Args:
        name: Name of the target.
        max_failures, reset_timeout, exponential_backoff_factor, half_open_max_trials, max_reset_timeout, jitter_ratio,
            trial_timeout: See `WebSocketBreakerSettings`; None: as it is, or the default for a new one.

    Raises:
        SettingsConflict: It is there, and something given here is not as it has it.
        ValueError: Settings out of range.
    """
    given: dict[str, Any] = {
        "max_failures": max_failures,
        "reset_timeout": reset_timeout,
        "exponential_backoff_factor": exponential_backoff_factor,
        "half_open_max_trials": half_open_max_trials,
        "max_reset_timeout": max_reset_timeout,
        "jitter_ratio": jitter_ratio,
        "trial_timeout": trial_timeout,
    }
    return _breakers.get(name, **{key: value for key, value in given.items() if value is not None})


def reset_circuit_breaker(name: str) -> bool:
    """Close the breaker of this name as if new; False when there is none."""
    found = _breakers.find(name)
    if found is not None:
        found.reset()
    return found is not None


def reset_all_circuit_breakers() -> None:
    """Close every breaker that `get_circuit_breaker` has made."""
    for found in _breakers:
        found.reset()
