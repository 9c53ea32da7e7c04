"""One container with the package installed, and what the tests saw, printed at the end."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from booted_container import Container
from booted_service import Service

REPOSITORY = Path(__file__).parents[2]
seen: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What happened, with figures: a green dot says too little."""
    if seen:
        terminalreporter.section("seen in the booted container")
        for line in seen:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def say() -> Callable[[str, str], None]:
    """Notes a line for the summary: what it is about, and what was seen."""
    return lambda subject, text: seen.append(f"{subject:<12} {text}")


@pytest.fixture(scope="session")
def cache() -> Path:
    """The tree and the tools; a machine that cannot have them fails the tests in one line."""
    made = subprocess.run([REPOSITORY / "tests/system/prepare.sh"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.fail(made.stderr.strip(), pytrace=False)
    return Path(made.stdout.strip())


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as built, and with the same as a later version."""
    found = list((REPOSITORY / "dist").glob("rebellion-agent_*.deb"))
    if len(found) != 1:
        pytest.fail("there must be one package in dist/; run: make deb", pytrace=False)
    folder = tmp_path_factory.mktemp("packages")
    shutil.copy(found[0], folder / "this.deb")
    make_later_version(folder / "this.deb", folder / "later.deb", folder / "tree")
    shutil.rmtree(folder / "tree")
    return folder


def make_later_version(package: Path, later: Path, tree: Path) -> None:
    """Version 9.0 of the package: its program says so, and its examples have one line more."""
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = (tree / "DEBIAN/control").read_text()
    lines = ["Version: 9.0" if line.startswith("Version: ") else line for line in control.splitlines()]
    (tree / "DEBIAN/control").write_text("\n".join(lines) + "\n")
    (tree / "DEBIAN/md5sums").unlink()
    (init,) = tree.glob("opt/rebellion/lib/python3*/site-packages/agent/__init__.py")
    init.write_text(
        '"""A later version."""\n\n__version__ = "9.0"\n'
        + init.read_text().partition("__version__")[2].partition("\n")[2]
    )
    for name in ("agent.toml", "hub.toml"):
        example = tree / "etc/rebellion" / name
        example.write_text(example.read_text() + "\n## New in 9.0.\n")
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--build", tree, later], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def wheels(cache: Path) -> Path:
    """What `make install` would fetch, for the Python of the container; kept until a lock file changes."""
    named_by_installer = re.findall(r"requirements[\w-]*\.lock", (REPOSITORY / "systemd/install.sh").read_text())
    locks = [REPOSITORY / name for name in sorted(set(named_by_installer))]
    folder = cache / f"wheels-{sha256(b''.join(lock.read_bytes() for lock in locks)).hexdigest()[:16]}"
    if not folder.exists():
        (python,) = (cache / "rootfs/usr/lib").glob("python3.*")
        named = [word for lock in locks for word in ("--requirement", lock)]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes",
            "--only-binary=:all:", f"--python-version={python.name.removeprefix('python')}"]  # fmt: skip
        with TemporaryDirectory(dir=cache) as part:
            subprocess.run([*command, f"--dest={part}", *named], check=True)
            shutil.copytree(part, folder)
    return folder


@pytest.fixture(scope="session")
def source(wheels: Path, packages: Path) -> str:
    """Where a container finds what the sdist holds, unpacked; the wheels are beside it."""
    command = [sys.executable, "packaging/make_dist.py", ".", packages]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    (sdist,) = packages.glob("*.tar.gz")
    shutil.unpack_archive(sdist, packages, filter="data")
    shutil.copytree(wheels, packages / "wheels")
    return f"/packages/{sdist.name.removesuffix('.tar.gz')}"


@pytest.fixture(scope="module")
def container(cache: Path, packages: Path, say: Callable[[str, str], None]) -> Iterator[Container]:
    """A container of this module's own."""
    with Container(cache, packages) as booted:
        version = booted.run("systemctl", "--version").stdout.splitlines()[0]
        say("boot", f"{version}: running {booted.boot_s:.2f} s after the start of the container")
        yield booted


@pytest.fixture(scope="module")
def installed(container: Container, say: Callable[[str, str], None]) -> Container:
    """The same with the package installed."""
    done = container.run("dpkg", "--install", "/packages/this.deb")
    version = container.run("rebellion", "version").stdout.strip()
    enabled = container.run("systemctl", "is-enabled", "rebellion-agent", "rebellion-hub", check=False).stdout.split()
    assert enabled == ["disabled", "disabled"]
    assert "systemctl enable --now rebellion-agent" in done.stdout
    say("install", f"{version} from the package; nothing enabled, nothing started")
    return container


@pytest.fixture
def service(installed: Container) -> Iterator[Service]:
    """Hub and agent, configured and not started yet; everything they leave is removed afterwards."""
    fresh = Service(installed)
    fresh.configure()
    yield fresh
    fresh.remove_traces()
