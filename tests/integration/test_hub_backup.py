"""`rebellion hub backup`: a copy of one moment, from a hub that goes on, which another hub starts on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from hub_support import HubProcess, RunningHub, SinkStage, batch

from agent.hub.sqlite_backup import back_up
from agent.hub.state_folder import STORE_NAME, StateFolder
from agent.hub.store import StoreError


async def backup(state_dir, destination, folder):
    """Run the command; its exit code, and what it said."""
    config = folder / "hub.toml"
    config.write_text(f'[hub]\nstate_dir = "{state_dir}"\n')
    command = [sys.executable, "-m", "agent.cli", "hub", "backup", str(destination), "--config", str(config)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=os.environ)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.system
async def test_a_hub_under_load_is_copied_as_it_was_at_one_moment(tmp_path):
    """The copy holds everything that was acknowledged before, and of what came meanwhile some first part, each record once."""
    with HubProcess(tmp_path / "hub") as hub:
        sink = SinkStage().sink(hub.url)
        acked, done = [0], asyncio.Event()

        async def load():
            while not done.is_set():
                numbers = range(acked[0] + 1, acked[0] + 51)
                await sink.deliver([batch(float(one), time_s=1000 + one) for one in numbers], numbers[0])
                acked[0] += 50

        loading = asyncio.create_task(load())
        async with asyncio.timeout(20):
            while acked[0] < 200:
                await asyncio.sleep(0.01)
        before = acked[0]
        code, said, complaint = await backup(tmp_path / "hub", tmp_path / "copy", tmp_path)
        done.set()
        await loading
        await sink.close()
    assert (code, complaint) == (0, "")
    assert said.startswith(f"{tmp_path / 'copy'}: ")
    async with RunningHub(tmp_path / "copy") as restored:
        values = await restored.values()
        assert values == [float(number) for number in range(1, len(values) + 1)]
        assert before <= len(values) <= acked[0]
        assert (await restored.agents())["web1"]["last_seq"] == len(values)


@pytest.fixture
def store(tmp_path):
    """A small one, closed."""
    with StateFolder(tmp_path / "hub") as folder:
        folder.open_store().close()
    return tmp_path / "hub" / STORE_NAME


def test_only_the_owner_may_read_a_backup_and_nothing_else_is_left(tmp_path, store):
    made = back_up(store, tmp_path / "copy")
    paths = [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []
    assert sorted(path.name for path in paths) == ["copy", "hub.parts", "hub.sqlite3"]
    assert (made.files, made.size_bytes) == (1, (tmp_path / "copy" / STORE_NAME).stat().st_size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "hub"]


def test_a_backup_overwrites_nothing(tmp_path, store):
    (tmp_path / "copy").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("copy", "dangling"):
        with pytest.raises(StoreError, match=f"{name}: exists already and is not overwritten"):
            back_up(store, tmp_path / name)
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path, store):
    with pytest.raises(StoreError, match="nowhere/copy: the backup could not be made: No such file or directory"):
        back_up(store, tmp_path / "nowhere" / "copy")
    store.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="copy: the backup could not be made: file is not a database"):
        back_up(store, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


@pytest.mark.system
@pytest.mark.parametrize("is_there", [True, False], ids=["destination exists", "no store"])
async def test_the_command_says_in_one_line_why_it_made_none(tmp_path, store, is_there):
    (tmp_path / "copy").mkdir()
    state_dir, destination = (tmp_path / "hub", "copy") if is_there else (tmp_path / "empty", "other")
    code, said, complaint = await backup(state_dir, tmp_path / destination, tmp_path)
    assert (code, said, complaint.count("\n")) == (1, "", 1)
    assert ("exists already" if is_there else "there is no store here") in complaint
