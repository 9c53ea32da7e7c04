"""docs/protocol.md is enough to write an agent from: one that shares no line with ours delivers to the real hub."""

from __future__ import annotations

import ast
from pathlib import Path

import independent_agent
import pytest
from hub_support import RunningHub
from independent_agent import IndependentAgent

from agent.hub.inbox import NACK_RETRY_S
from agent.hub.sqlite_store import SqliteStore
from agent.hub.store import StoreError
from agent.hub.tokens import TokenFile

VALUES = [float(number) for number in range(200)]


class Waits(list[float]):
    """Remembers what the hub asked for instead of waiting."""

    async def __call__(self, seconds: float) -> None:
        if seconds:
            self.append(seconds)


@pytest.fixture
def token_file(tmp_path):
    return TokenFile(tmp_path / "tokens")


def hub_for(tmp_path, token_file, **keys):
    return RunningHub(tmp_path / "hub", agent_tokens_file=str(token_file.path), window_count=7, **keys)


async def test_it_delivers_everything_once_over_cut_connections(tmp_path, token_file):
    token = token_file.create("stranger", "")
    async with hub_for(tmp_path, token_file) as hub:
        agent = IndependentAgent(f"{hub.url}api/v1/ingest", token, [1, 50, 3], Waits())
        await agent.deliver("stranger", VALUES)
        assert await hub.values("stranger") == VALUES
        assert (await hub.agents())["stranger"]["last_seq"] == len(VALUES)
    assert len(agent.welcomes) == 4
    starts = [welcome["last_seq"] for welcome in agent.welcomes]
    assert starts == sorted(starts)


async def test_it_sends_again_what_the_store_could_not_write(tmp_path, token_file, monkeypatch):
    whole, calls, waits = SqliteStore.append, [], Waits()

    def fail_now_and_then(self, *words, **keys):
        calls.append(words)
        if len(calls) in {5, 40}:
            raise StoreError("disk full")
        return whole(self, *words, **keys)

    monkeypatch.setattr(SqliteStore, "append", fail_now_and_then)
    token = token_file.create("stranger", "")
    async with hub_for(tmp_path, token_file) as hub:
        await IndependentAgent(f"{hub.url}api/v1/ingest", token, [], waits).deliver("stranger", VALUES)
        assert await hub.values("stranger") == VALUES
    assert set(waits) == {NACK_RETRY_S}


def test_it_imports_nothing_of_ours():
    tree = ast.parse(Path(independent_agent.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(name).partition(".")[0] for name in imported} == {
        "__future__",
        "collections",
        "json",
        "typing",
        "websockets",
    }
