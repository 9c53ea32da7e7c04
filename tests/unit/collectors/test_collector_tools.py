"""What plugin authors test with: the suite finds what it says it finds, and the fixtures are light."""

import subprocess
import sys
from math import inf, nan

import pytest

from agent.api import ProcFile, Reading
from agent.model import Kind
from agent.testing.collector_suite import check_collector
from agent.testing.recorder import FakeCollectorContext, ListRecorder

pytest_plugins = ["pytester"]


def collector_of(*samples, **series_keys):
    """A factory of collectors that record these (name, value)."""

    class Made:
        def __init__(self, _config, context):
            self._context = context

        def collect(self, out, /):
            for name, value in samples:
                out.add(self._context.series(name, **series_keys), value)

    return Made


async def test_a_good_collector_passes_and_is_reported():
    report = await check_collector(collector_of(("a_bytes", 3), ("b_bytes", nan), unit="bytes"))
    assert report.names == {"a_bytes", "b_bytes"}
    assert report.last["a_bytes"] == 3


@pytest.mark.parametrize(
    ("factory", "complaint"),
    [
        (collector_of(("a", 1), ("a", 2)), "more than once in a tick: .*a"),
        (collector_of(("a", "1")), "a value is a number"),
        (collector_of(("a", inf)), "a value is finite"),
        (collector_of(("a_ratio", 50), unit="ratio"), r"within 0\.\.1 \(got 50\)"),
        (collector_of(("a", 1), unit="bytes"), "ends in '_bytes'"),
        (collector_of(("a_bytes", 1), unit="bytes", kind=Kind.RATE), "per second"),
        (lambda _config, _context: object(), r"something with collect\(out\)"),
    ],
)
async def test_a_breach_is_named(factory, complaint):
    with pytest.raises(AssertionError, match=complaint):
        await check_collector(factory)


async def test_a_file_left_open_is_named(tmp_path):
    path = tmp_path / "left"
    path.write_text("1")
    kept = []

    def factory(_config, context):
        file = ProcFile(str(path))
        kept.append(file)
        file.read()
        return collector_of()(None, context)

    with pytest.raises(AssertionError, match=r"left files open: .*left"):
        await check_collector(factory)
    for file in kept:
        file.close()


@pytest.mark.parametrize(
    ("readme", "complaint"),
    [
        ("nothing", "has no row for `a_s`"),
        ("| `a_s` | counter | s |", "says of `a_s` .*counter"),
        ("| `a_s` | gauge | s | x |", ""),
    ],
)
async def test_the_readme_is_held_to_what_is_recorded(tmp_path, readme, complaint):
    path = tmp_path / "README.md"
    path.write_text(f"# x\n\n{readme}\n")
    checked = check_collector(collector_of(("a_s", 1), unit="s"), readme=path)
    if not complaint:
        assert (await checked).names == {"a_s"}
        return
    with pytest.raises(AssertionError, match=complaint):
        await checked


def test_a_recorder_shows_the_last_value_by_text():
    context, recorder = FakeCollectorContext(readings=[Reading("x", 1.0)]), ListRecorder()
    family = context.family("a_s", label="of", unit="s")
    recorder.add(family["b"], 1)
    recorder.add(family["b"], 2)
    assert recorder.values == {'a_s{of="b"}': 2}
    assert recorder.names == {"a_s"}
    assert [reading.name for reading in context.own_readings()] == ["x"]


async def test_a_context_runs_blocking_calls_and_keeps_events(collector_context, fake_clock, recorder):
    assert await collector_context.run_blocking(max, 1, 2) == 2
    collector_context.emit("disk.failed", device="sda")
    assert collector_context.events[0][0] == "disk.failed"
    assert collector_context.clock is fake_clock
    assert collector_context.state_dir.is_dir()
    assert recorder.samples == []


def test_a_context_without_a_folder_says_how_to_give_it_one():
    with pytest.raises(ValueError, match="state_dir=tmp_path"):
        FakeCollectorContext("x").state_dir  # noqa: B018 - asking is what raises


def test_authors_find_the_fixtures_by_themselves(pytester):
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        """
        def test_it(collector_context, recorder, fake_clock):
            recorder.add(collector_context.series("dice_count"), 4)
            assert recorder.values == {"dice_count": 4}
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize("module", ["agent.testing.pytest_plugin", "agent.testing.collector_suite"])
def test_the_tools_do_not_import_numpy(module):
    code = f"import sys, {module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
