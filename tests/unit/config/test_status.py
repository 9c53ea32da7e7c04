from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.load import load_agent_config
from agent.errors import ConfigError


def load(tmp_path: Path, environ: dict[str, str], listen: str) -> str:
    path = tmp_path / "agent.toml"
    path.write_text(f'[status]\nlisten = "{listen}"\n')
    return load_agent_config([path], environ).config.status.listen


@pytest.mark.parametrize("listen", ["", "127.0.0.1:0", "[::1]:8764", "localhost:9000"])
def test_loopback_and_nothing_are_right(tmp_path: Path, environ: dict[str, str], listen: str) -> None:
    assert load(tmp_path, environ, listen) == listen


@pytest.mark.parametrize(
    ("listen", "problem"),
    [("0.0.0.0:8764", "must be a loopback address"), ("8764", "must be host:port"), ("[::]:1", "must be a loopback")],
)
def test_others_cannot_reach_it(tmp_path: Path, environ: dict[str, str], listen: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"status\.listen") as caught:
        load(tmp_path, environ, listen)
    assert problem in str(caught.value)
