"""`make install` and `make uninstall`, for real, below a temporary folder with a space in its name."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]
PREFIX = "/opt/my rebellion"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DESTDIR of all tests here: making the environment takes seconds."""
    return tmp_path_factory.mktemp("a stage")


def make(target: str, stage: Path, prefix: str = PREFIX) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = [
        "make",
        "--no-print-directory",
        target,
        f"DESTDIR={stage}",
        f"PREFIX={prefix}",
        f"PYTHON={sys.executable}",
    ]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=environ)


@pytest.fixture(scope="module")
def installed(stage: Path) -> Path:
    """The installed environment."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = make("install", stage)
    assert done.returncode == 0, done.stderr
    return stage / PREFIX.lstrip("/")


def test_installed_command_runs_from_anywhere_in_its_own_environment(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    words = [installed / "bin/rebellion", "config", "check", "--config", REPOSITORY / "etc/agent.toml"]
    run = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("agent: ok, ")
    assert not list((installed / "bin").glob("pip*"))


def test_units_name_the_prefix_and_are_understood(installed: Path, stage: Path) -> None:
    units = stage / "usr/local/lib/systemd/system"
    text = (units / "rebellion-agent.service").read_text()
    assert f'ExecStart="{PREFIX}/bin/rebellion" agent\n' in text
    assert (stage / "usr/local/lib/sysusers.d/rebellion.conf").is_file()
    assert (stage / "usr/local/lib/tmpfiles.d/rebellion.conf").is_file()
    assert (stage / "usr/local/bin/rebellion").readlink() == Path(PREFIX, "bin/rebellion")


def test_upgrade_keeps_an_edited_configuration_and_says_so(installed: Path, stage: Path) -> None:
    edited = stage / "etc/rebellion/agent.toml"
    edited.write_text(edited.read_text() + "\n[log]\n")
    untouched = stage / "etc/rebellion/hub.toml"
    delivered_before = installed / "share/rebellion/etc/hub.toml"
    for file in (untouched, delivered_before, installed / "share/rebellion/etc/agent.toml"):
        file.write_text("## an older example, which nobody has changed\n")
    done = make("install", stage)
    assert done.returncode == 0, done.stderr
    assert edited.read_text().endswith("\n[log]\n")
    assert edited.with_name("agent.toml.new").read_text() == (REPOSITORY / "etc/agent.toml").read_text()
    assert f"kept      {edited}" in done.stdout
    assert untouched.read_text() == (REPOSITORY / "etc/hub.toml").read_text()
    assert f"replaced  {untouched}" in done.stdout
    assert not list(installed.parent.glob("*.old"))


def test_folder_that_is_not_ours_is_never_touched(stage: Path) -> None:
    other = stage / "opt/other"
    other.mkdir(parents=True)
    (other / "precious").write_text("x")
    for target in ("install", "uninstall"):
        refused = make(target, stage, "/opt/other")
        assert refused.returncode != 0
        assert "is not an installation of Rebellion" in refused.stderr
    assert (other / "precious").read_text() == "x"


def test_the_manual_page_and_the_completions_lie_where_they_are_looked_for(installed: Path, stage: Path) -> None:
    share = stage / "usr/local/share"
    with gzip.open(share / "man/man1/rebellion.1.gz", "rt") as page:
        assert page.readline().startswith(".TH REBELLION 1 ")
    for place in ("bash-completion/completions/rebellion", "zsh/site-functions/_rebellion"):
        assert "rebellion" in (share / place).read_text()
    assert (share / "fish/vendor_completions.d/rebellion.fish").is_file()


@pytest.mark.parametrize("prefix", ["opt/rebellion", "/", ""])
def test_prefix_that_is_no_place_is_refused(stage: Path, prefix: str) -> None:
    script = [REPOSITORY / "systemd/install.sh", "uninstall"]
    environ = os.environ | {"DESTDIR": str(stage), "PREFIX": prefix or "//"}
    refused = subprocess.run(script, capture_output=True, text=True, check=False, env=environ)
    assert refused.returncode == 1
    assert "PREFIX must be an absolute path" in refused.stderr


def test_uninstall_leaves_configuration_and_state_and_says_so(installed: Path, stage: Path) -> None:
    state = stage / "var/lib/rebellion"
    state.mkdir(parents=True)
    done = make("uninstall", stage)
    assert done.returncode == 0, done.stderr
    assert not installed.exists()
    assert (stage / "etc/rebellion/agent.toml").is_file()
    assert f"kept      {stage / 'etc/rebellion'}" in done.stdout
    assert f"kept      {state}" in done.stdout
    left = [path for path in (stage / "usr").rglob("*") if not path.is_dir()]
    assert left == []
