"""Outsiders as they come: distributions on the import path, and a folder of single files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

Distribution = Callable[[str, str], None]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distribution]:
    """Install `name` whose module (named outsider_NAME) has this source, with the entry point `name`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(name: str, source: str) -> None:
        (site / f"outsider_{name}.py").write_text(dedent(source))
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rebellion.plugins]\n{name} = outsider_{name}\n")

    yield install
    for module in [name for name in sys.modules if name.startswith("outsider_")]:
        del sys.modules[module]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty plugins_dir."""
    path = tmp_path / "plugins_dir"
    path.mkdir(mode=0o755)
    return path
