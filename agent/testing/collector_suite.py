"""What every collector must do, checked in one call from a plugin's own tests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isinf, isnan
from numbers import Real
from pathlib import Path
from typing import Any

from agent.contracts import Collector, CollectorContext
from agent.model import Kind, Series
from agent.testing.open_files import open_files
from agent.testing.recorder import FakeCollectorContext, ListRecorder, collect
from agent.testing.requirement import require

__all__ = ["CollectorReport", "check_collector"]

SUFFIX_BY_UNIT = {
    "bytes": "_bytes",
    "bytes/s": "_bytes_per_s",
    "s": "_s",
    "ratio": "_ratio",
    "1/s": "_per_s",
    "celsius": "_celsius",
}
"""Unit of a series -> how its name ends. The agent's own counters end in `_total`."""

_ROW = re.compile(r"^\| `(\w+)` \| *(\w+) *\| *(\S*?) *\|", re.MULTILINE)
"""A metric in the table of a README: name, kind, unit."""


@dataclass(frozen=True, slots=True)
class CollectorReport:
    """What a collector recorded while it was checked.

    Attributes:
        series: Every series, in order of first appearance.
        last: Last value of each by its text.
    """

    series: tuple[Series, ...]
    last: dict[str, float]

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.series}


async def check_collector(
    factory: Callable[[Any, Any], Collector],
    config: Any = None,
    *,
    context: FakeCollectorContext | None = None,
    readme: Path | None = None,
    ticks: int = 3,
) -> CollectorReport:
    """Run a collector for some ticks and hold it to its contract; without an event loop: `asyncio.run(check_collector(...))`.

    Checked: it is a `Collector`; `collect` returns None; what it records are numbers of series that it got from its
    context, no series twice in a tick, none infinite, ratios within 0..1; names end in their unit; running totals carry a
    unit per second; every name stands in its README with its kind and unit; `close` may be called twice and leaves no file
    open; after it, a new
    one can be made and works.

    Args:
        factory: As registered: `factory(config, context)`.
        config: The plugin's own struct.
        context: None makes one with a fake clock.
        readme: File that must have a row `| name | kind | unit |` for every metric; None skips that.
        ticks: Collects of the first instance, >= 2; the clock moves by the context's interval in between.

    Raises:
        AssertionError: Naming what was wrong.
    """
    context = context or FakeCollectorContext()
    before = open_files()
    try:
        seen = await _ticks(factory(config, _as_context(context)), context, ticks)
        seen |= await _ticks(factory(config, _as_context(context)), context, 1)
    finally:
        context.close()
    leaked = open_files() - before
    require(not leaked, f"close() left files open: {sorted(leaked)}")
    for series in seen:
        _check_series(series)
    if readme is not None:
        _check_documented(seen, readme)
    return CollectorReport(tuple(seen), {str(series): value for series, value in seen.items()})


async def _ticks(collector: Collector, context: FakeCollectorContext, count: int) -> dict[Series, float]:
    require(isinstance(collector, Collector), f"the factory gives something with collect(out) (got {collector!r:.80})")
    seen: dict[Series, float] = {}
    for _ in range(count):
        recorder = await collect(collector)
        _check_samples(recorder)
        seen.update(recorder.samples)
        context.clock.advance(context.interval_s)
    for _ in range(2):
        await _close(collector)
    return seen


async def _close(collector: Collector) -> None:
    close = getattr(collector, "close", None)
    if close is not None:
        pending = close()
        if inspect.isawaitable(pending):
            await pending


def _check_samples(recorder: ListRecorder) -> None:
    keys = [series.key for series, _ in recorder.samples]
    twice = {str(series) for series, _ in recorder.samples if keys.count(series.key) > 1}
    require(not twice, f"recorded more than once in a tick: {sorted(twice)}")
    for series, value in recorder.samples:
        require(isinstance(value, Real), f"{series}: a value is a number (got {value!r:.80})")
        require(not isinf(value), f"{series}: a value is finite, or NaN for no sample (got {value!r})")
        if series.unit == "ratio" and series.kind is Kind.GAUGE and not isnan(value):
            require(0 <= value <= 1, f"{series}: a ratio lies within 0..1 (got {value!r})")


def _check_series(series: Series) -> None:
    suffix = SUFFIX_BY_UNIT.get(series.unit, "")
    require(series.name.endswith((suffix, "_total")), f"{series}: a name in {series.unit!r} ends in {suffix!r}")
    if series.kind is Kind.RATE:
        per_second = series.unit in {"ratio", "cores"} or series.unit.endswith("/s")
        require(per_second, f"{series}: the unit of a RATE is per second, or a ratio (got {series.unit!r})")


def _check_documented(seen: Iterable[Series], readme: Path) -> None:
    rows = _ROW.findall(readme.read_text(encoding="utf-8"))
    documented = {name: (kind, unit) for name, kind, unit in rows}
    for series in seen:
        require(series.name in documented, f"{readme} has no row for `{series.name}`")
        told, is_so = documented[series.name], (series.kind.value, series.unit)
        require(told == is_so, f"{readme} says of `{series.name}` {told}, and it is {is_so}")


def _as_context(context: FakeCollectorContext) -> CollectorContext:
    """A fake is a context; this line is where the type checker holds it to that."""
    return context
