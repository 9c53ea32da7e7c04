"""What happens on a file system that is really read-only: the kernel refuses, as it does after an error of the disk."""

import subprocess
import sys

import pytest
from fault_stage import SEEDS
from process_support import wait_until
from read_only import has_own_mounts, make_writable, own_mount

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not has_own_mounts(), reason="no mount namespaces for ordinary users here"),
]


@SEEDS
def test_spool_on_a_read_only_file_system(stage, seed):
    """What waits stays in memory until the file system takes it."""
    with stage("spool on a read-only file system", seed) as it:
        folder = it.spool_path.parents[1]
        it.start_hub()
        it.start_agent(launcher=own_mount(folder, is_read_only=True))
        it.agent.wait_for("sink.acked_first")
        it.begin_fault()
        it.hub.kill()
        wait_until(lambda: refusals(it.agent), "the agent says that it cannot write")
        it.wait_made(it.rng.randrange(20, 40))
        assert not it.spool_path.exists()
        make_writable(it.agent.pid, folder)
        it.agent.wait_for("spool.recovered")
        wait_until(it.spooled, "what waits is on disk")
        it.start_hub()
        it.heal()
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert all("Read-only file system" in error for error in refusals(it.agent))


def refusals(agent):
    """What the agent said of a disk that does not take what must wait."""
    return [entry["error"] for entry in agent.events() if entry.get("event") == "spool.failed"]


@SEEDS
def test_hub_started_on_a_read_only_file_system(stage, seed):
    """It says why it does not start, and the agent keeps everything meanwhile."""
    with stage("hub started on a read-only file system", seed) as it:
        it.start()
        it.begin_fault()
        it.hub.kill()
        config = it.folder / "hub.toml"
        config.write_text(f'[hub]\nlisten = "127.0.0.1:{it.hub_port}"\nstate_dir = "{it.folder}/hub"\n')
        program = (sys.executable, "-m", "agent.cli", "hub", "--config", str(config))
        launcher = own_mount(it.folder / "hub", is_read_only=True)
        refused = subprocess.run([*launcher, *program], capture_output=True, text=True, check=False)
        assert refused.returncode == 78
        assert "Read-only file system" in refused.stderr
        it.wait_detected()
        it.start_hub()
        it.heal()
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
