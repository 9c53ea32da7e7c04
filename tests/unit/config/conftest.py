"""A user's configuration folder, a folder of plugins, and the problems of a configuration as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config.load import load_agent_config
from agent.errors import ConfigError

PLUGINS = """
from typing import Annotated, Literal
import msgspec
from agent.api import hookimpl

class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str
    token: str = ""
    token_file: str = ""
    protocol: Literal["v1", "plain"] = "v1"

    def __post_init__(self):
        if not self.url.startswith(("ws://", "wss://")):
            raise ValueError(f"url: must begin with ws:// or wss:// (got {self.url!r})")

class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    per_core: bool = False
    top: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    devices: tuple[str, ...] = ()

class Half(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5

def make(config, context):
    return (config, context)

@hookimpl
def rebellion_register_sinks(register):
    register("link", make, config=Link)

@hookimpl
def rebellion_register_collectors(register):
    register("probe", make, config=Probe)
    register("plain", make)

@hookimpl
def rebellion_register_sampling_strategies(register):
    register("half", make, config=Half)

@hookimpl
def rebellion_register_recovery_strategies(register):
    register("shrug", make)
"""

Write = Callable[[str], Path]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which everything of the user lies in a temporary folder, and plugins of all kinds are there."""
    plugins_dir = tmp_path / "plugins_dir"
    plugins_dir.mkdir(mode=0o755)
    (plugins_dir / "everything.py").write_text(PLUGINS)
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "REBELLION_AGENT__PLUGINS_DIR": str(plugins_dir),
        "REBELLION_AGENT__DEFAULT_COLLECTORS": "false",
    }


@pytest.fixture
def agent_toml(environ: dict[str, str]) -> Write:
    """Write the user's own agent.toml."""

    def write(text: str, name: str = "agent.toml") -> Path:
        path = Path(environ["XDG_CONFIG_HOME"], "rebellion", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def problems_of(agent_toml: Write, environ: dict[str, str]) -> Callable[[str], list[str]]:
    """The problems of an agent.toml with this text, one line each, without the file's name."""

    def load(text: str) -> list[str]:
        path = agent_toml(text)
        with pytest.raises(ConfigError) as caught:
            load_agent_config(None, environ)
        lines = str(caught.value).splitlines()
        assert len(lines) == len(caught.value.problems)
        return [line.replace(f"{path}: ", "") for line in lines]

    return load
