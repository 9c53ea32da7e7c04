"""Where a collector gets its series from: named once, checked once, never more than it may have."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.errors import ContractError, SeriesLimitExceeded
from agent.model import Kind, Labels, PointFlag, Series, SeriesKey

__all__ = ["Family", "SeriesSource"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}", re.ASCII)
_MAX_LABELS = 16
_MAX_LABEL_VALUE_LENGTH = 256


class Family(dict[str, Series]):
    """Series of one name, by the value of one label; made when first asked for."""

    def __init__(self, source: SeriesSource, template: Series, label: str) -> None:
        super().__init__()
        self._source = source
        self._template = template
        self._label = label

    def __missing__(self, label_value: str) -> Series:
        template = self._template
        made = self._source.series(
            template.name,
            unit=template.unit,
            kind=template.kind,
            wrap_bits=template.wrap_bits,
            labels={**dict(template.labels), self._label: label_value},
        )
        self[label_value] = made
        return made


class SeriesSource:
    """Makes the series of one collector and keeps their number within bounds.

    Args:
        owner: Name of the collector, for error messages.
        max_series: Most series it may have at a time, >= 1.
        labels: Labels put on every series (the instance's name, where there are several).
        lane: Lane of its points: CRITICAL, BULK, or NONE for the normal one.
    """

    def __init__(
        self, owner: str, max_series: int, labels: Mapping[str, str] | None = None, *, lane: PointFlag = PointFlag.NONE
    ) -> None:
        self.max_series = max_series
        self._owner = owner
        self._labels = dict(labels or {})
        self.lane = lane
        self._made: dict[SeriesKey, Series] = {}
        self._families: list[Family] = []

    def __len__(self) -> int:
        return len(self._made)

    def series(
        self,
        name: str,
        *,
        unit: str = "",
        kind: Kind = Kind.GAUGE,
        wrap_bits: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> Series:
        """The series of this name and these labels; raises as `CollectorContext.series` says."""
        pairs = self._checked(name, {**self._labels, **(labels or {})})
        known = self._made.get((name, pairs))
        if known is not None:
            return known
        if len(self._made) >= self.max_series:
            raise SeriesLimitExceeded(
                f"collector {self._owner!r} may have {self.max_series} series (max_series) and asked for one more: {name}"
            )
        made = Series(name, pairs, unit, kind, wrap_bits, self.lane)
        self._made[made.key] = made
        return made

    def family(
        self,
        name: str,
        *,
        label: str,
        unit: str = "",
        kind: Kind = Kind.GAUGE,
        wrap_bits: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> Family:
        """The series of this name, by the value of `label`."""
        template = Series(name, self._checked(name, labels or {}), unit, kind, wrap_bits)
        made = Family(self, template, label)
        self._families.append(made)
        return made

    def forget(self, series: Series) -> None:
        """Free the place of a series that is no longer seen; a series of another collector changes nothing."""
        if self._made.get(series.key) is not series:
            return
        del self._made[series.key]
        values = [value for _, value in series.labels]
        for family in self._families:
            for value in values:
                if family.get(value) is series:
                    del family[value]

    def _checked(self, name: str, labels: Mapping[str, str]) -> Labels:
        if not _is_name(name):
            raise ContractError(self._owner, "collector", f"series name must be lower_snake_case (got {name!r})")
        if len(labels) > _MAX_LABELS:
            raise ContractError(self._owner, "collector", f"{name}: at most {_MAX_LABELS} labels (got {len(labels)})")
        return tuple(sorted((self._label_name(name, key), _label_value(value)) for key, value in labels.items()))

    def _label_name(self, series_name: str, label: str) -> str:
        if not _is_name(label):
            raise ContractError(
                self._owner, "collector", f"{series_name}: label name must be lower_snake_case (got {label!r})"
            )
        return label


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _label_value(value: object) -> str:
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)[
        :_MAX_LABEL_VALUE_LENGTH
    ]
