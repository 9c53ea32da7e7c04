"""Scenarios 50, 51 and 52: one loop from pressures to decisions."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from agent.clock import SystemClock
from agent.errors import CollectError
from agent.model import Batch, PointFlag
from agent.resilience.buffer import BatchBuffer
from agent.resilience.buffer_settings import BufferSettings
from agent.resilience.codel import QueueDelay
from agent.resilience.control import AdaptiveRate, Hysteresis
from agent.resilience.host_readers import OwnCpu, OwnMemory, StallRatio
from agent.resilience.load_control import Decision, LoadControl
from agent.resilience.pressure import GuardedReader
from agent.resilience.sampler_guard import Newest
from agent.testing.clock import FakeClock


class Dial:
    """A reader whose value the test sets."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self) -> float:
        if self.value < 0:
            raise OSError("no such file")
        return self.value


def test_50_a_fill_that_swings_round_the_threshold_toggles_once() -> None:
    clock, fill, changes = FakeClock(), Dial(), []
    control = LoadControl(clock, queues={"fill": fill}, host={}, on_change=changes.append)
    for second in range(60):
        fill.value = 0.85 if second % 2 else 0.75
        control.step()
        clock.advance(1.0)
    assert [change.is_pressed for change in changes] == [True]


def test_50_wild_swings_toggle_at_most_once_in_ten_seconds() -> None:
    clock, fill = FakeClock(), Dial()
    changes: list[tuple[float, Decision]] = []
    control = LoadControl(
        clock, queues={"fill": fill}, host={}, on_change=lambda d: changes.append((clock.monotonic_s(), d))
    )
    for second in range(120):
        fill.value = 0.95 if second % 2 else 0.1
        control.step()
        clock.advance(1.0)
    times = [moment for moment, _ in changes]
    assert len(times) > 3
    assert min(np.diff(times)) >= 10.0


def test_50_rates_fall_by_half_at_most_and_rise_by_a_twentieth_and_recover_in_a_minute() -> None:
    clock, fill = FakeClock(), Dial(0.9)
    control = LoadControl(clock, queues={"fill": fill}, host={})
    ratios = [1.0]
    for second in range(80):
        fill.value = 0.9 if second < 15 else 0.2
        ratios.append(control.step().sampling_ratio)
        clock.advance(1.0)
    steps = np.array(ratios[1:]) / np.array(ratios[:-1])
    assert steps.min() >= 0.5
    assert steps.max() <= 1.05 + 1e-9
    assert min(ratios) == pytest.approx(0.06)
    assert ratios[15 + 60] == 1.0


def test_50_between_the_thresholds_the_rate_holds() -> None:
    clock = FakeClock()
    rate = AdaptiveRate(clock)
    rate.update(0.9)
    for _ in range(30):
        clock.advance(1.0)
        assert rate.update(0.65) == 0.5
        assert rate.update(math.nan) == 0.5


def test_only_the_host_stretches_the_intervals() -> None:
    clock, fill, cpu = FakeClock(), Dial(1.0), Dial(0.1)
    control = LoadControl(clock, queues={"fill": fill}, host={"cpu": cpu})
    assert control.step().interval_factor == 1.0
    cpu.value = 2.0
    for _ in range(10):
        clock.advance(1.0)
        decision = control.step()
    assert decision.interval_factor == pytest.approx(10.0)
    assert (decision.reason, decision.pressure) == ("cpu", 2.0)
    names = {reading.name for reading in control.readings()}
    assert {"agent_pressure_ratio", "agent_sampling_ratio", "agent_pressure_input_ratio"} <= names


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_51_a_failing_reader_holds_for_ten_seconds_and_then_is_unknown(bad: float) -> None:
    clock, dial = FakeClock(), Dial(0.7)
    reader = GuardedReader(dial, clock)
    assert reader() == 0.7
    dial.value = bad
    clock.advance(10.0)
    assert reader() == 0.7
    clock.advance(0.1)
    assert reader() is None
    assert reader.failure_count == 2


def test_51_the_unknown_is_no_reason_to_act() -> None:
    clock = FakeClock()
    control = LoadControl(clock, queues={}, host={"cpu": Dial(-1.0), "memory": Dial(math.nan)})
    decision = control.step()
    assert (decision.reason, decision.pressure, decision.sampling_ratio) == ("", 0.0, 1.0)
    assert decision.pressures == {"cpu": None, "memory": None}


def test_51_the_cgroup_limit_is_the_limit_where_there_is_one(tmp_path: Path) -> None:
    statm = tmp_path / "statm"
    statm.write_text("1000 256 0 0 0 0 0\n")
    (tmp_path / "memory.current").write_text("300\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 100\n")
    (tmp_path / "memory.max").write_text("400\n")
    read = OwnMemory(1 << 30, tmp_path, statm)
    assert read() == 0.5
    (tmp_path / "memory.max").write_text("max\n")
    assert read() == 256 * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    assert OwnMemory(1 << 30, tmp_path / "none", statm)() == read()


def test_51_stalls_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    (tmp_path / "io").write_text(
        "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0 avg300=0 total=0\n"
    )
    assert StallRatio("io", tmp_path)() == 0.125
    with pytest.raises(CollectError, match="cpu"):
        StallRatio("cpu", tmp_path)()


def test_51_reading_the_real_host_takes_well_under_a_millisecond() -> None:
    clock = SystemClock()
    readers = [GuardedReader(read, clock) for read in (OwnCpu(clock), OwnMemory(1 << 28), StallRatio("cpu"))]
    costs = []
    for _ in range(20):
        began_s = clock.monotonic_s()
        for reader in readers:
            reader()
        costs.append(clock.monotonic_s() - began_s)
    assert min(costs) < 0.001
    assert readers[1]() is not None


def test_a_burst_of_own_cpu_is_no_pressure_and_lasting_use_is() -> None:
    clock, used = FakeClock(), Dial()
    cpu = OwnCpu(clock, max_ratio=0.5, window_s=30.0, used_s=used)
    clock.advance(1.0)
    used.value = 1.0
    assert cpu() == pytest.approx(1 / 15)
    for _ in range(60):
        clock.advance(1.0)
        used.value += 0.5
        level = cpu()
    assert level == pytest.approx(1.0)
    for _ in range(30):
        clock.advance(1.0)
        level = cpu()
    assert level == 0.0


def test_52_a_standing_queue_is_told_and_told_again_when_it_is_gone() -> None:
    clock = FakeClock()
    delay = QueueDelay(clock)
    states = []
    for _ in range(12):
        states.append(delay.observe(0.05))
        clock.advance(0.0101)
    assert states == [False] * 10 + [True] * 2, "100 ms"
    assert delay.observe(0.006)
    assert not delay.observe(0.004)
    assert not delay.observe(0.05)


def test_52_what_stands_is_shed_until_a_wait_is_short_again() -> None:
    clock, delay, wait = FakeClock(), QueueDelay(FakeClock()), Dial(0.05)
    delay = QueueDelay(clock)
    control = LoadControl(clock, queues={"queue_delay": lambda: float(delay.observe(wait.value))}, host={})
    ratios = []
    for _ in range(4):
        ratios.append(control.step().sampling_ratio)
        clock.advance(1.0)
    assert ratios == [1.0, 0.5, 0.25, 0.125]
    assert control.decision.reason == "queue_delay"
    wait.value = 0.004
    assert control.step().sampling_ratio == pytest.approx(0.125 * 1.05)


def test_52_a_burst_that_drains_in_time_sheds_nothing() -> None:
    clock = FakeClock()
    delay = QueueDelay(clock)
    for number in range(200):
        clock.advance(0.08 / 200)
        assert not delay.observe((number + 1) * 0.08 / 200)
    assert not delay.observe(0.0)


def test_a_switch_needs_room_between_on_and_off() -> None:
    with pytest.raises(ValueError, match="off_ratio"):
        Hysteresis(0.5, 0.5)


def test_thinning_at_the_entry_is_even_weighted_counted_and_spares_what_matters() -> None:
    clock = FakeClock()
    buffer = BatchBuffer("hub", BufferSettings(), Newest(), clock=clock)
    buffer.keep_ratio = 0.25
    flags = np.zeros(100, np.uint8)
    flags[:3] = PointFlag.CRITICAL
    flags[3:5] = PointFlag.ANOMALOUS
    for _ in range(40):
        buffer.put(Batch(clock.wall_ns(), clock.monotonic_s(), np.arange(100, dtype=np.uint32), np.zeros(100), flags))
        clock.advance(1.0)
    taken = [record for record in buffer.take(1000, 10**9) if isinstance(record, Batch)]
    ids = np.concatenate([batch.ids for batch in taken])
    weights = np.concatenate([batch.weights for batch in taken])
    seen = np.bincount(ids, minlength=100)
    assert (seen[:5] == 40).all()
    assert ((seen[5:] >= 9) & (seen[5:] <= 11)).all()
    assert weights.sum() == pytest.approx(4000, rel=0.01)
    counts = buffer.counts()
    assert counts.is_balanced
    assert counts.dropped == {"sampled": 4000 - len(ids)}
