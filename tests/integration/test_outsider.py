"""Distributions from outside, pip-installed into a fresh environment: one seen at work, and those of `plugins new`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from process_support import Process, wait_until

ROOT = Path(__file__).parents[2]

FAILING_COLLECTOR = """
from agent.api import CollectError, hookimpl

class Broken:
    def __init__(self, config, context):
        pass
    def collect(self, out):
        raise CollectError("nothing to read")

@hookimpl
def rebellion_register_collectors(register):
    register("broken", Broken)
"""


def pip(python: Path, *arguments: str) -> None:
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh environment")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    locks = [f"-r{ROOT / name}" for name in ("requirements.lock", "requirements-build.lock")]
    pip(python, "--require-hashes", *locks)
    pip(python, "--no-deps", "--no-build-isolation", str(exported(folder / "agent")))
    acme = shutil.copytree(ROOT / "tests" / "fixtures" / "acme_plugins", folder / "acme")
    pip(python, "--no-deps", "--no-build-isolation", str(acme))
    return python


def exported(target: Path) -> Path:
    """The project's sources alone, so that building leaves nothing in the checkout and takes nothing stale from it."""
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("agent", "plugins"):
        shutil.copytree(ROOT / package, target / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target


@pytest.mark.system
@pytest.mark.timeout(240)
def test_a_third_partys_sampler_and_recovery_strategy_work_in_a_running_agent(fresh_python, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text(FAILING_COLLECTOR)
    notes = tmp_path / "notes.txt"
    config = tmp_path / "agent.toml"
    config.write_text(
        f"""
        [agent]
        interval_s = 0.05
        state_dir = "{tmp_path / "state"}"
        plugins = ["acme"]
        plugins_dir = "{tmp_path / "plugins"}"
        default_collectors = false
        drain_s = 0.1

        [collectors.broken]
        [collectors.load]
        [collectors.memory]

        [sinks.websocket]
        url = "ws://127.0.0.1:9/"
        buffer = {{ sampler = "every_nth", max_points = 200 }}

        [sampling.every_nth]
        offset = 1

        [recovery.leave_note]
        path = "{notes}"

        [[policies]]
        component = "collector:broken"
        error = "CollectError"
        strategy = "leave_note"
        """
    )
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    listed = subprocess.run(
        [fresh_python, "-m", "agent.cli", "plugins", "list", "--config", config],
        capture_output=True,
        text=True,
        env=environ,
        cwd=tmp_path,
    )
    assert listed.returncode == 0, listed.stderr
    assert "every_nth" in listed.stdout
    assert "leave_note" in listed.stdout
    with Process("agent", "--config", str(config), python=str(fresh_python)) as agent:
        sampled = agent.wait_for("acme.sampled")
        assert 0 < sampled["kept"] < sampled["points"]
        wait_until(notes.exists, "the recovery strategy has left its note")
        assert agent.end() == 0
    assert set(notes.read_text().splitlines()) == {"collector:broken CollectError"}


MADE = {
    "collector": "number",
    "sink": "archive",
    "sampler": "evenly",
    "recovery": "once_more",
    "detector": "leap",
    "observer": "to_syslog",
    "command": "how_long",
}
KIND = {
    "collector": "collectors",
    "sink": "sinks",
    "sampler": "sampling",
    "recovery": "recovery",
    "detector": "detectors",
    "observer": "observer",
    "command": "commands",
}


def locked(*names: str) -> str:
    """The entries of these packages in the development lock file, hashes included."""
    entries = re.split(r"^(?=[a-z])", (ROOT / "requirements-dev.lock").read_text(), flags=re.MULTILINE)
    found = [entry for entry in entries if entry.partition("==")[0] in names]
    assert len(found) == len(names)
    return "".join(found)


@pytest.mark.system
@pytest.mark.timeout(300)
def test_what_plugins_new_writes_is_built_installed_passes_its_suite_and_is_listed(fresh_python, tmp_path):
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*words, **variables):
        command = [fresh_python, "-m", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environ | variables, cwd=tmp_path)

    for kind, name in MADE.items():
        made = run("agent.cli", "plugins", "new", kind, name)
        assert made.returncode == 0, made.stderr
    folders = sorted(tmp_path.glob("rebellion-*"))
    build = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "wheels")
    built = run("pip", "wheel", "-q", "--disable-pip-version-check", *build, *map(str, folders))
    assert built.returncode == 0, built.stderr
    (tmp_path / "pytest.lock").write_text(locked("iniconfig", "packaging", "pygments", "pytest"))
    pip(fresh_python, "--no-deps", "--require-hashes", f"-r{tmp_path / 'pytest.lock'}")
    pip(fresh_python, "--no-deps", "--no-index", *map(str, sorted((tmp_path / "wheels").iterdir())))

    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    suites = [str(folder / "tests") for folder in folders]
    tested = run("pytest", "-q", "-c", "pytest.ini", "-W", "error", "-p", "no:cacheprovider", *suites)
    assert tested.returncode == 0, tested.stdout
    assert re.search(r"^18 passed", tested.stdout, re.MULTILINE), tested.stdout

    waiting = run("agent.cli", "plugins", "list")
    listed = run("agent.cli", "plugins", "list", REBELLION_AGENT__PLUGINS=str([*MADE.values()]))
    assert listed.returncode == 0, listed.stderr
    for kind, name in MADE.items():
        assert [KIND[kind], name, "entry", "point", f"rebellion_{name}"] in map(str.split, listed.stdout.splitlines())
        assert f"add '{name}' to agent.plugins to load it" in waiting.stdout
    booted = run("agent.cli", "how-long", "--seconds", REBELLION_AGENT__PLUGINS="['how_long']")
    assert re.fullmatch(r"\d+ s\n", booted.stdout), booted.stderr
