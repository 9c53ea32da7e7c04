"""The numbers of the series: one id a series, given once and never again in this run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from agent.model import Series, SeriesKey

__all__ = ["SeriesTable"]


class SeriesTable:
    """Gives each series an id and forgets those that are no longer seen.

    Ids rise from 1 and are not used again, so a buffered batch can never mean another series than when it was taken.
    Definitions of forgotten series stay readable until `retired_max` newer ones were forgotten.
    """

    def __init__(self, retired_max: int = 20_000) -> None:
        self._retired_max = retired_max
        self._id_by_series: dict[Series, int] = {}
        self._id_by_key: dict[SeriesKey, int] = {}
        self._handles: dict[int, list[Series]] = {}
        self._series_by_id: dict[int, Series] = {}
        self._retired: OrderedDict[int, Series] = OrderedDict()
        self._seen: set[int] = set()
        self._next_id = 1

    def __len__(self) -> int:
        return len(self._series_by_id)

    def ids(self, series: Iterable[Series]) -> list[int]:
        """The ids of these series, in order; unknown series are given one."""
        known = self._id_by_series
        found = [known.get(one) or self._define(one) for one in series]
        self._seen.update(found)
        return found

    def definition(self, series_id: int) -> Series:
        """What an id stands for.

        Raises:
            KeyError: It was never given, or was forgotten long ago.
        """
        known = self._series_by_id.get(series_id)
        return known if known is not None else self._retired[series_id]

    def items(self) -> list[tuple[int, Series]]:
        """Every id that is in use, with its series."""
        return list(self._series_by_id.items())

    def forget_unseen(self) -> dict[int, list[Series]]:
        """Forget the series without a sample since the last call; return each id with every object that stood for it."""
        unseen = self._series_by_id.keys() - self._seen
        self._seen.clear()
        return {series_id: self._retire(series_id) for series_id in sorted(unseen)}

    def id_of(self, series: Series) -> int | None:
        """Its id; None when it has none (never seen, or forgotten)."""
        return self._id_by_series.get(series)

    def _define(self, series: Series) -> int:
        series_id = self._id_by_key.get(series.key)
        if series_id is None:
            series_id = self._next_id
            self._next_id += 1
            self._id_by_key[series.key] = series_id
            self._series_by_id[series_id] = series
            self._handles[series_id] = []
        self._id_by_series[series] = series_id
        self._handles[series_id].append(series)
        return series_id

    def _retire(self, series_id: int) -> list[Series]:
        series = self._series_by_id.pop(series_id)
        del self._id_by_key[series.key]
        handles = self._handles.pop(series_id)
        for handle in handles:
            del self._id_by_series[handle]
        self._retired[series_id] = series
        while len(self._retired) > self._retired_max:
            self._retired.popitem(last=False)
        return handles
