"""Finds plugins and hands out what they register: built-ins by name, outsiders by entry point or from a folder."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pluggy

from agent import hookspecs
from agent.builtin import BUILTIN, HOOK_BY_KIND, Registration, load_builtin
from agent.errors import LoadError
from agent.hookspecs import PROJECT
from agent.model import Event
from agent.outsiders import named_entry_points, one_line, plugins_in_folder, suggestion

__all__ = ["KIND_WORD", "PluginManager", "PluginObserver", "Registration"]

KIND_WORD = {
    "collectors": "collector",
    "recovery": "recovery strategy",
    "sampling": "sampler",
    "sinks": "sink",
    "detectors": "detector",
}
"""Kind, as the configuration writes it -> what one of them is called in a message."""

_PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class PluginObserver:
    """One plugin's `rebellion_on_event`; calling it calls the hook.

    Attributes:
        plugin: Who observes, for the log.
        function: The hook's implementation.
        takes_event: False when the plugin left the argument out, as pluggy allows.
    """

    plugin: str
    function: Callable[..., object]
    takes_event: bool

    def __call__(self, event: Event) -> None:
        if self.takes_event:
            self.function(event)
        else:
            self.function()


class PluginManager:
    """Every plugin that this process may use. Built-ins are imported when asked for, outsiders when named here.

    Args:
        plugins: Names of entry points of the group `rebellion.plugins` to load; the others are never imported.
        plugins_dir: Folder whose `*.py` files are loaded, one plugin each (`_*.py` is left out); "" = none.

    Raises:
        LoadError: `plugins` is not the package beside `agent`, or an outsider cannot be loaded (the first such).
    """

    def __init__(self, plugins: Sequence[str] = (), plugins_dir: str = "") -> None:
        refuse_foreign_package()
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._outsiders: dict[tuple[str, str], Registration] = {}
        self._origins: dict[str, str] = {}
        errors = self.load_outsiders(plugins, plugins_dir)
        if errors:
            raise errors[0]

    def load_outsiders(self, plugins: Sequence[str], plugins_dir: str = "") -> list[LoadError]:
        """Load each outsider; one that fails leaves nothing behind and does not stop the others.

        Returns:
            What went wrong, one error per outsider that is not loaded.
        """
        errors = []
        for outsider in (*named_entry_points(plugins), *plugins_in_folder(plugins_dir)):
            try:
                self.register(outsider.load(), outsider.name, outsider.origin)
            except LoadError as error:
                errors.append(error)
        return errors

    def register(self, module: object, name: str, origin: str) -> None:
        """Take in an object that carries hooks, and let it register; all of it or nothing.

        Raises:
            LoadError: A hook is misspelt or raises, or it registers what it may not.
        """
        try:
            self._pluggy.register(module, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise LoadError(name, "plugin", f"{origin}: {one_line(error)}") from error
        try:
            self._check_hooks(module, name, origin)
            self._outsiders.update(self._registrations_of(module, name, origin))
            self._origins[name] = origin
        except LoadError:
            self._pluggy.unregister(name=name)
            raise

    def find(self, kind: str, name: str) -> Registration:
        """What the plugin of that kind (key of `HOOK_BY_KIND`) and name registered.

        Raises:
            LoadError: There is none; the message lists those that exist. Or the built-in cannot be imported.
        """
        if (kind, name) in self._outsiders:
            return self._outsiders[kind, name]
        if name not in BUILTIN[kind]:
            names = [known for known, _ in self.available(kind)]
            raise LoadError(name, KIND_WORD[kind], f"there is none of that name{suggestion(name, names)}")
        try:
            return load_builtin(kind, name)
        except LoadError:
            raise
        except Exception as error:
            raise LoadError(name, KIND_WORD[kind], f"cannot be imported: {one_line(error)}") from error

    def available(self, kind: str) -> list[tuple[str, str]]:
        """(name, origin) of every plugin of that kind, by name; imports nothing."""
        built_in = [(name, f"plugins.{kind}.{name}") for name in BUILTIN[kind]]
        outside = [(r.name, r.origin) for (of_kind, _), r in self._outsiders.items() if of_kind == kind]
        return sorted(built_in + outside)

    def observers(self) -> list[PluginObserver]:
        """The plugins that want to see events, in the order of their loading."""
        return [
            PluginObserver(impl.plugin_name, impl.function, bool(impl.argnames))
            for impl in self._pluggy.hook.rebellion_on_event.get_hookimpls()
        ]

    def kindless(self) -> list[tuple[str, str, str]]:
        """(what, name, origin) of the plugins that observe events or add commands; `available` does not know these."""
        hook = self._pluggy.hook
        callers = (("observer", hook.rebellion_on_event), ("commands", hook.rebellion_add_commands))
        return [
            (what, impl.plugin_name, self._origins[impl.plugin_name])
            for what, caller in callers
            for impl in caller.get_hookimpls()
        ]

    def add_commands(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[LoadError]:
        """Let plugins add subcommands.

        Returns:
            One error per plugin that raised; the commands of the others are there.
        """
        errors = []
        for impl in self._pluggy.hook.rebellion_add_commands.get_hookimpls():
            try:
                impl.function(*(subparsers for _ in impl.argnames))
            except Exception as error:  # noqa: BLE001 - a plugin's mistake costs its own commands only
                errors.append(LoadError(impl.plugin_name, "plugin", f"rebellion_add_commands: {one_line(error)}"))
        return errors

    def _check_hooks(self, module: object, name: str, origin: str) -> None:
        try:
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as error:
            wrong = re.sub(r" in plugin .*", "", one_line(error).removeprefix("PluginValidationError: "))
            hint = suggestion(_quoted(wrong), _hook_names())
            raise LoadError(name, "plugin", f"{origin}: {wrong}{hint}") from error
        marked = {caller.name for caller in self._pluggy.get_hookcallers(module) or ()}
        unmarked = sorted(h for h in _hook_names() if h not in marked and callable(getattr(module, h, None)))
        if unmarked:
            raise LoadError(name, "plugin", f"{origin}: {unmarked[0]} is not marked with @hookimpl")
        if not marked:
            raise LoadError(name, "plugin", f"{origin}: has no @hookimpl at all; a plugin needs at least one")

    def _registrations_of(self, module: object, name: str, origin: str) -> dict[tuple[str, str], Registration]:
        found: dict[tuple[str, str], Registration] = {}
        for kind, hook in HOOK_BY_KIND.items():
            for impl in getattr(self._pluggy.hook, hook).get_hookimpls():
                if impl.plugin is module:
                    self._call_hook(impl, kind, origin, found)
        return found

    def _call_hook(
        self, impl: pluggy.HookImpl, kind: str, origin: str, found: dict[tuple[str, str], Registration]
    ) -> None:
        def register(name: str, factory: Callable[[Any, Any], Any], config: type | None = None) -> None:
            registration = Registration(kind, name, factory, config, origin)
            _check_registration(registration)
            taken_by = found.get((kind, name)) or self._outsiders.get((kind, name))
            if taken_by is not None or name in BUILTIN[kind]:
                by = taken_by.origin if taken_by else f"plugins.{kind}.{name}"
                raise LoadError(name, KIND_WORD[kind], f"{origin}: the name is taken by {by}; choose another")
            found[kind, name] = registration

        try:
            impl.function(*(register for _ in impl.argnames))
        except LoadError:
            raise
        except Exception as error:
            message = f"{origin}: {HOOK_BY_KIND[kind]} raised {one_line(error)}"
            raise LoadError(impl.plugin_name, "plugin", message) from error


def refuse_foreign_package() -> None:
    """Make sure that `plugins` is ours: another distribution may bring a package of the same name.

    Raises:
        LoadError: Another one would be imported; the message names it.
    """
    ours = Path(__file__).resolve().parent.parent / "plugins"
    spec = find_spec("plugins")
    found = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
    if found[:1] != [ours]:
        intruder = (spec.origin or ", ".join(map(str, found))) if spec else "nothing"
        raise LoadError(
            "plugins",
            "package",
            f"expected the one in {ours}, found {intruder}; install rebellion-agent into an environment of its own",
        )


def _check_registration(registration: Registration) -> None:
    name, kind = registration.name, KIND_WORD[registration.kind]
    if not _PLUGIN_NAME.fullmatch(str(name)):
        raise LoadError(str(name), kind, f"{registration.origin}: a plugin's name is lower_snake_case")
    if not callable(registration.factory):
        raise LoadError(name, kind, f"{registration.origin}: the factory is not callable")
    config = registration.config
    if config is not None and not (inspect.isclass(config) and issubclass(config, msgspec.Struct)):
        raise LoadError(name, kind, f"{registration.origin}: config must be a msgspec.Struct type (got {config!r})")


def _hook_names() -> list[str]:
    return sorted(name for name in vars(hookspecs) if name.startswith("rebellion_"))


def _quoted(message: str) -> str:
    match = re.search(r"'([^']*)'", message)
    return match[1] if match else message
