"""A throw-away environment with other people's breakers and retries, so that the project itself depends on none of them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["PEERS", "run_beside_peers", "versions"]

PEERS = ("interlock-cb", "circuitbreaker", "purgatory", "pybreaker", "aiobreaker", "hyx", "stamina", "tenacity")
ROOT = Path(__file__).resolve().parent.parent


def run_beside_peers(script: str, arguments: Sequence[str] = ()) -> int:
    """Run a script of this folder, with `--beside-peers`, where the peers are installed. The environment is removed afterwards.

    Returns:
        The script's exit code.
    """
    with tempfile.TemporaryDirectory(prefix="rebellion-peers-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        path = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
        command = [python, str(ROOT / "benchmarks" / script), "--beside-peers", *arguments]
        return subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}, check=False
        ).returncode


def versions() -> str:
    """The peers and the interpreter, with their versions, in one line."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"CPython {python}, " + ", ".join(f"{peer} {version(peer)}" for peer in PEERS)
