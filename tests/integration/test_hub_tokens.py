"""Agents' tokens on a running hub: given, changed and taken away without a restart."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from hub_support import RunningHub, SinkStage, batch, hello, open_agent
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.errors import RetryableDelivery
from agent.hub import token_watch
from agent.hub.tokens import TokenFile


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(token_watch, "LOOK_EVERY_S", 0.01)


@pytest.fixture
def file(tmp_path):
    return TokenFile(tmp_path / "tokens")


def bearer(token):
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


async def until_logged(lines, event):
    async with asyncio.timeout(10):
        while not any(line["event"] == event for line in lines):
            await asyncio.sleep(0.005)


async def test_a_token_made_while_the_hub_runs_lets_its_agent_in(tmp_path, file):
    file.path.write_text("")
    with capture_logs() as lines:
        async with RunningHub(tmp_path / "hub", agent_tokens_file=str(file.path)) as hub:
            token = file.create("web1", "2026-11-25T14:00:00Z")
            (tmp_path / "token").write_text(token)
            await until_logged(lines, "tokens.changed")
            sink = SinkStage().sink(hub.url, token_file=str(tmp_path / "token"))
            await sink.deliver([batch(1.0)], 1)
            await sink.close()
    assert token not in repr(lines)


async def test_whose_token_is_revoked_is_disconnected_and_kept_out_and_others_stay(tmp_path, file):
    first, second = (file.create(name, "") for name in ("raw1", "raw2"))
    async with RunningHub(tmp_path / "hub", agent_tokens_file=str(file.path)) as hub:
        async with open_agent(hub.url, **bearer(first)) as gone, open_agent(hub.url, **bearer(second)) as stays:
            for name, socket in (("raw1", gone), ("raw2", stays)):
                await socket.send(hello(name))
                await socket.recv()
            file.revoke("raw1")
            with pytest.raises(ConnectionClosed):
                await gone.recv()
            assert gone.close_code == 4401
            await (await stays.ping())
        with pytest.raises(InvalidStatus):
            await open_agent(hub.url, **bearer(first))


async def test_the_sink_waits_long_after_its_token_was_revoked(tmp_path, file):
    (tmp_path / "token").write_text(file.create("web1", ""))
    with capture_logs() as lines:
        async with RunningHub(tmp_path / "hub", agent_tokens_file=str(file.path)) as hub:
            sink = SinkStage().sink(hub.url, token_file=str(tmp_path / "token"))
            await sink.deliver([batch(1.0)], 1)
            file.revoke("web1")
            await until_logged(lines, "agent.disconnected")
            with pytest.raises(RetryableDelivery, match="4401 the token was revoked"):
                await sink.deliver([batch(2.0)], 2)
            await sink.close()


async def test_a_file_that_is_spoilt_is_told_and_changes_nothing(tmp_path, file):
    token = file.create("raw1", "")
    with capture_logs() as lines:
        async with RunningHub(tmp_path / "hub", agent_tokens_file=str(file.path)) as hub:
            file.path.write_text("raw1 s3cret and more\n")
            await until_logged(lines, "tokens.refused")
            async with open_agent(hub.url, **bearer(token)) as socket:
                await socket.send(hello())
                assert "welcome" in await socket.recv()
    assert "s3cret" not in repr(lines)


async def test_tokens_in_clear_are_warned_of_by_agent_and_not_shown(tmp_path, file):
    file.path.write_text("web1 s3cret\n")
    with capture_logs() as lines:
        async with RunningHub(tmp_path / "hub", agent_tokens_file=str(file.path)):
            await until_logged(lines, "tokens.in_clear")
    (line,) = [line for line in lines if line["event"] == "tokens.in_clear"]
    assert (line["agents"], line["log_level"]) == ("web1", "warning")
    assert "s3cret" not in repr(lines)


def test_the_commands_make_list_and_revoke(tmp_path):
    (tmp_path / "hub.toml").write_text('[hub]\nagent_tokens_file = "tokens"\n')

    def hub(*words):
        command = [sys.executable, "-m", "agent.cli", "hub", "--config", str(tmp_path / "hub.toml"), "token", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        return done.returncode, done.stdout, done.stderr

    code, token, _ = hub("create", "web1")
    assert (code, token.startswith("rbl_")) == (0, True)
    assert token.strip() not in (tmp_path / "tokens").read_text()
    code, listed, _ = hub("list")
    (entry,) = TokenFile(tmp_path / "tokens").read()
    assert listed == f"web1  {entry.id}  {entry.created}\n"
    assert hub("revoke", "web2")[0] == 1
    assert hub("revoke", "web1")[:2] == (0, "1 revoked\n")
    code, _, complaint = hub("create", "two words")
    assert (code, complaint.count("\n")) == (1, 1)
