"""docs/plugins: every page's plugin is loaded, configured and tested as it stands there, and no hook is left out."""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent import hookspecs
from agent.config.load import load_agent_config
from agent.config.loaded import LoadedConfig

FOLDER = Path(__file__).parents[3] / "docs" / "plugins"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.name != "README.md")
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("rebellion_"))
ROWS = ("hook", "contract", "when it is called", "on which task", "what raising does", "suite")


@dataclass(frozen=True)
class Example:
    """One page's plugin, its section and its tests."""

    name: str
    plugin: str
    section: str
    tests: str


def example(page: str) -> Example:
    text = (FOLDER / f"{page}.md").read_text()
    plugin, tests = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (section,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    name = re.findall(r"^(?:from|import) (\w+)", tests, re.MULTILINE)
    (own,) = [one for one in name if re.search(rf"[`\s]{one}`", plugin.splitlines()[0])]
    return Example(own, plugin, section, tests)


def write_plugin(folder: Path, one: Example) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{one.name}.py"
    path.write_text(one.plugin)
    return path


def taken_in(loaded: LoadedConfig) -> set[str]:
    """Names of everything that an agent with this configuration would run."""
    commands = argparse.ArgumentParser().add_subparsers()
    assert loaded.manager.add_commands(commands) == []
    running = {one.name for one in (*loaded.collectors, *loaded.sinks)}
    chosen = {*loaded.samplers, *loaded.recoveries, *loaded.detectors}
    return running | chosen | {observer.plugin for observer in loaded.manager.observers()} | set(commands.choices)


@pytest.mark.parametrize("page", PAGES)
def test_plugin_of_the_page_can_be_loaded_and_its_section_is_right(page: str, tmp_path: Path) -> None:
    one = example(page)
    write_plugin(tmp_path / "plugins", one)
    section = re.sub(r'^\[agent\]\nplugins_dir = ".*"$', "", one.section, flags=re.MULTILINE)
    config = tmp_path / "agent.toml"
    config.write_text(f'[agent]\nplugins_dir = "{tmp_path}/plugins"\nstate_dir = "{tmp_path}/state"\n{section}')
    assert one.name in taken_in(load_agent_config([config], {}))


def test_tests_of_the_pages_pass(tmp_path: Path) -> None:
    for page in PAGES:
        one = example(page)
        write_plugin(tmp_path, one)
        (tmp_path / f"test_{one.name}.py").write_text(one.tests)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    count = sum(len(re.findall(r"^def test_", example(page).tests, re.MULTILINE)) for page in PAGES)
    assert re.search(rf"^{count} passed", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr


@pytest.mark.parametrize("page", PAGES)
def test_page_says_when_on_which_task_and_what_raising_does(page: str) -> None:
    text = (FOLDER / f"{page}.md").read_text()
    assert [row for row in ROWS if not re.search(rf"^\| {row} \| \S.* \|$", text, re.MULTILINE)] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_a_page_and_stands_in_the_index_with_its_arguments(hook: str) -> None:
    call = f"`{hook}({', '.join(inspect.signature(getattr(hookspecs, hook)).parameters)})`"
    assert f"| {call} |" in (FOLDER / "README.md").read_text()
    pages = [page for page in PAGES if f"| hook | {call} |" in (FOLDER / f"{page}.md").read_text()]
    assert len(pages) == 1
