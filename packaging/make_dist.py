"""Builds the sdist, and the wheel from what the sdist holds: python make_dist.py SOURCE OUT. `make dist` calls it."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "benchmarks")


def build(what: str, folder: Path, out: Path) -> None:
    """Call one function of setuptools' build backend; what it says is shown when it fails."""
    done = subprocess.run([sys.executable, "-c", BUILD, what, str(out)], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make dist: {what} failed:\n{done.stderr}")


def make_share(folder: Path) -> None:
    """The manual page and the completions, made from the sources in that folder."""
    script = folder / "packaging/make_share.sh"
    subprocess.run([script, folder / "share", sys.executable, "-m", "agent.cli"], cwd=folder, check=True)


def main(source: Path, out: Path) -> None:
    """Work on a copy, so that nothing is left in the sources and nothing left there gets in."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(source, folder / "copy", ignore=LEFT_OUT)
        make_share(folder / "copy")
        build("build_sdist", folder / "copy", folder)
        (sdist,) = folder.glob("*.tar.gz")
        shutil.unpack_archive(sdist, folder / "unpacked")
        (unpacked,) = (folder / "unpacked").iterdir()
        build("build_wheel", unpacked, folder)
        for made in (sdist, *folder.glob("*.whl")):
            shutil.copy(made, out / made.name)
            print(f"built {out / made.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
