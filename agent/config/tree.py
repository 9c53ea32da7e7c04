"""One tree of values out of files, drop-ins and the environment; every value remembers where it came from."""

from __future__ import annotations

import datetime
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli

from agent.config.schema import AgentConfig, HubConfig
from agent.errors import ConfigError, ConfigProblem

__all__ = ["SYSTEM_FOLDER", "KeyPath", "Tree", "config_files", "dotted", "read_tree", "user_folder"]

SYSTEM_FOLDER = Path("/etc/rebellion")
ENVIRONMENT_PREFIX = "REBELLION_"

KeyPath = tuple[str | int, ...]


def dotted(path: KeyPath) -> str:
    """A path as messages write it: `collectors.cpu[0].interval_s`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


class Tree:
    """Tables merged in order: tables are merged key by key, everything else is replaced by what comes later."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.files: list[Path] = []
        self._source_by_path: dict[KeyPath, str] = {}
        self._raw_by_path: dict[KeyPath, str] = {}

    def overlay(self, table: Mapping[str, Any], source: str) -> None:
        """Put a whole document over what is there."""
        self._merge(self.values, table, (), source)

    def overlay_variable(self, name: str, path: Sequence[str], text: str) -> ConfigProblem | None:
        """Put one environment variable over what is there.

        Returns:
            What is wrong when the path leads through something that is not a table; None when it was taken.
        """
        source = f"environment {name}"
        node: Any = self.values
        walked: KeyPath = ()
        for part in path[:-1]:
            step: str | int = int(part) if isinstance(node, list) and part.isdecimal() else part
            walked = (*walked, step)
            if isinstance(node, dict):
                self._source_by_path.setdefault(walked, source)
                node = node.setdefault(step, {})
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                return ConfigProblem(source, dotted(walked), "there is no such table")
        if not isinstance(node, dict):
            return ConfigProblem(source, dotted(walked), f"is not a table (got {node!r}), so nothing can be set in it")
        self._merge(node, {path[-1]: _value_of(text)}, walked, source)
        self._raw_by_path[(*walked, path[-1])] = text
        return None

    def source_of(self, path: KeyPath) -> str:
        """The file or environment variable that set this key, or the nearest table above it; "default" when none did."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._source_by_path:
                return self._source_by_path[path[:length]]
        return "default"

    def folder_of(self, path: KeyPath) -> Path:
        """The configuration folder of the file that set this key; the working folder when a variable did."""
        source = self.source_of(path)
        if source not in map(str, self.files):
            return Path()
        folder = Path(source).parent
        return folder.parent if folder.suffix == ".d" else folder

    def is_set(self, path: KeyPath) -> bool:
        """True when a file or variable set exactly this key."""
        return path in self._source_by_path

    def raw(self, path: KeyPath) -> str | None:
        """The text of the environment variable that set this key; None when no variable did."""
        return self._raw_by_path.get(path)

    def _merge(self, into: dict[str, Any], table: Mapping[str, Any], at: KeyPath, source: str) -> None:
        for key, value in table.items():
            path = (*at, key)
            self._raw_by_path.pop(path, None)
            if isinstance(value, dict):
                self._source_by_path.setdefault(path, source)
                if not isinstance(into.get(key), dict):
                    into[key] = {}
                self._merge(into[key], value, path, source)
            else:
                into[key] = value
                self._note(path, value, source)

    def _note(self, path: KeyPath, value: object, source: str) -> None:
        self._source_by_path[path] = source
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._note((*path, index), item, source)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._note((*path, key), item, source)


def user_folder(environ: Mapping[str, str], variable: str, under_home: str) -> Path:
    """A folder of the XDG base directories: the variable's, else the given one under the home folder."""
    given = environ.get(variable, "")
    if Path(given).is_absolute():
        return Path(given)
    home = environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return Path(home) / under_home


def config_files(program: str, paths: Sequence[str | Path] | None, environ: Mapping[str, str]) -> list[Path]:
    """The files to read, in order; each `NAME.toml` is followed by `NAME.d/*.toml` beside it.

    Args:
        program: `agent` or `hub`.
        paths: Files or folders (their `*.toml`) that the user named; None = the user's own when there is one,
            else /etc/rebellion.
        environ: For `$XDG_CONFIG_HOME`.

    Raises:
        ConfigError: A named path does not exist.
    """
    if paths is None:
        own = user_folder(environ, "XDG_CONFIG_HOME", ".config") / "rebellion" / f"{program}.toml"
        system = SYSTEM_FOLDER / f"{program}.toml"
        return _with_drop_ins(own) or _with_drop_ins(system)
    missing = [ConfigProblem(str(path), "", "there is no such file") for path in paths if not Path(path).exists()]
    if missing:
        raise ConfigError(missing)
    return [file for path in paths for file in _with_drop_ins(Path(path))]


def read_tree(program: str, paths: Sequence[str | Path] | None, environ: Mapping[str, str]) -> Tree:
    """Read and merge everything that configures a program.

    Raises:
        ConfigError: Every file that cannot be read or is not TOML, and every variable that names no section.
    """
    tree = Tree()
    problems = []
    for file in config_files(program, paths, environ):
        try:
            tree.overlay(tomli.loads(file.read_text("utf-8")), str(file))
            tree.files.append(file)
        except tomli.TOMLDecodeError as error:
            problems.append(ConfigProblem(f"{file}:{error.lineno}:{error.colno}", "", f"is not TOML: {error.msg}"))
        except UnicodeDecodeError as error:
            problems.append(ConfigProblem(str(file), "", f"is not UTF-8 text (byte {error.start})"))
        except OSError as error:
            problems.append(ConfigProblem(str(file), "", f"cannot be read: {error.strerror}"))
    problems.extend(_overlay_environment(tree, program, environ))
    if problems:
        raise ConfigError(problems)
    return tree


def _with_drop_ins(file: Path) -> list[Path]:
    if file.is_dir():
        return sorted(file.glob("*.toml"))
    main = [file] if file.is_file() else []
    return main + sorted(file.with_suffix(".d").glob("*.toml"))


def _overlay_environment(tree: Tree, program: str, environ: Mapping[str, str]) -> Iterator[ConfigProblem]:
    sections = {"agent": AgentConfig, "hub": HubConfig}
    known = {name for section in sections.values() for name in section.__struct_fields__}
    for name in sorted(environ):
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or len(path) < 2:
            continue
        if path[0] not in known:
            yield ConfigProblem(
                f"environment {name}", "", f"there is no section {path[0]!r}", f"sections: {_words(known)}"
            )
        elif "" in path:
            yield ConfigProblem(f"environment {name}", "", "has an empty part; it is REBELLION_SECTION__KEY")
        elif path[0] in sections[program].__struct_fields__:
            problem = tree.overlay_variable(name, path, environ[name])
            if problem is not None:
                yield problem


def _words(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _value_of(text: str) -> Any:
    """The text as a TOML value; the text itself when it is none, or is a date."""
    try:
        document = tomli.loads(f"value = {text}")
    except tomli.TOMLDecodeError:
        return text
    value = document.get("value")
    if len(document) != 1 or isinstance(value, datetime.date | datetime.time):
        return text
    return value
