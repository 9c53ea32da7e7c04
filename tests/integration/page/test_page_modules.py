"""The page's pure modules, run where they live: in the browser."""

import json
from typing import Any


async def in_page(opens: Any, hub: Any, module: str, body: str) -> Any:
    """Import a module into an open page and return what the body (with `m`, the module) returns."""
    async with opens(hub.url) as watched:
        script = f"async () => {{ const m = await import('/static/{module}.js'); return JSON.stringify({body}); }}"
        return json.loads(await watched.page.evaluate(script))


async def test_a_long_silence_breaks_lines_and_a_short_one_does_not(hub, open_page):
    times, rows = await in_page(
        open_page, hub, "columns", "m.withGaps([0, 1, 2, 3, 5, 6, 20, 21], [[1, 2, 3, 4, 5, 6, 7, 8]])"
    )
    assert times == [0, 1, 2, 3, 5, 6, 7, 20, 21]
    assert rows == [1, 2, 3, 4, 5, 6, None, 7, 8]


async def test_a_line_breaks_where_it_alone_has_no_points(hub, open_page):
    body = """(() => {
      const times = [0, 1, 2, 3, 4, 5, 6, 7];
      const none = undefined;
      const [, steady, other] = m.withGaps(times, [[1, 1, 1, 1, 1, 1, 1, 1], [5, none, 5, none, none, none, 5, 5]]);
      return [steady, other.map((value) => value === undefined ? "-" : value)];
    })()"""
    steady, other = await in_page(open_page, hub, "columns", body)
    assert steady == [1] * 8
    assert other == [5, "-", 5, None, "-", "-", 5, 5]


async def test_a_line_goes_on_from_point_to_point_where_these_stand_for_what_lies_between(hub, open_page):
    body = """(() => {
      const kept = new Map([[3, { weight: 3, bound: 0 }], [10, { weight: 3, bound: 0 }]]);
      const [times, thinned, whole] = m.withGaps([0, 1, 2, 3, 10, 11], [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], [kept]);
      return [times, [thinned, whole].map((column) => column.map((value) => value === undefined ? "-" : value))];
    })()"""
    times, (thinned, whole) = await in_page(open_page, hub, "columns", body)
    assert times == [0, 1, 2, 3, 4, 10, 11]
    assert thinned == [1, 1, 1, 1, "-", 1, 1]
    assert whole == [1, 1, 1, 1, None, 1, 1]


async def test_a_running_total_becomes_growth_per_second_over_a_restart(hub, open_page):
    rates, grown = await in_page(
        open_page, hub, "columns", "[m.perSecond([0, 2, 3, 4], [10, 30, 5, 8]), m.growth([10, undefined, 30, 5, 8])]"
    )
    assert rates == [None, 10, None, 3]
    assert grown == 28


async def test_points_find_their_place_in_any_order_and_once(hub, open_page):
    body = """(() => {
      const model = new m.ChartModel("x");
      model.add(10, 'x{a="1"}', 1); model.add(12, 'x{a="1"}', 3); model.add(11, 'x{a="2"}', 9); model.add(12, 'x{a="1"}', 4);
      model.addHistory([{ series: 'x{a="1"}', times: [8, 10, 11], values: [0, 1, 2] }]);
      const values = model.lines.map((line) => line.values.map((value) => value ?? null));
      const before = [[...model.times], values, model.lines[0].last];
      model.trim(12);
      return [...before, model.times, model.lines.map((line) => line.series)];
    })()"""
    times, values, last, kept, lines = await in_page(open_page, hub, "chart_model", body)
    assert times == [8, 10, 11, 12]
    assert values == [[0, 1, 2, 4], [None, None, 9, None]]
    assert last == 4
    assert (kept, lines) == ([12], ['x{a="1"}'])


async def test_a_breakers_life_joins_samples_events_and_silence(hub, open_page):
    body = """(() => {
      const samples = [0, 1, 2, 3].map((time_s) => ({ time_s, state: "CLOSED" }));
      samples.push(...[20, 21].map((time_s) => ({ time_s, state: "OPEN" })));
      const changes = [{ time_s: 21.2, state: "HALF_OPEN" }, { time_s: 21.4, state: "CLOSED" }];
      const life = m.stretches(samples, changes, -2, 22, 2.5);
      return [life.map(({ state, from_s, to_s }) => [state, from_s, to_s]), m.present(life), m.trips(life)];
    })()"""
    life, present, trips = await in_page(open_page, hub, "breaker_history", body)
    assert life == [
        ["UNKNOWN", -2, 0],
        ["CLOSED", 0, 4.25],
        ["UNKNOWN", 4.25, 20],
        ["OPEN", 20, 21.2],
        ["HALF_OPEN", 21.2, 21.4],
        ["CLOSED", 21.4, 22],
    ]
    assert present == {"state": "CLOSED", "since_s": 21.4}
    assert trips == 1


async def test_open_lasts_through_its_failed_probes(hub, open_page):
    body = """(() => {
      const marks = [[0, "CLOSED"], [2, "OPEN"], [5, "HALF_OPEN"], [6, "OPEN"]].map(([time_s, state]) => ({ time_s, state }));
      const until = (to_s) => m.present(m.stretches([], marks, 0, to_s, 99));
      return [until(9), until(5.5), m.trips(m.stretches([], marks, 0, 9, 99))];
    })()"""
    now, probing, trips = await in_page(open_page, hub, "breaker_history", body)
    assert now == {"state": "OPEN", "since_s": 2}
    assert probing == {"state": "HALF_OPEN", "since_s": 5}
    assert trips == 2


async def test_series_are_taken_apart_and_named_by_what_differs(hub, open_page):
    body = """[
      m.parseSeries('disk_read_bytes{device="sda",host="a b"}'),
      m.parseSeries("load_1m"),
      m.lineNames([{ device: "sda", host: "a" }, { device: "sdb", host: "a" }]),
      m.lineNames([{ pid: "1", name: "sh" }, { pid: "2", name: "sh" }, { pid: "3", name: "vi" }]),
      ["zebra", "agent", "network", "cpu", "apple"].sort(m.compareGroups),
      [m.groupOf("cpu_used_ratio"), m.groupOf("uptime")],
    ]"""
    labelled, plain, by_device, by_both, groups, first_words = await in_page(open_page, hub, "naming", body)
    assert labelled == {"name": "disk_read_bytes", "labels": {"device": "sda", "host": "a b"}}
    assert plain == {"name": "load_1m", "labels": {}}
    assert by_device == ["sda", "sdb"]
    assert by_both == ["pid=1 name=sh", "pid=2 name=sh", "pid=3 name=vi"]
    assert groups == ["cpu", "network", "apple", "zebra", "agent"]
    assert first_words == ["cpu", "uptime"]


async def test_what_operators_look_for_comes_first_in_a_group(hub, open_page):
    names = [
        "cpu_count",
        "cpu_guest_ratio",
        "cpu_system_ratio",
        "cpu_core_used_ratio",
        "cpu_used_ratio",
        "cpu_interrupts_per_s",
    ]
    body = f"{json.dumps(names)}.sort(m.compareImportance)"
    assert await in_page(open_page, hub, "chart_group", body) == [
        "cpu_used_ratio",
        "cpu_core_used_ratio",
        "cpu_system_ratio",
        "cpu_guest_ratio",
        "cpu_interrupts_per_s",
        "cpu_count",
    ]


async def test_values_are_written_with_their_units(hub, open_page):
    body = """[
      m.value(0.0345, "ratio"), m.value(1, "ratio"), m.value(1536, "bytes"), m.value(3.2e6, "bytes/s"), m.value(0.0042, "s"),
      m.value(200, "s"), m.value(864000, "s"), m.value(12345, "points"), m.value(null, "bytes"), m.value(3, "/s"),
      m.value(3, "1/s"), m.age(-4),
    ]"""
    assert await in_page(open_page, hub, "format", body) == [
        "3.45 %",
        "100 %",
        "1.5 KiB",
        "3.05 MiB/s",
        "4.2 ms",
        "3 min 20 s",
        "10 d",
        "12.3 k points",
        "–",  # noqa: RUF001 - the dash that stands for no value
        "3/s",
        "3/s",
        "0 s",
    ]


async def test_waits_double_up_to_a_cap_and_are_spread(hub, open_page):
    body = "[1, 2, 3, 9].map((failures) => [m.wait_s(failures, () => 0), m.wait_s(failures, () => 1)])"
    spans = await in_page(open_page, hub, "live", body)
    assert [high for _, high in spans] == [1, 2, 4, 15]
    assert all(0 < low < high for low, high in spans)


async def test_a_route_survives_any_name(hub, open_page):
    body = """(() => {
      const route = m.hostRoute("a/b c?d#é", 900);
      return [route, m.parseRoute(route), m.parseRoute("#/"), m.parseRoute("")];
    })()"""
    route, parsed, fleet, empty = await in_page(open_page, hub, "route", body)
    assert route.startswith("#/host/a%2Fb%20c%3Fd%23")
    assert parsed == {"place": "host", "host": "a/b c?d#é", "window_s": 900}
    assert fleet == empty == {"place": "fleet", "host": None, "window_s": None}


async def test_a_lane_has_holes_where_nothing_was_heard_and_never_leaves_its_box(hub, open_page):
    body = """(() => {
      const points = [[0, 1], [5, 2], [40, 9], [50, 0]].map(([time_s, value]) => ({ time_s, value }));
      return m.areaPath(points, [0, 100], 4, 12);
    })()"""
    path = await in_page(open_page, hub, "lane", body)
    assert path == "M0 14L0 10.5L50 7L50 14ZM400 14L400 0L500 14L500 14Z"


async def test_a_forecast_goes_on_from_the_newest_point_and_never_back(hub, open_page):
    body = """(() => {
      const forecast = { times: [2, 3, 4], values: [7, 8, 9], low: [6, 7, 8], high: [8, 9, 10] };
      return m.withForecast([[1, 2], [5, 6]], forecast);
    })()"""
    rows = await in_page(open_page, hub, "chart_forecast", body)
    assert rows == [[1, 2, 3, 4], [5, 6, None, None], [None, 6, 8, 9], [None, 6, 7, 8], [None, 6, 9, 10]]


async def test_a_ratio_is_not_expected_above_one_nor_what_was_never_negative_below_zero(hub, open_page):
    body = """(() => {
      const forecast = { times: [3], values: [0.9], low: [-0.5], high: [1.5] };
      const ends = (column, unit) => m.withForecast([[1, 2], column], forecast, unit).slice(2).map((values) => values.at(-1));
      return [ends([0.2, 0.8], "ratio"), ends([0.2, 0.8], "s"), ends([-1, 2], "ratio")];
    })()"""
    ratio, seconds, free = await in_page(open_page, hub, "chart_forecast", body)
    assert (ratio, seconds, free) == ([0.9, 0, 1], [0.9, 0, 1.5], [0.9, -0.5, 1.5])


async def test_gaps_that_follow_each_other_are_one_line_where_the_newest_stands(hub, open_page):
    body = """(() => {
      const gap = (time_s, agent, reason, points, lanes = {}) =>
        ({ time_s, agent, kind: "gap.announced", detail: { reason, points, ...lanes, from_s: time_s - 1 } });
      const other = { time_s: 3, agent: "a", kind: "breaker.opened", detail: { points: 7 } };
      const events = [
        gap(1, "a", "sampled", 5), gap(2, "b", "sampled", 9), gap(2, "a", "expired", 1), other,
        gap(4, "a", "sampled", 6, { bulk_points: 4, normal_points: 2 }),
        gap(5, "a", "sampled", 1, { bulk_points: 1 }), gap(60, "a", "sampled", 2)];
      const before = JSON.stringify(events);
      const told = ({ time_s, agent, detail }) => [time_s, agent, detail.points, detail.from_s ?? null, detail.gaps ?? 1,
        detail.bulk_points ?? 0, detail.normal_points ?? 0];
      return [m.foldGaps(events).map(told), JSON.stringify(events) === before];
    })()"""
    told, is_untouched = await in_page(open_page, hub, "event_runs", body)
    assert told == [
        [2, "b", 9, 1, 1, 0, 0],
        [2, "a", 1, 1, 1, 0, 0],
        [3, "a", 7, None, 1, 0, 0],
        [5, "a", 12, 0, 3, 5, 2],
        [60, "a", 2, 59, 1, 0, 0],
    ]
    assert is_untouched


async def test_points_and_drops_a_second_are_what_came_between_two_lists(hub, open_page):
    body = """(() => {
      let now_s = 100;
      const store = new m.Store(() => now_s);
      const list = (points_total, gap_points_total) => ({ agents: [{ name: "a", points_total, gap_points_total }] });
      store.setAgents(list(1000, 50));
      now_s = 110; store.setAgents(list(3000, 70));
      now_s = 110.1; store.setAgents(list(3010, 70));
      const { points_per_s, dropped_per_s } = store.agents.get("a");
      return [points_per_s, dropped_per_s];
    })()"""
    assert await in_page(open_page, hub, "store", body) == [200, 2]


async def test_a_way_has_a_band_where_its_bound_is_known_and_the_line_is_not_broken(hub, open_page):
    body = """(() => {
      const bounds = [[2, 0.5], [3, null], [4, 0.5], [6, 0.25], [9, 0.5]];
      const kept = new Map(bounds.map(([time, bound]) => [time, { weight: 2, bound }]));
      const ways = m.boundedWays([1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 6, 7, 8, undefined, 9, 9, null, 9], kept);
      return [ways.map(({ from, to, bound }) => [from, to, bound]), m.boundedWays([1], [1], new Map())];
    })()"""
    ways, none = await in_page(open_page, hub, "chart_kept", body)
    assert ways == [[[1, 5], [2, 6], 0.5], [[4, 8], [6, 9], 0.25]]
    assert none == []


async def test_how_points_were_kept_is_told_of_all_lines_together(hub, open_page):
    body = """(() => {
      const line = (values, kept, methods) => ({ values, kept: new Map(kept), methods: new Set(methods) });
      const whole = line([1, 2], [], []);
      const shape = line([1, undefined, 3], [[1, { weight: 4, bound: 0.5 }], [3, { weight: 1, bound: null }]], ["shape"]);
      const other = line([1], [[1, { weight: 10, bound: 2 }]], ["merged", "drawn"]);
      const silent = line([1], [[1, { weight: 3, bound: null }]], []);
      return [[whole], [whole, shape], [shape, other], [silent]].map((lines) => m.keptWords(lines, "s"));
    })()"""
    assert await in_page(open_page, hub, "chart_kept", body) == [
        "",
        "2 of 5 points kept for the shape; the others at most 500 ms off the line, where that is known",
        "3 of 15 points kept for the shape, by chance, as means; the others at most 2 s off the line, where that is known",
        "1 of 3 points kept; how far off the others were is not known",
    ]
