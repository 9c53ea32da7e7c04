"""The page of one host, in a real browser: charts that move, breakers that change, events, silence."""

import math
import time

NAME = "web-1"
CHART = "[data-testid=chart][data-name=cpu_used_ratio]"
SINK = "[data-breaker='sink:websocket']"
STATE = 'agent_breaker_state{target="sink:websocket"}'
CLOSED, HALF_OPEN, OPEN = 0.0, 1.0, 2.0

HAS_STATE = "([selector, state]) => document.querySelector(selector)?.dataset.state === state"
HAS_TEXT = "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)"


def values(time_s: float, breaker: float = CLOSED) -> dict[str, float]:
    return {
        "cpu_used_ratio": 0.5 + 0.4 * math.sin(time_s),
        'disk_read_bytes{device="sda"}': 4096.0,
        'disk_read_bytes{device="sdb"}': 1024.0,
        STATE: breaker,
        'agent_buffer_fill_ratio{sink="websocket"}': 0.25,
        'agent_dropped_points_total{reason="sampled",sink="websocket"}': 70.0,
    }


def with_history(hub, seconds: int = 60, gap: range = range(0)) -> int:
    """A known host with a point a second up to now; returns the time of the newest."""
    hub.add_agent(NAME, labels={"site": "fra"})
    hub.define(NAME, "cpu_used_ratio", "ratio")
    hub.define(NAME, 'disk_read_bytes{device="sda"}', "bytes/s", "rate")
    hub.define(NAME, 'disk_read_bytes{device="sdb"}', "bytes/s", "rate")
    now_s = int(time.time())
    for ago in range(seconds, 0, -1):
        if ago not in gap:
            hub.store(NAME, now_s - ago, values(now_s - ago))
    return now_s - 1


async def opened_chart(watched) -> tuple[int, float, str]:
    """Points, newest time and picture of the CPU chart."""
    await watched.page.locator(CHART).scroll_into_view_if_needed()
    await watched.wait_for("(s) => document.querySelector(s)?.dataset.points > 1", CHART)
    return await chart(watched)


async def chart(watched) -> tuple[int, float, str]:
    points, last, picture = await watched.page.evaluate(
        """(selector) => {
          const { dataset } = document.querySelector(selector);
          return [dataset.points, dataset.lastTime, document.querySelector(`${selector} canvas`).toDataURL()];
        }""",
        CHART,
    )
    return int(points), float(last), picture


async def test_charts_show_history_and_move_with_each_tick(hub, open_page):
    newest_s = with_history(hub)
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        before = await opened_chart(watched)
        assert before[:2] == (60, newest_s)
        for step in range(1, 4):
            await hub.tick(NAME, newest_s + step, values(newest_s + step))
            await watched.wait_for(
                "([s, t]) => Number(document.querySelector(s).dataset.lastTime) === t", [CHART, newest_s + step]
            )
        after = await chart(watched)
        assert after[:2] == (63, newest_s + 3)
        assert after[2] != before[2]
        assert watched.complaints == []
        assert {url.split("/")[2] for url in watched.urls} == {f"127.0.0.1:{hub.port}"}


async def test_label_sets_of_one_name_are_lines_of_one_chart_and_unknown_names_find_a_group(hub, open_page):
    newest_s = with_history(hub)
    hub.define(NAME, "zebra_stripes")
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.page.locator("[data-name=disk_read_bytes]").scroll_into_view_if_needed()
        await watched.wait_for("() => document.querySelectorAll('[data-name=disk_read_bytes] .legend li').length === 2")
        legend = await watched.page.inner_text("[data-name=disk_read_bytes] .legend")
        assert legend.split() == ["sda", "4", "KiB/s", "sdb", "1", "KiB/s"]
        groups = await watched.page.eval_on_selector_all("[data-testid=group]", "all => all.map(e => e.dataset.group)")
        assert groups == ["cpu", "disk", "zebra", "agent"]
        await hub.tick(NAME, newest_s + 1, {"quagga_hooves": 4.0, **values(newest_s + 1)})
        await watched.wait_for("() => document.querySelector('[data-group=quagga] [data-name=quagga_hooves]') !== null")


INKED = """(name) => {
  const canvas = document.querySelector(`[data-name=${name}] canvas`);
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let at = 3; at < pixels.length; at += 4) count += pixels[at] > 0;
  return count;
}"""


async def test_points_that_stand_for_others_say_how_they_were_kept_and_how_far_off_the_others_are(hub, open_page):
    now_s = int(time.time())
    hub.add_agent(NAME)
    names = ("cpu_used_ratio", "cpu_busy_ratio", "cpu_guest_ratio", "cpu_switches")
    for name in names:
        hub.define(NAME, name, "ratio" if name.endswith("ratio") else "", "counter" if name == names[3] else "gauge")
    for ago in range(60, 0, -3):
        hub.store(NAME, now_s - ago, dict.fromkeys(names, 0.2 + ago / 1000))
        hub.keep(NAME, names[0], now_s - ago, "shape", 3.0, 0.05)
        hub.keep(NAME, names[1], now_s - ago, "drawn", 4.0, None)
        hub.keep(NAME, names[3], now_s - ago, "shape", 2.0, 0.5)
    note = "[data-testid=chart][data-name={}] .chart-kept"
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for(HAS_TEXT, [note.format(names[3]), "points"])
        notes = [await watched.page.inner_text(note.format(name)) for name in names]
        assert notes == [
            "20 of 60 points kept for the shape; the others at most 5 % off the line",
            "20 of 80 points kept by chance; how far off the others were is not known",
            "",
            "20 of 40 points kept for the shape",
        ]
        banded, unknown, whole = [await watched.page.evaluate(INKED, name) for name in names[:3]]
        assert banded > 1.1 * whole, "a band above and below the line"
        assert unknown == whole, "and none where nothing is known"
        await hub.tick(NAME, now_s + 400, {names[0]: 0.5})
        await watched.wait_for("(s) => document.querySelector(s).textContent === ''", note.format(names[0]))
        assert watched.complaints == []


async def test_a_gap_in_the_points_is_a_gap_in_the_picture(hub, open_page):
    with_history(hub, seconds=100, gap=range(40, 60))
    async with open_page(f"{hub.url}#/host/{NAME}?window=120") as watched:
        await opened_chart(watched)
        inked = await watched.page.evaluate(
            """(selector) => {
              const canvas = document.querySelector(selector).querySelector('canvas');
              const { width, height } = canvas;
              const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
              const color = [0x0b, 0x66, 0xc3];
              const columns = [];
              for (let x = 0; x < width; x += 1) {
                let isInked = false;
                for (let y = 0; y < height && !isInked; y += 1) {
                  const at = (y * width + x) * 4;
                  isInked = pixels[at + 3] > 200 && color.every((part, nth) => Math.abs(pixels[at + nth] - part) < 40);
                }
                columns.push(isInked ? '#' : ' ');
              }
              return columns.join('').trim();
            }""",
            CHART,
        )
        widest = max(len(blank) for blank in inked.split("#"))
        assert 0.15 * len(inked) < widest < 0.28 * len(inked)


async def test_a_breaker_is_seen_closed_open_half_open_and_closed_again(hub, open_page):
    now_s = with_history(hub)
    walk = [
        ("OPEN", OPEN, "breaker.opened"),
        ("HALF_OPEN", HALF_OPEN, "breaker.half_opened"),
        ("CLOSED", CLOSED, "breaker.closed"),
    ]
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for(HAS_STATE, [SINK, "CLOSED"])
        seen = ["CLOSED"]
        for step, (state, number, kind) in enumerate(walk, start=1):
            await hub.event(NAME, now_s + step - 0.5, kind, "sink:websocket", "warning", to=state)
            await hub.tick(NAME, now_s + step, values(now_s + step, number))
            await watched.wait_for(HAS_STATE, [SINK, state])
            seen.append(await watched.page.inner_text(f"{SINK} .chip"))
        bars = await watched.page.eval_on_selector_all(f"{SINK} rect", "all => all.map(e => e.getAttribute('class'))")
        assert seen == ["CLOSED", "OPEN", "HALF_OPEN", "CLOSED"]
        assert [name.removeprefix("bar state-") for name in bars if "UNKNOWN" not in name] == seen
        assert "opened 1 time" in (await watched.page.get_attribute(f"{SINK} svg", "aria-label"))
        assert watched.complaints == []


async def test_a_change_shorter_than_a_tick_is_seen_through_its_events(hub, open_page):
    now_s = with_history(hub)
    for offset, kind in ((-10.6, "breaker.opened"), (-10.4, "breaker.half_opened"), (-10.3, "breaker.closed")):
        await hub.event(NAME, now_s + offset, kind, "sink:websocket")
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for("(s) => document.querySelectorAll(`${s} rect.state-OPEN`).length === 1", SINK)
        widths = await watched.page.eval_on_selector_all(
            f"{SINK} rect.state-OPEN", "all => all.map(e => +e.getAttribute('width'))"
        )
        assert widths[0] >= 4
        assert await watched.state_of(SINK) == "CLOSED"


async def test_buffer_fill_and_drops_by_reason_are_shown(hub, open_page):
    newest_s = with_history(hub)
    sink = "[data-testid=sink][data-sink=websocket]"
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for(HAS_TEXT, [sink, "buffer 25 % full"])
        assert "dropped: sampled 70 points" in " ".join((await watched.page.inner_text(sink)).split())
        full = {
            **values(newest_s + 1),
            'agent_buffer_fill_ratio{sink="websocket"}': 0.95,
            'agent_dropped_points_total{reason="sampled",sink="websocket"}': 90.0,
        }
        await hub.tick(NAME, newest_s + 1, full)
        await watched.wait_for(HAS_TEXT, [sink, "90 points, 20 in the window"])
        assert await watched.page.get_attribute("[data-figure=fill]", "data-mood") == "bad"
        assert "20" in await watched.page.inner_text("[data-figure=dropped]")


LANE = "[data-testid=lane][data-lane='{}']"


async def test_fill_sampling_drops_and_restarts_lie_under_the_breakers_on_one_axis(hub, open_page):
    newest_s = with_history(hub)
    pressed = {
        **values(newest_s + 1),
        **{f'agent_breaker_state{{target="collector:c{at}"}}': CLOSED for at in range(5)},
        'agent_buffer_fill_ratio{sink="websocket"}': 0.9,
        'agent_buffer_points{sink="websocket"}': 45_000.0,
        'agent_spool_fill_ratio{sink="websocket"}': 0.5,
        'agent_dropped_points_total{reason="sampled",sink="websocket"}': 95.0,
        "agent_sampling_ratio": 0.25,
        "agent_retry_ratio": 0.5,
        "agent_interval_factor": 2.0,
        'agent_pressure_input_ratio{input="buffer"}': 0.9,
        'agent_pressure_input_ratio{input="own_cpu"}': 0.1,
    }
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for(HAS_TEXT, [LANE.format("buffer websocket"), "25 % full"])
        await hub.event(NAME, newest_s, "agent.started", "agent")
        await hub.event(NAME, newest_s, "component.restarted", "collector:c1")
        await hub.tick(NAME, newest_s + 1, pressed)
        await hub.tick(NAME, newest_s + 2, pressed)
        await watched.wait_for(HAS_TEXT, [LANE.format("sampling"), "keeps 25 %"])
        lanes = await watched.page.eval_on_selector_all(
            "[data-testid=lane]", "all => all.map(e => [e.dataset.lane, e.dataset.mood, e.innerText])"
        )
        told = {lane: (mood, " ".join(text.split())) for lane, mood, text in lanes}
        assert told == {
            "buffer websocket": ("bad", "buffer websocket 90 % full peak 45 k"),
            "spool websocket": ("warn", "spool websocket 50 % full peak 0"),
            "sampling": ("warn", "sampling keeps 25 % buffer 90 %"),
            "retries": ("warn", "retries allows 50 % buffer 90 %"),
            "drops": ("warn", "drops 25 in the window"),
        }
        assert "1 start\n1 recovery" in await watched.page.inner_text("[data-testid=happenings]")
        why = await watched.page.inner_text("[data-testid=pressure]")
        assert "25 % of ordinary points are taken in, 50 % of retries are allowed, intervals are 2 times as long" in why
        assert "Highest pressure: fullest buffer at 90 %" in why
        shown = "[data-testid=breaker]"
        assert await watched.page.locator(shown).count() == 1
        assert "5 collectors" in await watched.page.inner_text("[data-testid=folded]")
        await watched.page.get_by_role("button", name="show all").click()
        assert await watched.page.locator(shown).count() == 6
        assert watched.complaints == []


async def test_anomalies_are_ringed_and_a_forecast_runs_ahead_until_it_is_switched_off(hub, open_page):
    newest_s = with_history(hub)
    hub.can = ["forecast"]
    ahead = [newest_s + 1.0 + 5 * step for step in range(9)]
    hub.forecasts["cpu_used_ratio"] = {"times": ahead, "values": [0.5] * 9, "low": [0.3] * 9, "high": [0.7] * 9}
    hub.mark(NAME, "cpu_used_ratio", newest_s - 20)
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await opened_chart(watched)
        await watched.wait_for("(s) => document.querySelector(s).dataset.forecast === 'true'", CHART)
        assert await watched.page.get_attribute(CHART, "data-anomalies") == "1"
        assert (await colored(watched, "#d02038"), await colored(watched, "#8b2fd0")) == (True, True)
        await hub.tick(NAME, newest_s + 1, values(newest_s + 1), anomalies=("cpu_used_ratio",))
        await watched.wait_for("(s) => document.querySelector(s).dataset.anomalies === '2'", CHART)
        assert "2 anomalies" in await watched.page.inner_text(CHART)
        await watched.page.keyboard.press("f")
        await watched.wait_for("(s) => document.querySelector(s).dataset.forecast === 'false'", CHART)
        assert await colored(watched, "#8b2fd0") is False
        assert watched.complaints == []


async def colored(watched, color: str) -> bool:
    """Whether anything in the CPU chart has nearly that colour."""
    found: bool = await watched.page.evaluate(
        """([selector, color]) => {
          const canvas = document.querySelector(`${selector} canvas`);
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
          copy.drawImage(canvas, 0, 0);
          const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
          const parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
          for (let at = 0; at < pixels.length; at += 4) {
            if (pixels[at + 3] > 200 && parts.every((part, nth) => Math.abs(pixels[at + nth] - part) < 24)) return true;
          }
          return false;
        }""",
        [CHART, color],
    )
    return found


async def test_events_arrive_live_and_pass_filters(hub, open_page):
    now_s = with_history(hub)
    await hub.event(NAME, now_s - 5, "recovery.done", "sink:websocket", strategy="reset")
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        event = "[data-testid=event]"
        await watched.wait_for("(s) => document.querySelectorAll(s).length === 1", event)
        await hub.event(NAME, now_s, "collector.failed", "collector:cpu", "error", error="<b>OSError</b>")
        await hub.event("another", now_s, "collector.failed", "collector:cpu", "error")
        await watched.wait_for("(s) => document.querySelectorAll(s).length === 2", event)
        newest = await watched.page.locator(event).first.inner_text()
        assert "collector.failed" in newest
        assert "error=<b>OSError</b>" in newest
        await watched.page.locator("#host").get_by_label("Level").select_option("error")
        assert await watched.page.locator(event).count() == 1
        await watched.page.locator("#host").get_by_label("Level").select_option("")
        await watched.page.locator("#host").get_by_label("Kind", exact=True).select_option("recovery")
        assert "strategy=reset" in await watched.page.locator(event).inner_text()
        await watched.page.locator("#host").get_by_label("Search events").fill("no such thing")
        assert "None of 2 events passes" in await watched.page.inner_text("#host [data-testid=events]")


async def test_an_agent_that_sends_nothing_is_called_silent_until_it_speaks(hub, open_page):
    hub.add_agent(NAME, connected=False)
    now_s = time.time()
    hub.store(NAME, now_s - 90, values(now_s - 90))
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for(HAS_TEXT, ["[data-testid=silence]", "Agent silent for 1 min 3"])
        assert await watched.state_of("[data-testid=host-health]") == "offline"
        hub.agents[NAME]["connected"] = True
        await hub.tick(NAME, time.time(), values(now_s))
        await hub.tell_agents()
        await watched.wait_for("() => document.querySelector('[data-testid=silence]').hidden")
        await watched.wait_for(HAS_STATE, ["[data-testid=host-health]", "healthy"])


async def test_a_host_that_nobody_knows_is_said_to_be_unknown(hub, open_page):
    async with open_page(f"{hub.url}#/host/nobody") as watched:
        await watched.wait_for(HAS_TEXT, ["[data-testid=host-note]", "No host of this name"])
        assert watched.complaints == []
        hub.add_agent("nobody")
        hub.store("nobody", time.time(), values(1.0))
        await hub.tell_agents()
        await watched.wait_for("() => document.querySelectorAll('[data-testid=chart]').length > 2")


async def test_another_stretch_of_time_is_chosen_kept_in_the_address_and_filled_from_history(hub, open_page):
    with_history(hub, seconds=400)
    async with open_page(f"{hub.url}#/host/{NAME}?window=120") as watched:
        assert (await opened_chart(watched))[0] <= 121
        await watched.page.get_by_label("Time shown").select_option("900")
        await watched.wait_for("(s) => document.querySelector(s)?.dataset.points === '400'", CHART)
        assert watched.page.url.endswith(f"#/host/{NAME}?window=900")
        assert await watched.page.evaluate("document.activeElement.dataset.testid") == "window"
        await watched.page.locator("[data-testid=host-name]").focus()
        await watched.page.keyboard.press("]")
        await watched.wait_for("(end) => location.hash.endsWith(end)", "?window=3600")
        await watched.page.locator("[data-testid=host-name]").focus()
        await watched.page.keyboard.press("[")
        await watched.wait_for("(end) => location.hash.endsWith(end)", "?window=900")
        assert watched.complaints == []


async def test_a_large_group_shows_its_first_charts_and_the_rest_when_asked(hub, open_page):
    newest_s = with_history(hub)
    hub.store(NAME, newest_s, {f"tcp_thing_{at}": 1.0 for at in range(9)})
    charts = "[data-group=tcp] [data-testid=chart]"
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for("(s) => document.querySelectorAll(s).length === 6", charts)
        await watched.page.get_by_role("button", name="Show 3 more").click()
        assert await watched.page.locator(charts).count() == 9
        await watched.page.get_by_role("button", name="Show fewer").click()
        assert await watched.page.locator(charts).count() == 6
        await watched.page.get_by_label("Search series").fill("thing")
        assert await watched.page.locator("[data-testid=chart]").count() == 9
