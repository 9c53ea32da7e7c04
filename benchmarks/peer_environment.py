"""A throw-away environment with other people's packages, so that the project itself depends on none of them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["RESILIENCE_PEERS", "TRANSFORMER_PEERS", "run_beside_peers", "versions"]

RESILIENCE_PEERS = (
    *("interlock-cb", "circuitbreaker", "purgatory", "pybreaker", "aiobreaker", "hyx"),
    *("stamina", "tenacity"),
)
TRANSFORMER_PEERS = ("pandas", "bottleneck", "river", "numba", "numbagg", "polars", "ddsketch", "crick", "pytdigest")
ROOT = Path(__file__).resolve().parent.parent


def run_beside_peers(script: str, arguments: Sequence[str] = (), peers: Sequence[str] = RESILIENCE_PEERS) -> int:
    """Run a script of this folder, with `--beside-peers`, where the peers are installed. The environment is removed afterwards.

    What a peer needs comes before what the project needs, where both name a package. A peer that cannot be installed is told,
    with the reason, and left out.

    Returns:
        The script's exit code.
    """
    with tempfile.TemporaryDirectory(prefix="rebellion-peers-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        _install(python, peers)
        _also_find(python, [str(ROOT), sysconfig.get_paths()["purelib"]])
        command = [python, str(ROOT / "benchmarks" / script), "--beside-peers", *arguments]
        return subprocess.run(command, env={**os.environ, "PYTHONWARNINGS": "ignore"}, check=False).returncode


def versions(peers: Sequence[str] = RESILIENCE_PEERS) -> str:
    """The peers and the interpreter, with their versions, in one line."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"CPython {python}, " + ", ".join(f"{peer} {_version(peer)}" for peer in peers)


def _install(python: Path, peers: Sequence[str]) -> None:
    """All together, so that they agree on what they share; one by one where that fails."""
    if not _pip(python, *peers):
        return
    for peer in peers:
        if complaint := _pip(python, peer):
            print(f"{peer} cannot be installed: {complaint}", flush=True)


def _pip(python: Path, *packages: str) -> str:
    """Last line of what went wrong; empty when nothing did."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary", *packages]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


def _also_find(python: Path, folders: Sequence[str]) -> None:
    """Let that interpreter import from these folders, after its own packages."""
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        check=True,
        capture_output=True,
        text=True,
    )
    Path(own.stdout.strip(), "project.pth").write_text("\n".join(folders) + "\n")


def _version(peer: str) -> str:
    try:
        return version(peer)
    except PackageNotFoundError:
        return "not installed"
