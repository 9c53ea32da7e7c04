"""What differs between two configurations, or between one and the defaults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from agent.config.in_force import Entry, Section, header
from agent.config.tree import KeyPath

__all__ = ["Line", "between", "from_defaults"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference.

    Attributes:
        sign: "-" before, "+" after, "" both.
        text: As in the file.
        source: Where it comes from.
    """

    sign: str
    text: str
    source: str = ""


def from_defaults(sections: Iterable[Section]) -> Iterator[Line]:
    """What would be otherwise without a file and without variables; a section that nothing is set in stands alone."""
    for section in sections:
        changed = [entry for entry in section.entries if entry.value != entry.default]
        if not changed and section.is_always:
            continue
        yield _head(section, "" if section.is_always else "+")
        for entry in changed:
            if entry.default is not msgspec.NODEFAULT:
                yield Line("-", entry.as_text(entry.default), "default")
            yield Line("+", entry.text, entry.source)


def between(before: Iterable[Section], after: Iterable[Section]) -> Iterator[Line]:
    """What the second has that the first has not, and the other way round."""
    old, new = _by_path(before), _by_path(after)
    for path in [*old, *(path for path in new if path not in old)]:
        if path not in new:
            yield from _alone(old[path], "-")
        elif path not in old:
            yield from _alone(new[path], "+")
        else:
            yield from _changed(old[path], new[path])


def _by_path(sections: Iterable[Section]) -> dict[KeyPath, Section]:
    return {section.path: section for section in sections}


def _alone(section: Section, sign: str) -> Iterator[Line]:
    """A section that only one side has: what is set in it; the rest are defaults."""
    yield _head(section, sign)
    for entry in section.entries:
        if entry.value != entry.default:
            yield Line(sign, entry.text, entry.source)


def _changed(old: Section, new: Section) -> Iterator[Line]:
    was: dict[str, Entry] = {entry.key: entry for entry in old.entries}
    now: dict[str, Entry] = {entry.key: entry for entry in new.entries}
    lines = []
    for key in [*was, *(key for key in now if key not in was)]:
        before, after = was.get(key), now.get(key)
        if _is_same(before, after):
            continue
        lines += [Line("-", before.text, before.source)] if before else []
        lines += [Line("+", after.text, after.source)] if after else []
    if lines:
        yield _head(new, "")
        yield from lines


def _is_same(before: Entry | None, after: Entry | None) -> bool:
    """Equal values; and a default, where the other side has no such key: that of a collector that is switched off."""
    if before and after:
        return bool(before.value == after.value)
    only = before or after
    return only is not None and bool(only.value == only.default)


def _head(section: Section, sign: str) -> Line:
    return Line(sign, header(section.path), section.source if sign else "")
