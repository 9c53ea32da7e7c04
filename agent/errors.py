"""The errors this project raises. Every message says where, what was got, and what would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

__all__ = [
    "BreakerOpen",
    "CollectError",
    "ConfigError",
    "ConfigProblem",
    "ContractError",
    "DeliveryError",
    "LoadError",
    "PermanentDelivery",
    "PluginError",
    "ProtocolError",
    "RebellionError",
    "RetryableDelivery",
    "SeriesLimitExceeded",
    "Unreachable",
]


class RebellionError(Exception):
    """Root of every error that this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a configuration.

    Attributes:
        source: File (or environment variable) it stands in.
        key: Dotted path of the key, "" when the whole file is meant.
        message: What was wrong and what was got.
        hint: What would do; "" when there is nothing to suggest.
    """

    source: str
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        return f"{where}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class ConfigError(RebellionError):
    """A configuration that cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(RebellionError):
    """A plugin did not do what its kind asks for.

    Args:
        plugin: Name of the plugin, as the configuration writes it.
        kind: collector, sampler, recovery, sink or detector.
        message: What was wrong, what was got, what would do.
    """

    def __init__(self, plugin: str, kind: str, message: str) -> None:
        self.plugin = plugin
        self.kind = kind
        super().__init__(f"{kind} {plugin!r}: {message}")


class LoadError(PluginError):
    """The plugin could not be found, imported or registered."""


class ContractError(PluginError):
    """The plugin returned or recorded something that its contract does not allow."""


class CollectError(RebellionError):
    """A collector could not read what it reads."""


class SeriesLimitExceeded(CollectError):
    """A collector defined more series than it may; the excess is refused, not stored."""


class DeliveryError(RebellionError):
    """A sink could not deliver.

    Attributes:
        retry_after_s: Seconds (>= 0) that the other end asked us to wait; None when it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RetryableDelivery(DeliveryError):
    """Nothing of this group may be taken as delivered; sending the same records again is right."""


class Unreachable(RetryableDelivery):
    """There is no connection to the other end, and the sink will not try to make one for `retry_after_s`.

    The sink's breaker opens at once, for that long; the next delivery is its probe.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class PermanentDelivery(DeliveryError):
    """The other end will never take these records; they are dropped and counted as `refused`."""


class ProtocolError(RebellionError):
    """The other end broke `rebellion.v1`.

    Attributes:
        close_code: WebSocket close code that says so (see docs/protocol.md).
    """

    def __init__(self, message: str, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code


class BreakerOpen(RebellionError, ConnectionError):
    """A circuit breaker refused the call without making it.

    Attributes:
        target: Name of the breaker.
        state: Name of the state that refused ("OPEN" or "HALF_OPEN").
        retry_in_s: Seconds (>= 0) until a probe may be admitted.
        last_failure: Text of the failure that opened it; "" when forced open.
    """

    if TYPE_CHECKING:

        def __init__(self, target: str, retry_in_s: float, state: str = "OPEN", last_failure: str = "", /) -> None: ...
    else:
        __init__ = BaseException.__init__  # keeps `args` and no more: a frame of our own costs as much as the raise

    @property
    def target(self) -> str:
        return str(self.args[0])

    @property
    def retry_in_s(self) -> float:
        return float(self.args[1])

    @property
    def state(self) -> str:
        return str(self.args[2]) if len(self.args) > 2 else "OPEN"

    @property
    def last_failure(self) -> str:
        return str(self.args[3]) if len(self.args) > 3 else ""

    @property
    def name(self) -> str:
        """The breaker's name, under the word that callers of other breakers look for."""
        return self.target

    @property
    def retry_after(self) -> float:
        """The same seconds as `retry_in_s`, under the word that HTTP clients look for."""
        return self.retry_in_s

    def __str__(self) -> str:
        reason = f"; last failure: {self.last_failure}" if self.last_failure else ""
        return f"breaker {self.target!r} is {self.state}, retry in {self.retry_in_s:.3g} s{reason}"
