"""Where outsiders come from: entry points that the configuration names, and a folder of single-file plugins."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from agent.errors import LoadError
from agent.hookspecs import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Outsider", "installed_entry_points", "named_entry_points", "one_line", "plugins_in_folder", "suggestion"]


@dataclass(frozen=True, slots=True)
class Outsider:
    """A plugin that is not ours, not imported yet.

    Attributes:
        name: Of the entry point, or of the file without `.py`.
        origin: Where it comes from, for messages.
        load: Imports it and gives the object that carries the hooks; raises LoadError.
    """

    name: str
    origin: str
    load: Callable[[], object]


def installed_entry_points() -> list[tuple[str, str]]:
    """(name, module) of every installed entry point of the group, loaded or not; imports none of them."""
    return sorted((entry.name, entry.value) for entry in _entry_points())


def named_entry_points(names: Sequence[str]) -> Iterator[Outsider]:
    """The outsiders that these names stand for; a name that is not installed fails when it is loaded."""
    if not names:
        return
    installed = _entry_points()
    for name in dict.fromkeys(names):
        places = sorted({entry.value for entry in installed if entry.name == name})
        yield Outsider(name, f"entry point {', '.join(places)}", partial(_load_entry_point, name, list(installed)))


def plugins_in_folder(plugins_dir: str) -> Iterator[Outsider]:
    """One outsider per `*.py` in the folder, by name; files that begin with `_` or `.` are left out."""
    if not plugins_dir:
        return
    folder = Path(plugins_dir)
    if not folder.is_dir():
        yield Outsider(plugins_dir, plugins_dir, partial(_refuse_folder, folder))
        return
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith(("_", ".")):
            yield Outsider(file.stem, str(file), partial(_load_file, file))


def suggestion(name: str, known: Sequence[str]) -> str:
    """The end of a message about a name that does not exist: the nearest one, and the list."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(known)})" if known else f"{hint} (there are none)"


def one_line(error: BaseException) -> str:
    """An error's class and text without line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _load_entry_point(name: str, installed: list[EntryPoint]) -> object:
    matching = {entry.value: entry for entry in installed if entry.name == name}
    if not matching:
        known = sorted({entry.name for entry in installed})
        raise LoadError(name, "plugin", f"no entry point of that name is installed{suggestion(name, known)}")
    if len(matching) > 1:
        message = f"several installed distributions have that entry point: {', '.join(sorted(matching))}"
        raise LoadError(name, "plugin", message)
    (entry,) = matching.values()
    try:
        loaded: object = entry.load()
    except (Exception, SystemExit) as error:
        raise LoadError(name, "plugin", f"{entry.value} cannot be imported: {one_line(error)}") from error
    return loaded


def _refuse_folder(folder: Path) -> object:
    raise LoadError(str(folder), "plugins_dir", "is not a folder")


def _load_file(file: Path) -> object:
    try:
        status = file.stat()
        _refuse_writable_by_all(file)
        return _import_file(file.resolve(), (status.st_mtime_ns, status.st_size))
    except LoadError:
        raise
    except (Exception, SystemExit) as error:
        raise LoadError(file.stem, "plugin", f"{file} cannot be imported: {one_line(error)}") from error


def _refuse_writable_by_all(file: Path) -> None:
    for place in (file, file.parent):
        if place.stat().st_mode & stat.S_IWOTH:
            raise LoadError(file.stem, "plugin", f"{place} can be written by everybody; chmod o-w it")


@lru_cache(maxsize=256)
def _import_file(file: Path, _version: tuple[int, int]) -> ModuleType:
    """The module in a file; the same object while the file is unchanged, so that a reload keeps its plugins running."""
    name = f"rebellion_plugins_dir_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # msgspec resolves a Config's annotations through it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def _entry_points() -> Sequence[EntryPoint]:
    """Imported here: 1.5 MiB of mail and archive modules that an agent without outsiders never needs."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=ENTRY_POINT_GROUP))
