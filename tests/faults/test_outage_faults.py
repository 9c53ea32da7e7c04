"""Ten minutes without a hub, in compressed time: everything arrives, and the newest first."""

import pytest
from fault_stage import Stage
from process_support import wait_until
from synthetic import made_ticks

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("series_count", "ticks", "drain_ratio"),
    [
        pytest.param(200, 50, 4.0, id="200 series"),
        pytest.param(200, 600, 20.0, marks=pytest.mark.long, id="200 series, whole"),
        pytest.param(2000, 600, 20.0, marks=pytest.mark.long, id="2,000 series, whole"),
    ],
)
def test_outage(tmp_path, report, series_count, ticks, drain_ratio):
    """A tick each 0.1 s stands for one a second."""
    sink = f"spool.drain_ratio = {drain_ratio}"
    case = f"outage of {ticks} ticks at {series_count} series"
    with Stage(tmp_path, case, 1, series_count=series_count, interval_s=0.1, sink=sink) as it:
        it.start()
        it.begin_fault()
        it.hub.kill()
        it.wait_detected()
        wait_until(lambda: it.spooled() >= ticks * 0.9, "the outage lasts", 200)
        it.start_hub()
        it.heal()
        it.wait_drained(120)
        it.wait_made(3)
        it.end()
        links = [entry["event"] for entry in it.agent.events() if entry.get("event") in {"link.opened", "link.closed"}]
        it.verdict.notes |= {
            "links lost while it drained": links[links.index("link.closed") + 1 :].count("link.closed")
        }
        verdict = report(it.judge())
        verdict.assert_whole()
        healed = {number for number, _, wall_s in made_ticks(it.made_path) if wall_s > it.healed_wall_s}
        order = [int(value) for *_, result, value in it.stored_lines() if value is not None and result == "stored"]
        backlog = [place for place, number in enumerate(order) if number not in healed]
        assert any(number in healed for number in order[: backlog[-1]]), "live data overtake the backlog"
