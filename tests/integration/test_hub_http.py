"""The hub's queries, as a page and as Prometheus see them."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np
import pytest
from hub_support import RunningHub, SinkStage, batch, fetch
from websockets.asyncio.client import connect

from agent.errors import ConfigError
from agent.hub.store import StoreError
from agent.model import Batch, PointFlag


@pytest.fixture
async def hub(tmp_path):
    async with RunningHub(tmp_path) as running:
        sink = SinkStage().sink(running.url)
        await sink.deliver([batch(float(number), time_s=1000 + number) for number in range(5)], 1)
        yield running
        await sink.close()


async def test_agents_are_listed_with_their_totals(hub):
    status, found = await hub.get("api/v1/agents")
    assert status == 200
    (agent,) = found["agents"]
    assert agent.pop("last_seen_s") > 1_600_000_000
    assert agent.pop("version")
    assert agent == {
        "name": "web1",
        "labels": {"dc": "north"},
        "epoch": "e1",
        "connected": True,
        "last_time_s": 1004.0,
        "series_count": 2,
        "points_total": 10,
        "batches_total": 5,
        "duplicates_total": 0,
        "gap_points_total": 0,
        "last_seq": 5,
        "health_score": None,
    }


async def test_series_are_listed_with_text_labels_and_unit(hub):
    _, found = await hub.get("api/v1/series?agent=web1")
    assert found["series"][0] == {
        "series": 'test_value{n="1"}',
        "name": "test_value",
        "labels": {"n": "1"},
        "unit": "bytes",
        "kind": "gauge",
    }
    assert len(found["series"]) == 2


async def test_one_series_is_queried_by_its_text(hub):
    _, found = await hub.get("api/v1/query?agent=web1&series=test_value%7Bn%3D%221%22%7D&from=1001&to=1003")
    assert found == {
        "agent": "web1",
        "series": 'test_value{n="1"}',
        "times": [1001.0, 1002.0, 1003.0],
        "values": [1.0, 2.0, 3.0],
        "anomalies": [],
    }


async def test_all_series_of_a_name_are_queried_at_once(hub):
    _, found = await hub.get("api/v1/query?agent=web1&name=test_value&from=1004&to=1004")
    assert [(one["series"], one["labels"], one["times"], one["values"]) for one in found["results"]] == [
        ('test_value{n="1"}', {"n": "1"}, [1004.0], [4.0]),
        ('test_value{n="2"}', {"n": "2"}, [1004.0], [4.0]),
    ]


ONE = "agent=web1&series=test_value%7Bn%3D%221%22%7D"


async def test_with_a_step_stretches_are_told_instead_of_points(hub):
    _, found = await hub.get(f"api/v1/query?{ONE}&from=1000&to=1005&step=2")
    assert found == {
        "agent": "web1",
        "series": 'test_value{n="1"}',
        "step_s": 2,
        "times": [1000.0, 1002.0, 1004.0],
        "values": [0.5, 2.5, 4.0],
        "count": [2.0, 2.0, 1.0],
        "min": [0.0, 2.0, 4.0],
        "max": [1.0, 3.0, 4.0],
        "mean": [0.5, 2.5, 4.0],
        "last": [1.0, 3.0, 4.0],
    }


async def test_a_step_widens_the_time_to_whole_stretches_and_takes_a_name_too(hub):
    _, found = await hub.get("api/v1/query?agent=web1&name=test_value&from=1003&to=1003&step=2")
    assert [(one["series"], one["times"], one["values"]) for one in found["results"]] == [
        ('test_value{n="1"}', [1002.0], [2.5]),
        ('test_value{n="2"}', [1002.0], [2.5]),
    ]


@pytest.mark.parametrize(
    ("asked", "given"),
    [("1", 1), ("1.2", 2), ("59", 59), ("60", 60), ("61", 120), ("3601", 7200), ("8e9", 8_000_002_800)],
)
async def test_a_step_is_rounded_up_to_what_roll_ups_can_answer(hub, asked, given):
    _, found = await hub.get(f"api/v1/query?{ONE}&from=1000&to=1010&step={asked}")
    assert found["step_s"] == given
    assert sum(found["count"]) == 5


async def test_a_step_of_nothing_is_no_step(hub):
    _, found = await hub.get(f"api/v1/query?{ONE}&from=1000&to=1010&step=0")
    assert "step_s" not in found
    assert found["values"] == [0.0, 1.0, 2.0, 3.0, 4.0]


async def test_statistics_are_of_points_where_these_are_there(hub):
    _, found = await hub.get(f"api/v1/statistics?{ONE}&from=1001&to=1004")
    assert (found["agent"], found["series"], found["source"]) == ("web1", 'test_value{n="1"}', "points")
    assert (found["from_s"], found["to_s"]) == (1001.0, 1004.0)
    assert (found["count"], found["stored"], found["covered_s"]) == (4.0, 4, 3.0)
    assert (found["mean"], found["weighted_mean"], found["min"], found["max"]) == (2.5, 2.5, 1.0, 4.0)
    assert (found["first"], found["last"]) == (1.0, 4.0)


@pytest.mark.parametrize(("to", "source"), [(1000 + 86_401, "60 s"), (1000 + 31 * 86_400, "3600 s")])
async def test_statistics_of_a_long_time_are_of_roll_ups(hub, to, source):
    _, found = await hub.get(f"api/v1/statistics?{ONE}&from=0&to={to}")
    assert found["source"] == source
    assert (found["count"], found["min"], found["max"], found["last"]) == (5.0, 0.0, 4.0, 4.0)


async def test_statistics_of_a_time_without_points_say_so(hub):
    status, found = await hub.get(f"api/v1/statistics?{ONE}&from=5000&to=5001")
    assert (status, found["count"], found["stored"], found["mean"]) == (200, 0.0, 0, None)


async def test_53_what_was_sampled_is_told_with_method_weight_and_bound_all_the_way_to_a_query(hub):
    sink = SinkStage("web4").sink(hub.url)
    ids, shaped = np.array([1], np.uint32), np.array([PointFlag.SHAPED], np.uint8)
    rows = [(1000, 0.0, 1.5, 0.0), (1002, 8.0, 5.0, 0.5), (1010, 0.0, 4.5, 2.0)]
    batches = [
        Batch(second * 10**9, 0.0, ids, np.array([value]), shaped, np.array([weight]), np.array([bound], np.float32))
        for second, value, weight, bound in rows
    ]
    await sink.deliver(batches, 1)
    one = ONE.replace("web1", "web4")
    _, found = await hub.get(f"api/v1/query?{one}&from=1000&to=1010")
    assert (found["values"], found["weights"]) == ([0.0, 8.0, 0.0], [1.5, 5.0, 4.5])
    assert (found["methods"], found["bounds"]) == (["shape"], [0.0, 0.5, 2.0])
    _, found = await hub.get(f"api/v1/statistics?{one}&from=1000&to=1010")
    assert (found["mean"], found["mean_by"], found["count"]) == (4.0, "time", 11.0)
    assert (found["methods"], found["error_bound"], found["max_error"]) == (["shape"], 1.7, 2.0)
    _, whole = await hub.get(f"api/v1/statistics?{ONE}&from=1000&to=1010")
    assert (whole["methods"], whole["error_bound"]) == ([], 0.0)
    await sink.close()


async def test_latest_tells_the_newest_value_of_each_series_or_of_one_name_of_all_agents(hub):
    other = SinkStage("web2").sink(hub.url)
    await other.deliver([batch(float("nan"), time_s=2000.0, ids=(1,))], 1)
    _, mine = await hub.get("api/v1/latest?agent=web1")
    both = {'test_value{n="1"}': 4.0, 'test_value{n="2"}': 4.0}
    assert mine == {"agents": [{"name": "web1", "connected": True, "time_s": 1004.0, "values": both}]}
    _, found = await hub.get("api/v1/latest?name=test_value")
    web2 = {"name": "web2", "connected": True, "time_s": 2000.0, "values": {'test_value{n="1"}': None}}
    assert found == {"agents": [*mine["agents"], web2]}
    _, nothing = await hub.get("api/v1/latest?agent=web1&name=other")
    assert nothing["agents"][0]["values"] == {}
    await other.close()


async def test_a_forecast_follows_the_newest_point_with_its_interval(hub):
    sink = SinkStage("web3").sink(hub.url)
    now_s = round(time.time())
    batches = [batch(5.0, time_s=now_s - 60 + number) for number in range(60)]
    await sink.deliver(batches, 1)
    _, found = await hub.get("api/v1/forecast?agent=web3&series=test_value%7Bn%3D%221%22%7D&horizon_s=10")
    assert found == {
        "agent": "web3",
        "series": 'test_value{n="1"}',
        "times": [float(now_s + number) for number in range(10)],
        "values": [5.0] * 10,
        "low": [5.0] * 10,
        "high": [5.0] * 10,
    }
    await sink.close()


async def test_a_negative_time_counts_back_from_now_and_the_last_five_minutes_are_the_default(hub):
    sink = SinkStage("web2").sink(hub.url)
    await sink.deliver([batch(1.0, time_s=1.0), batch(2.0)], 1)
    for span in ("", "&from=-60", "&from=-60&to=-0.0"):
        _, found = await hub.get(f"api/v1/query?agent=web2&series=test_value%7Bn=%221%22%7D{span}")
        assert found["values"] == [2.0]
    _, found = await hub.get("api/v1/query?agent=web2&series=test_value%7Bn=%221%22%7D&to=-60")
    assert found["values"] == []
    await sink.close()


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("api/v1/query?agent=nobody&series=x", 404, "no agent 'nobody'"),
        ("api/v1/query?agent=web1&series=nothing", 404, "no series 'nothing'"),
        ("api/v1/query?agent=web1&name=nothing", 404, "no series 'nothing'"),
        ("api/v1/query?agent=web1", 400, "exactly one of series= and name="),
        ("api/v1/query?series=x", 400, "agent= is needed"),
        ("api/v1/query?agent=web1&series=x&from=yesterday", 400, "from= must be a number of seconds (got 'yesterday')"),
        ("api/v1/query?agent=web1&series=x&from=nan", 400, "from= must be a number"),
        ("api/v1/query?agent=web1&series=x&to=1e300", 400, "to= must be a number"),
        ("api/v1/events?limit=many", 400, "limit= must be a number"),
        ("api/v1/events?agent=nobody", 404, "no agent 'nobody'"),
        ("api/v1/series", 400, "agent= is needed"),
        ("api/v1/forecast?agent=web1", 400, "series= is needed"),
        ("api/v1/forecast?agent=web1&series=nothing", 404, "no series 'nothing'"),
        ("api/v1/forecast?agent=web1&series=test_value%7Bn%3D%221%22%7D", 404, "no points in the last 21600 s"),
        ("api/v1/forecast?agent=web1&series=x&horizon_s=0", 400, "horizon_s= must be > 0"),
        (f"api/v1/query?{ONE}&step=short", 400, "step= must be a number of seconds (got 'short')"),
        (f"api/v1/query?{ONE}&step=0.5", 400, "step= must be 1 second or more (got '0.5')"),
        (f"api/v1/query?{ONE}&step=-60", 400, "step= must be 1 second or more (got '-60')"),
        (f"api/v1/query?{ONE}&step=nan", 400, "step= must be a number"),
        (f"api/v1/query?{ONE}&step=1e300", 400, "step= must be a number"),
        ("api/v1/statistics?series=x", 400, "agent= is needed"),
        ("api/v1/statistics?agent=nobody&series=x", 404, "no agent 'nobody'"),
        ("api/v1/statistics?agent=web1", 400, "series= is needed"),
        ("api/v1/statistics?agent=web1&series=nothing", 404, "no series 'nothing'"),
        (f"api/v1/statistics?{ONE}&from=yesterday", 400, "from= must be a number of seconds"),
        (f"api/v1/statistics?{ONE}&to=inf", 400, "to= must be a number of seconds"),
        ("api/v1/latest", 400, "agent= or name= is needed"),
        ("api/v1/latest?agent=nobody", 404, "no agent 'nobody'"),
        ("nothing/here", 404, "no such page"),
        ("static/../../secret", 404, "no such page"),
    ],
)
async def test_a_query_that_cannot_be_answered_says_why_in_one_line(hub, target, status, says):
    answered, found = await hub.get(target)
    assert answered == status
    assert says in found["error"]
    assert "\n" not in found["error"]


async def test_metrics_are_prometheus_text(hub):
    status, headers, body = await fetch(hub.page + "metrics")
    text = body.decode()
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\nrebellion_hub_points_total 10\n" in text
    assert '\nrebellion_hub_agent_up{agent="web1"} 1\n' in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"\})? [-+.\de]+', line), line


async def test_the_page_works_under_a_strict_policy(hub):
    status, headers, body = await fetch(hub.page)
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert b"<html" in body.lower()


async def test_every_answer_tells_the_hubs_wall_clock(hub):
    _, headers, _ = await fetch(hub.page)
    told = parsedate_to_datetime(headers["date"])
    assert abs((told - datetime.now(UTC)).total_seconds()) < 60


async def test_an_agent_may_also_connect_without_a_path(hub):
    root = hub.page.replace("http", "ws")
    async with connect(root, subprotocols=["rebellion.v1.json"], compression=None) as agent:
        await agent.send('{"type":"hello","version":1,"agent":"web2","epoch":"e","next_seq":1}')
        assert '"type":"welcome"' in await agent.recv()


async def test_a_long_answer_arrives_whole(tmp_path):
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        for start in range(0, 20_000, 1000):
            group = [batch(0.1 + number, time_s=1 + number) for number in range(start, start + 1000)]
            await sink.deliver(group, start + 1)
        assert len(await hub.values()) == 20_000
        await sink.close()


async def test_a_page_of_another_site_cannot_read_through_a_name_of_its_own(hub):
    status, _, _ = await fetch(hub.page + "api/v1/agents", Host="evil.example")
    assert status == 401


async def test_with_a_read_token_data_needs_it_and_the_page_does_not(tmp_path):
    (tmp_path / "read").write_text("look\n")
    async with RunningHub(tmp_path / "hub", read_token_file=str(tmp_path / "read")) as hub:
        for target in ("api/v1/agents", "metrics"):
            assert (await fetch(hub.page + target))[0] == 401
            assert (await fetch(hub.page + target, Authorization="Bearer look"))[0] == 200
            assert (await fetch(hub.page + target + "?token=look"))[0] == 401
        for target in ("", "healthz"):
            assert (await fetch(hub.page + target))[0] == 200
        async with connect(
            f"{hub.url}api/v1/live?token=look", subprotocols=["rebellion.live.v1"], proxy=None
        ) as socket:
            assert "agents" in await socket.recv()


async def test_a_port_in_use_is_named_in_one_line(hub, tmp_path):
    with pytest.raises(
        OSError, match=r"hub\.listen: cannot listen on 127\.0\.0\.1:\d+: Address already in use"
    ) as caught:
        async with RunningHub(tmp_path / "other", listen=hub.page.removeprefix("http://").rstrip("/")):
            pytest.fail("two hubs on one port")
    assert "\n" not in str(caught.value)


async def test_a_second_hub_on_the_same_folder_is_refused(hub, tmp_path):
    with pytest.raises(StoreError, match="another hub is running on this folder"):
        async with RunningHub(tmp_path):
            pytest.fail("two hubs in one folder")


async def test_a_folder_that_cannot_be_written_is_a_matter_of_configuration(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="state_dir"):
        async with RunningHub(tmp_path / "file" / "hub"):
            pytest.fail("a hub without a folder")


async def test_totals_and_points_survive_a_restart(tmp_path):
    for start in (0, 2):
        async with RunningHub(tmp_path) as hub:
            sink = SinkStage().sink(hub.url)
            await sink.deliver([batch(float(start)), batch(start + 1.0)], start + 1)
            await sink.close()
    async with RunningHub(tmp_path) as hub:
        assert await hub.values() == [0.0, 1.0, 2.0, 3.0]
        found = (await hub.agents())["web1"]
        assert (found["points_total"], found["connected"], found["last_seq"]) == (8, False, 4)


async def test_what_is_too_old_is_deleted(tmp_path):
    async with RunningHub(tmp_path) as hub:
        sink = SinkStage().sink(hub.url)
        await sink.deliver([batch(1.0)], 1)
        await sink.close()
    async with RunningHub(tmp_path, retention_s=0.001) as hub, asyncio.timeout(10):
        while await hub.values():
            await asyncio.sleep(0.01)
        assert (await hub.agents())["web1"]["points_total"] == 2
