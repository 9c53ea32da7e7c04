"""What each kind of plugin must do, and what the agent gives it. Protocols only: called directly, never through pluggy."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import msgspec

from agent.clock import Clock
from agent.model import Event, Kind, Level, Record, Scalar, Series

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.model import FloatArray, IdArray

__all__ = [
    "Block",
    "Collector",
    "CollectorContext",
    "Detector",
    "EpochSink",
    "ErrorSeverity",
    "ExplainingDetector",
    "Kept",
    "Logger",
    "PluginContext",
    "Reading",
    "Recorder",
    "RecoveryMethod",
    "RecoveryOutcome",
    "RecoveryRequest",
    "RecoveryStep",
    "Register",
    "Sampler",
    "SeriesFamily",
    "Sink",
    "SinkContext",
]

T = TypeVar("T")


class Logger(Protocol):
    """The part of a structlog logger that plugins use. Events are constants, facts are keys."""

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...


class PluginContext(Protocol):
    """What every plugin's factory is given beside its own configuration."""

    @property
    def name(self) -> str:
        """Name of this instance, as events and metrics show it: `cpu`, `websocket:2`."""
        ...

    @property
    def clock(self) -> Clock: ...
    @property
    def rng(self) -> random.Random: ...
    @property
    def log(self) -> Logger: ...

    @property
    def state_dir(self) -> Path:
        """A folder that outlives the process, for this instance alone; made when first asked for."""
        ...

    def emit(self, kind: str, level: Level = Level.INFO, /, **detail: Scalar) -> None:
        """Report an event of this plugin; it goes to the log, the observers and the sinks."""
        ...

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        """Run a blocking function on one of the agent's worker threads.

        A cancelled caller stops waiting at once; the thread is written off until the function returns.
        """
        ...


# --- collectors -----------------------------------------------------------------------------------------------------


class SeriesFamily(Protocol):
    """The series of one name, told apart by the value of one label; made when first asked for."""

    def __getitem__(self, label_value: str) -> Series: ...


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of the agent's own, with what is needed to define its series."""

    name: str
    value: float
    labels: Mapping[str, str] = {}
    unit: str = ""
    kind: Kind = Kind.GAUGE


class CollectorContext(PluginContext, Protocol):
    """What a collector's factory is given."""

    @property
    def interval_s(self) -> float: ...

    def series(
        self,
        name: str,
        *,
        unit: str = "",
        kind: Kind = Kind.GAUGE,
        wrap_bits: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> Series:
        """One series; the same name and labels give the same object.

        Raises:
            SeriesLimitExceeded: The collector has defined `max_series` already.
            ContractError: The name or a label is not a plain, printable, short text.
        """
        ...

    def family(
        self,
        name: str,
        *,
        label: str,
        unit: str = "",
        kind: Kind = Kind.GAUGE,
        wrap_bits: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> SeriesFamily:
        """Series that differ in one label; raises as `series` does, when a new value is first asked for."""
        ...

    def own_readings(self) -> Iterable[Reading]:
        """The agent's own state: queues, breakers, drops, tick durations."""
        ...


class Recorder(Protocol):
    """Where a collector puts what it read in this tick."""

    def add(self, series: Series, value: float) -> None:
        """Record one value; NaN means "no sample". RATE series take the running total (an int stays exact).

        Raises:
            ContractError: The value is not a number.
        """
        ...


@runtime_checkable
class Collector(Protocol):
    """Reads something once a tick.

    `collect` may be a plain function (it runs on a worker thread and may block) or a coroutine function (it runs on the
    event loop and must not). It may also have `close()`, called once at the end, in the same way. Only one `collect` of an
    instance runs at a time. Raising costs this tick of this collector, and counts in its breaker.
    """

    def collect(self, out: Recorder, /) -> Awaitable[None] | None: ...


# --- sampling -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """Buffered points among which a sampler chooses, oldest first. All arrays have shape (n,).

    Attributes:
        monotonic_s: When each was taken, float64, never falling.
        ids: Series of each, uint32.
        values: float64; NaN when the item has no numeric value (objects buffered through the library).
        priority: int64; higher matters more.
        is_exceptional: bool; anomalous or critical points.
        weights: How many produced points each stands for already, float64, >= 1.
        is_last: False when the buffer shows its content stretch by stretch (see `Sampler`) and newer points follow this block.
    """

    monotonic_s: FloatArray
    ids: IdArray
    values: FloatArray
    priority: NDArray[np.int64]
    is_exceptional: NDArray[np.bool_]
    weights: FloatArray
    is_last: bool = True

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a sampler keeps.

    Attributes:
        index: Positions in the block, rising, no position twice, at most the budget, int64.
        weights: How many produced points each kept one stands for, float64, same shape.
        values: Finite values to send in place of the points' own (a mean of those they stand for); None: as they are.
    """

    index: NDArray[np.int64]
    weights: FloatArray
    values: FloatArray | None = None


@runtime_checkable
class Sampler(Protocol):
    """Chooses which points stay when more is buffered than may stay. Pure: it neither blocks nor keeps the block.

    A sampler with a true attribute `works_in_stretches` chooses as well within any stretch of time as over the whole; a large
    buffer then shows it one stretch at a time, so that no single call takes long.

    Its attribute `method` says what its choice is good for, and with that how the hub makes statistics of it: `PointFlag.DRAWN`,
    `SHAPED`, `MERGED`, or `CHOSEN`, which is also meant when there is none. How far what was left out is from the straight lines
    between what is kept is measured by the buffer.
    """

    def keep(self, block: Block, budget: int, /) -> Kept:
        """At most `budget` (>= 0) points of the block. A result that breaks `Kept`'s rules is replaced by the newest points."""
        ...


# --- recovery -------------------------------------------------------------------------------------------------------


class ErrorSeverity(Enum):
    """How bad an error is, in rising order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class RecoveryStep(Enum):
    """What the agent does after a strategy has run."""

    RESOLVED = "resolved"
    """Recovered; `value` is the call's result where there was a call."""
    NEXT = "next"
    """This strategy could not help: the next one is tried, and the original error survives."""
    GIVE_UP = "give_up"
    """Try nothing else; the original error goes to the caller."""


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """One error to recover from, with the means to do it.

    Attributes:
        component, operation: Who failed at what: `collector:cpu`, `collect`.
        error: The original error.
        severity: See `ErrorSeverity`.
        occurrences: How often this component failed since it was last well for a while, >= 1, this one included; the engine
            counts it.
        call: Makes the failed call again, no longer than the current deadline allows; None when there is nothing to call.
        fallback: Makes the substitute call; None when there is none.
        reset: Rebuilds the component (single-flight); None when it cannot be rebuilt.
        trip: Opens the component's breaker; None when it has none.
        metadata: Facts from the caller.
        fingerprint: Equal errors of a component share it; the engine fills it in.
        sleep: How this caller waits; None: by `asyncio.sleep`. It raises where waiting would hold up an event loop.
    """

    component: str
    operation: str
    error: Exception
    severity: ErrorSeverity = ErrorSeverity.MEDIUM
    occurrences: int = 1
    call: Callable[[], Awaitable[Any]] | None = None
    fallback: Callable[[], Awaitable[Any]] | None = None
    reset: Callable[[], Awaitable[None]] | None = None
    trip: Callable[[], None] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    sleep: Callable[[float], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class RecoveryOutcome:
    """What a strategy achieved.

    Attributes:
        step: See `RecoveryStep`.
        value: What the caller gets instead of the error; counts only when the step is RESOLVED.
        note: One line for the log.
        error: What the call or its substitute raised last; None: the request's error still stands. What comes next, strategy
            or caller, is given this one.
    """

    step: RecoveryStep
    value: Any = None
    note: str = ""
    error: Exception | None = None


@runtime_checkable
class RecoveryMethod(Protocol):
    """One way out of an error. Cancellation passes through it; raising counts as NEXT and is logged.

    It may also have `succeeded(component)`, told of each success of a component that failed not long ago.
    """

    async def recover(self, request: RecoveryRequest, /) -> RecoveryOutcome: ...


# --- sinks ----------------------------------------------------------------------------------------------------------


class SinkContext(PluginContext, Protocol):
    """What a sink's factory is given."""

    @property
    def agent(self) -> str:
        """This agent's name."""
        ...

    @property
    def epoch(self) -> str:
        """Tells this run of the agent from every other; sequence numbers start at 1 in each."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the host, from the configuration."""
        ...

    def definition(self, series_id: int) -> Series:
        """What an id in a batch stands for."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Where records go.

    `deliver` returns when every record of the group is safe at the other end, and only then; the agent keeps the group until
    it does, and calls again with the same group (same sequence numbers) after `RetryableDelivery`, `OSError` or a time-out.
    `Unreachable` says that the link is down: the breaker opens at once, for as long as the error says.
    `records[i]` has sequence number `first_seq + i`. One call at a time.
    """

    async def deliver(self, records: Sequence[Record], first_seq: int, /) -> None: ...

    async def close(self) -> None:
        """Say goodbye and let go of everything; safe when never used, and twice."""
        ...


@runtime_checkable
class EpochSink(Sink, Protocol):
    """A sink whose other end knows records by epoch and number, so that an earlier run's records can be sent again safely."""

    async def deliver_earlier(self, epoch: str, records: Sequence[Record], first_seq: int, /) -> None:
        """`deliver` for records that an earlier run numbered and may have sent; the other end keeps those that it lacks."""
        ...


# --- detectors ------------------------------------------------------------------------------------------------------


@runtime_checkable
class Detector(Protocol):
    """Scores the newest value of each series against what it has learnt. Vectorised: one call a tick."""

    def learn_and_score(self, slots: NDArray[np.int64], values: FloatArray, /) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Score and alert of each value.

        Args:
            slots: Row of each series in the detector's own state, shape (n,), each >= 0; a row may be reused after `forget`.
            values: Shape (n,), float64; NaN means "no sample".
        Returns:
            score in [0, 1] (NaN while it is learning), alert: bool; both shape (n,).
        """
        ...

    def forget(self, slots: NDArray[np.int64], /) -> None:
        """Drop what was learnt of these rows."""
        ...


@runtime_checkable
class ExplainingDetector(Detector, Protocol):
    """A detector that can say what it saw; asked for rows that alert, right after the call in which they do."""

    def explain(self, slot: int, /) -> str:
        """What made this row alert in the last call, in one line with figures; empty when there is nothing to say."""
        ...


class Register(Protocol):
    """What a registration hook is given: call it once a plugin.

    Args:
        name: `lower_snake_case`; what the configuration calls it.
        factory: `factory(config, context)` gives the plugin object.
        config: A `msgspec.Struct` type (keyword-only, `forbid_unknown_fields`); None when there is nothing to configure.
    """

    def __call__(self, name: str, factory: Callable[[Any, Any], Any], config: type | None = None) -> None: ...


Observer = Callable[[Event], None]
ReadingSource = Callable[[], Iterator[Reading]]
