"""The configuration that histories are replayed with."""

from __future__ import annotations

import pytest

from agent.config.load import load_agent_config


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Loads a configuration from its text."""

    folder = tmp_path_factory.mktemp("replay")

    def load(text=""):
        path = folder / "agent.toml"
        path.write_text(text)
        return load_agent_config([path], {"HOME": str(folder), "STATE_DIRECTORY": str(folder)})

    return load
