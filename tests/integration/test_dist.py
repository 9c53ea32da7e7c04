"""What `make dist` puts into the sdist and the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]


def files_below(*folders: str) -> set[str]:
    """Files of the sources, as paths from the repository's root; what Python and editors leave behind does not count."""
    found = (path for folder in folders for path in (REPOSITORY / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(REPOSITORY)) for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Files of the sdist (without its top folder) and of the wheel."""
    out = tmp_path_factory.mktemp("dist")
    script = REPOSITORY / "packaging/make_dist.py"
    done = subprocess.run([sys.executable, script, REPOSITORY, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        return {"sdist": in_sdist, "wheel": set(archive.namelist())}


def test_wheel_holds_both_packages_whole_and_nothing_else(built: dict[str, set[str]]) -> None:
    in_packages = {name for name in built["wheel"] if not re.search(r"\.(dist-info|data)/", name)}
    assert in_packages == files_below("agent", "plugins")
    assert {"agent/py.typed", "agent/dashboard/static/index.html", "plugins/collectors/cpu/sample.toml"} <= in_packages
    assert {name.partition(".data/data/share/")[2] for name in built["wheel"]} - {""} == {
        "man/man1/rebellion.1",
        "bash-completion/completions/rebellion",
        "zsh/site-functions/_rebellion",
        "fish/vendor_completions.d/rebellion.fish",
    }
    assert {name.partition(".dist-info/")[2] for name in built["wheel"] - in_packages} >= {
        "METADATA",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_sdist_can_install_the_service_and_holds_no_tests_and_no_caches(built: dict[str, set[str]]) -> None:
    assert files_below("agent", "plugins", "docs", "etc", "packaging", "systemd") <= built["sdist"]
    assert {"Makefile", "CHANGELOG.md", "LICENSE", "requirements.lock", "requirements-build.lock"} <= built["sdist"]
    unwanted = [
        name for name in built["sdist"] if name.startswith(("tests", "benchmarks", ".")) or "__pycache__" in name
    ]
    assert unwanted == []
