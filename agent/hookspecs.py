"""The hooks of the pluggy project `rebellion`. They run at start-up and register factories; no hook runs per sample."""

from __future__ import annotations

import argparse

import pluggy

from agent.contracts import Register
from agent.model import Event

__all__ = ["ENTRY_POINT_GROUP", "PROJECT", "hookimpl", "hookspec"]

PROJECT = "rebellion"
ENTRY_POINT_GROUP = "rebellion.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def rebellion_register_collectors(register: Register) -> None:
    """Register collectors.

    When: once, when the plugin is loaded, before the first tick. Task: the main thread, no event loop.
    Raising: the plugin is not loaded; the configuration that names it is refused with the error's text.
    versionadded: 0.1
    """


@hookspec
def rebellion_register_recovery_strategies(register: Register) -> None:
    """Register recovery strategies. When, task, raising: as `rebellion_register_collectors`. versionadded: 0.1"""


@hookspec
def rebellion_register_sampling_strategies(register: Register) -> None:
    """Register sampling strategies. When, task, raising: as `rebellion_register_collectors`. versionadded: 0.1"""


@hookspec
def rebellion_register_sinks(register: Register) -> None:
    """Register sinks. When, task, raising: as `rebellion_register_collectors`. versionadded: 0.1"""


@hookspec
def rebellion_register_detectors(register: Register) -> None:
    """Register detectors. When, task, raising: as `rebellion_register_collectors`. versionadded: 0.1"""


@hookspec
def rebellion_add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add subcommands to `rebellion`; each sets `run=function(args) -> exit code` by `set_defaults`.

    When: the command line is parsed and the configuration names the plugin. Raising: reported in one line; the built-in
    commands go on. versionadded: 0.1
    """


@hookspec
def rebellion_on_event(event: Event) -> None:
    """Observe an event.

    When: soon after it happened, in order. Task: a thread of the observers' own, behind a bounded queue; when that is full
    the oldest event is dropped and counted. Raising: logged once per plugin, harms nothing. versionadded: 0.1
    """
