"""Which strategies answer which error: the most specific policy wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["DEFAULT_POLICIES", "Policy", "PolicyTable", "error_name"]

MAX_REMEMBERED = 2048


@dataclass(frozen=True, slots=True)
class Policy:
    """Strategies for some errors of some components.

    Attributes:
        component: Whom it is for: a name, a glob such as `sink:*`, or "*" for everybody.
        error: Name of an exception class or of one of its bases, bare or with its module; "*" for every error.
        operation: What failed: a name, a glob, or "*".
        strategies: Names of recovery methods in the order of trying, at least one; the next one is tried when one cannot help.

    Raises:
        ValueError: There is no strategy, or a pattern is empty.
    """

    component: str = "*"
    error: str = "*"
    operation: str = "*"
    strategies: tuple[str, ...] = ("retry",)

    def __post_init__(self) -> None:
        if not self.strategies:
            raise ValueError(
                "Policy.strategies must name at least one strategy (got none); log_only does nothing but log"
            )
        for name in ("component", "error", "operation"):
            if not getattr(self, name):
                raise ValueError(f'Policy.{name} must not be empty (got ""); "*" matches everything')


DEFAULT_POLICIES = (
    Policy(),
    Policy(error="BreakerOpen", strategies=("log_only",)),
    Policy(component="collector:*", error="ContractError", strategies=("notify",)),
    Policy(component="collector:*", error="SeriesLimitExceeded", strategies=("log_only",)),
    Policy(component="sink:*", error="PermanentDelivery", strategies=("log_only",)),
)
"""What the agent does when the configuration says nothing else: what may pass by itself is retried and escalated; what a
plugin does wrong goes to a person at once; what was refused on purpose is only logged."""


class PolicyTable:
    """Policies by how specific they are: first by component, then by error, then by operation; of equals the last added.

    Args:
        policies: In rising order of preference. An error that none of them matches gets `Policy()`.
    """

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        self._policies = list(policies)
        self._chosen: dict[tuple[str, str, type], Policy] = {}

    def add(self, policy: Policy) -> None:
        """Add a policy; it takes the place of one for the same component, error and operation."""
        key = (policy.component, policy.error, policy.operation)
        kept = [one for one in self._policies if (one.component, one.error, one.operation) != key]
        self._policies = [*kept, policy]
        self._chosen.clear()

    def choose(self, component: str, operation: str, error: Exception) -> Policy:
        """The policy for this error."""
        key = (component, operation, type(error))
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._best(component, operation, type(error))
            if len(self._chosen) >= MAX_REMEMBERED:
                self._chosen.clear()
            self._chosen[key] = chosen
        return chosen

    def _best(self, component: str, operation: str, error_type: type[Exception]) -> Policy:
        best, best_rank = Policy(), (-1.0, -1.0, -1.0)
        for policy in self._policies:
            rank = (
                _name_rank(policy.component, component),
                _error_rank(policy.error, error_type),
                _name_rank(policy.operation, operation),
            )
            if min(rank) >= 0 and rank >= best_rank:
                best, best_rank = policy, rank
        return best


def error_name(error_type: type[BaseException] | str) -> str:
    """How a policy names an exception class: with its module, so that two of the same name are told apart."""
    if isinstance(error_type, str):
        return error_type
    return f"{error_type.__module__}.{error_type.__qualname__}"


def _name_rank(pattern: str, name: str) -> float:
    """-1: no match; 0: "*"; more for every character that a glob says; infinite: the very name."""
    if pattern == name:
        return float("inf")
    if pattern == "*":
        return 0.0
    return 1.0 + len(pattern) - pattern.count("*") if fnmatchcase(name, pattern) else -1.0


def _error_rank(wanted: str, error_type: type[Exception]) -> float:
    """-1: no match; 0: "*"; more the nearer the class is to the error's own."""
    if wanted == "*":
        return 0.0
    order = error_type.__mro__
    for distance, base in enumerate(order):
        if wanted in (base.__name__, base.__qualname__, error_name(base)):
            return float(len(order) - distance)
    return -1.0
