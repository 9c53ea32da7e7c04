"""What happens to the link: resets, blackholes, slow readers, late and lost acknowledgements, hubs killed in the middle."""

import signal
import threading

import pytest
from fault_stage import SEEDS
from process_support import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

MAX_GROWN_MIB = 8
"""What a hub that reads or answers slowly may cost the agent; how evenly it collects meanwhile is printed."""


@SEEDS
def test_hub_killed_at_a_random_byte(stage, seed):
    with stage("hub killed -9 at a random byte", seed) as it:
        it.start()
        it.begin_fault()
        it.proxy.after_bytes_up(it.rng.randrange(1, 4000), it.hub.kill)
        it.wait_detected()
        it.wait_made(it.rng.randrange(15, 30))
        it.start_hub()
        it.heal()
        it.wait_drained()
        it.wait_made(5)
        it.end()
        it.judge().assert_whole()


@SEEDS
def test_hub_killed_between_commit_and_ack(stage, seed):
    with stage("hub killed -9 between commit and ack", seed) as it:
        it.start_hub(die_after=it.rng.randrange(10, 25))
        it.start_agent()
        it.begin_fault()
        it.wait_detected()
        assert it.hub.child.wait(20) == -signal.SIGKILL
        it.wait_made(it.rng.randrange(15, 30))
        it.start_hub()
        it.heal()
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert any(detail.get("last_seq") for detail in it.agent.events() if detail.get("event") == "link.opened")


@SEEDS
def test_reset_in_mid_frame(stage, seed):
    with stage("TCP reset in mid-frame", seed) as it:
        it.start()
        for _ in range(4):
            it.begin_fault()
            before = len(it.proxy.accepted_s)
            sprung = threading.Event()
            it.proxy.after_bytes_up(it.rng.randrange(1, 2000), sprung.set)
            assert sprung.wait(20)
            wait_until(lambda before=before: len(it.proxy.accepted_s) > before, "the agent connects again")
        it.wait_detected()
        it.heal()
        it.wait_made(5)
        it.wait_drained()
        it.end()
        it.judge().assert_whole()


@SEEDS
def test_blackhole(stage, seed):
    with stage("blackhole both ways, towards the hub, towards the agent", seed) as it:
        it.start()
        detected_s = []
        for way in ("both", "hub", "agent"):
            it.begin_fault()
            it.proxy.holds_up = way != "agent"
            it.proxy.holds_down = way != "hub"
            it.wait_detected()
            detected_s.append(it.verdict.detect_s)
            it.wait_made(10)
            it.heal()
            it.proxy.holds_up = it.proxy.holds_down = False
            it.wait_drained()
        it.verdict.detect_s = max(detected_s)
        it.end()
        it.judge().assert_whole()


@SEEDS
def test_slow_reader(stage, seed):
    with stage("slow reader (1 kB/s)", seed, series_count=200) as it:
        it.start()
        it.begin_fault()
        it.proxy.up_bytes_s = 1000.0
        it.wait_detected()
        it.wait_made(80)
        it.heal()
        it.proxy.up_bytes_s = 0.0
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert it.verdict.grown_mib <= MAX_GROWN_MIB


@pytest.mark.parametrize(
    ("delay_s", "deadline_s"),
    [pytest.param(4.0, 2.0, id="4 s"), pytest.param(30.0, 15.0, id="30 s", marks=pytest.mark.long)],
)
@SEEDS
def test_acks_come_late(stage, seed, delay_s, deadline_s):
    """Twice as late as a delivery may take; by default it may take 15 s."""
    with stage(f"acks {delay_s:g} s late", seed, series_count=200, deadline_s=deadline_s) as it:
        it.start()
        it.begin_fault()
        it.proxy.ack_delay_s = delay_s
        it.wait_detected()
        it.wait_made(round(delay_s / it.interval_s / 2))
        it.heal()
        it.proxy.ack_delay_s = 0.0
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert it.verdict.grown_mib <= MAX_GROWN_MIB


@pytest.mark.parametrize("is_restarted", [False, True], ids=["same hub", "hub restarted"])
@SEEDS
def test_acks_lost_after_the_commit(stage, seed, is_restarted):
    with stage("acks lost after the commit" + (", hub restarted" if is_restarted else ""), seed) as it:
        it.start()
        it.begin_fault()
        it.proxy.drops_acks = True
        it.wait_detected()
        if is_restarted:
            it.hub.kill(signal.SIGKILL)
            it.wait_made(5)
            it.start_hub()
            it.wait_made(20)
        it.heal()
        it.proxy.drops_acks = False
        it.wait_drained()
        it.end()
        it.judge().assert_whole()
        assert it.proxy.dropped_acks > 0
