"""Ends of different versions, each a real process: they speak what both know, and an upgrade of either loses nothing."""

import pytest
from fault_stage import SEEDS

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


def spoken(it):
    """The version of each connection so far."""
    return [entry["version"] for entry in it.agent.events() if entry.get("event") == "link.opened"]


@pytest.mark.parametrize(
    ("agent_speaks", "hub_speaks"),
    [
        pytest.param("1-2", "1-1", id="agent N, hub N-1"),
        pytest.param("1-1", "1-2", id="agent N-1, hub N", marks=pytest.mark.long),
    ],
)
@SEEDS
def test_ends_of_neighbouring_versions(stage, seed, agent_speaks, hub_speaks):
    """With the hub killed in between, so that resuming is part of it."""
    with stage(f"agent of version {agent_speaks}, hub of {hub_speaks}", seed) as it:
        it.start_hub(versions=hub_speaks)
        it.start_agent(versions=agent_speaks)
        it.agent.wait_for("sink.acked_first")
        it.begin_fault()
        it.proxy.after_bytes_up(it.rng.randrange(1, 4000), it.hub.kill)
        it.wait_detected()
        it.wait_made(it.rng.randrange(10, 20))
        it.start_hub(versions=hub_speaks)
        it.heal()
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert set(spoken(it)) == {1}


@SEEDS
def test_hub_upgraded_under_a_newer_agent(stage, seed):
    """What was sent to the older hub and not acknowledged is sent again to the newer one, which knows what it has."""
    with stage("hub upgraded from version 1 to 2 under an agent that speaks both", seed) as it:
        it.start_hub(die_after=it.rng.randrange(10, 25))
        it.start_agent(versions="1-2")
        it.begin_fault()
        it.wait_detected()
        it.wait_made(it.rng.randrange(10, 20))
        it.start_hub(versions="1-2")
        it.heal()
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert (spoken(it)[0], spoken(it)[-1]) == (1, 2)


@pytest.mark.long
@SEEDS
def test_agent_too_new_for_its_hub(stage, seed):
    """It is refused before any record is sent, keeps everything, and delivers it after the hub's upgrade."""
    with stage("agent of version 2 alone, hub of 1, later of 1 and 2", seed) as it:
        it.start_hub()
        it.start_agent(versions="2-2")
        it.begin_fault()
        it.wait_detected()
        it.wait_made(it.rng.randrange(10, 20))
        assert not it.stored_lines()
        assert any("4426" in line for line in it.hub.log)
        it.hub.kill()
        it.start_hub(versions="1-2")
        it.heal()
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert spoken(it)[-1] == 2
