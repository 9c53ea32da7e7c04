from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from agent import builtin
from agent.api import hookimpl
from agent.builtin import BUILTIN
from agent.errors import LoadError
from agent.model import Event
from agent.plugin_manager import PluginManager, refuse_foreign_package

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def imaginary(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A built-in collector that stands only in this test."""
    module = ModuleType("plugins.collectors.imaginary")
    monkeypatch.setitem(builtin.BUILTIN, "collectors", (*BUILTIN["collectors"], "imaginary"))
    monkeypatch.setitem(sys.modules, "plugins.collectors.imaginary", module)
    return module


def test_built_in_is_imported_when_it_is_asked_for(imaginary: ModuleType) -> None:
    imaginary.rebellion_register_collectors = lambda register: register("imaginary", print)  # type: ignore[attr-defined]  # made up
    registration = PluginManager().find("collectors", "imaginary")
    assert (registration.name, registration.origin) == ("imaginary", "plugins.collectors.imaginary")


def test_built_in_that_cannot_be_imported_is_one_clear_line(imaginary: ModuleType) -> None:
    with pytest.raises(LoadError, match=r"collector 'imaginary': cannot be imported: AttributeError: .*"):
        PluginManager().find("collectors", "imaginary")


def test_every_built_in_is_available_and_none_is_imported() -> None:
    code = (
        "import sys; from agent.plugin_manager import PluginManager; m = PluginManager()\n"
        "print(sum(len(m.available(kind)) for kind in ('collectors', 'sinks', 'sampling', 'recovery', 'detectors')))\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('plugins', 'numpy', 'websockets', 'asyncio')])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [str(sum(map(len, BUILTIN.values()))), "[]"]


def test_unknown_name_gets_the_nearest_one_and_the_list() -> None:
    with pytest.raises(LoadError) as caught:
        PluginManager().find("collectors", "memroy")
    message = str(caught.value)
    assert message.startswith("collector 'memroy': there is none of that name; did you mean 'memory'?")
    assert "cgroup, cpu, disk" in message


class Watcher:
    def __init__(self) -> None:
        self.seen: list[Event] = []

    @hookimpl
    def rebellion_on_event(self, event: Event) -> None:
        self.seen.append(event)


def test_observer_is_named_and_gets_the_event() -> None:
    manager = PluginManager()
    watcher = Watcher()
    manager.register(watcher, "watcher", "this test")
    event = Event(time_ns=1, kind="breaker.opened", component="sink:hub")
    (observer,) = manager.observers()
    observer(event)
    assert observer.plugin == "watcher"
    assert watcher.seen == [event]


class Commander:
    @hookimpl
    def rebellion_add_commands(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        subparsers.add_parser("salute").set_defaults(run=lambda _: 0)


class BrokenCommander:
    @hookimpl
    def rebellion_add_commands(self) -> None:
        raise RuntimeError("out of order")


def test_commands_of_plugins_are_added_and_a_broken_one_costs_only_itself() -> None:
    manager = PluginManager()
    manager.register(BrokenCommander(), "broken", "this test")
    manager.register(Commander(), "commander", "this test")
    parser = argparse.ArgumentParser()
    errors = manager.add_commands(parser.add_subparsers())
    assert parser.parse_args(["salute"]).run(None) == 0
    assert list(map(str, errors)) == ["plugin 'broken': rebellion_add_commands: RuntimeError: out of order"]


def test_foreign_package_named_plugins_is_refused_and_named(tmp_path: Path) -> None:
    intruder = tmp_path / "plugins"
    intruder.mkdir()
    (intruder / "__init__.py").write_text("")
    code = "from agent.plugin_manager import PluginManager; PluginManager()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
    )
    assert run.returncode != 0
    last = run.stderr.splitlines()[-1]
    assert str(intruder) in last
    assert "environment of its own" in last


def test_own_package_is_accepted() -> None:
    refuse_foreign_package()
    assert PluginManager().available("sinks")
