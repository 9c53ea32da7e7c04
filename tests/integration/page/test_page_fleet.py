"""The fleet in a real browser: a thousand hosts, sorted, searched, walked by keyboard."""

import statistics
import time

TILES = "[data-testid=tile]"
SHOWN_IS = "(count) => document.querySelector('[data-testid=tiles]').dataset.shown === String(count)"

TYPE_AND_DRAW = """async (text) => {
  const search = document.querySelector('[data-testid=search]');
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  await frame();
  const from = performance.now();
  search.value = text;
  search.dispatchEvent(new Event('input', { bubbles: true }));
  document.body.getBoundingClientRect();
  const script_ms = performance.now() - from;
  await frame();
  return [script_ms, performance.now() - from, document.querySelectorAll('[data-testid=tile]').length];
}"""


def add_hosts(hub, count: int) -> None:
    now_s = time.time()
    for at in range(count):
        role = ("web", "db", "cache")[at % 3]
        hub.add_agent(
            f"{role}-{at:04d}",
            labels={"site": ("fra", "ams")[at % 2], "role": role},
            series_count=200 + at % 7,
            connected=at % 100 != 0,
            last_seen_s=now_s - (3600 if at % 100 == 0 else 0),
        )


async def names(watched) -> list[str]:
    found: list[str] = await watched.page.eval_on_selector_all(TILES, "all => all.map(e => e.dataset.agent)")
    return found


async def test_a_thousand_hosts_are_searched_and_scrolled_without_stutter(hub, open_page):
    add_hosts(hub, 1000)
    async with open_page(hub.url) as watched:
        await watched.wait_for(SHOWN_IS, 1000)
        steps = ["w", "we", "web", "web ams", "web ams 99", "", "role=db", "no such host", ""]
        found = {step: await watched.page.evaluate(TYPE_AND_DRAW, step) for step in steps}
        for step, (script_ms, drawn_ms, count) in found.items():
            print(
                f"search {step!r}: {count} tiles, script and layout {script_ms:.1f} ms, drawn after {drawn_ms:.1f} ms"
            )
        assert found["web"][2] == 334
        assert found["no such host"][2] == 0
        assert found[""][2] == 1000
        scroll_ms = await watched.page.evaluate(
            """async () => {
              const frame = () => new Promise((done) => requestAnimationFrame(done));
              let worst = 0;
              for (let y = 0; y < document.body.scrollHeight; y += 2000) {
                const from = performance.now();
                scrollTo({ top: y, behavior: 'instant' });
                await frame();
                worst = Math.max(worst, performance.now() - from);
              }
              return worst;
            }"""
        )
        print(f"slowest scroll step: {scroll_ms:.1f} ms")
        usual_ms = statistics.median(script_ms for script_ms, _, _ in found.values())
        assert max(usual_ms, scroll_ms / 4) < 100, (
            "the page is to stay under 100 ms a step; this leaves a busy machine room"
        )
        assert watched.complaints == []
        assert {url.split("/")[2] for url in watched.urls} == {f"127.0.0.1:{hub.port}"}


async def test_the_worst_come_first_and_other_orders_can_be_chosen(hub, open_page):
    add_hosts(hub, 150)
    hub.agents["web-0003"]["last_seen_s"] -= 60
    await hub.event("db-0001", time.time(), "breaker.opened", "collector:cpu", "warning")
    async with open_page(hub.url) as watched:
        await watched.wait_for("() => document.querySelector('[data-agent=db-0001]')?.dataset.state === 'degraded'")
        assert (await names(watched))[:5] == ["db-0100", "web-0000", "web-0003", "db-0001", "cache-0002"]
        states = [await watched.state_of(f"[data-agent={name}]") for name in (await names(watched))[:5]]
        assert states == ["offline", "offline", "silent", "degraded", "healthy"]
        await watched.page.get_by_test_id("order").select_option("name")
        assert (await names(watched))[:2] == ["cache-0002", "cache-0005"]
        await watched.page.get_by_role("button", name="Offline 2").click()
        assert await names(watched) == ["db-0100", "web-0000"]
        await hub.event("db-0001", time.time(), "breaker.closed", "collector:cpu")
        await watched.page.get_by_role("button", name="All 150").click()
        await watched.wait_for("() => document.querySelector('[data-agent=db-0001]').dataset.state === 'healthy'")


async def test_a_hosts_own_score_is_shown_and_sorts_it_and_a_bad_one_degrades(hub, open_page):
    add_hosts(hub, 7)
    for name, score in (("web-0003", 71.6), ("db-0001", 42.0), ("cache-0002", 93.0)):
        hub.agents[name]["health_score"] = score
    async with open_page(hub.url) as watched:
        await watched.wait_for(SHOWN_IS, 7)
        assert (await names(watched))[:4] == ["web-0000", "db-0001", "web-0003", "cache-0002"]
        states = [await watched.state_of(f"[data-agent={name}]") for name in ("db-0001", "web-0003", "cache-0002")]
        assert states == ["degraded", "degraded", "healthy"]
        assert "72" in (await watched.page.inner_text("[data-agent=web-0003]")).split()


async def test_events_of_all_hosts_have_a_page_with_filters_by_host_and_component(hub, open_page):
    now_s = time.time()
    for at, name in enumerate(("web-1", "db-1", "db-1")):
        hub.add_agent(name)
        await hub.event(name, now_s - 9 - at, "breaker.opened", f"collector:c{at}", "warning")
    event = "#events [data-testid=event]"
    async with open_page(hub.url) as watched:
        await watched.wait_for(SHOWN_IS, 2)
        await watched.page.keyboard.press("?")
        assert "events of all hosts" in await watched.page.inner_text("dialog")
        await watched.page.keyboard.press("Escape")
        await watched.page.keyboard.press("e")
        await watched.wait_for("(s) => document.querySelectorAll(s).length === 3", event)
        await hub.event("web-1", now_s, "sink.failed", "sink:hub", "error")
        await watched.wait_for("(s) => document.querySelectorAll(s).length === 4", event)
        times = await watched.page.eval_on_selector_all(f"{event} time", "all => all.map(e => e.dateTime)")
        assert times == sorted(times, reverse=True)
        filters = watched.page.locator("#events")
        await filters.get_by_label("Host").select_option("db-1")
        assert await watched.page.locator(event).count() == 2
        await filters.get_by_label("Component").select_option("collector:c2")
        assert await watched.page.locator(event).count() == 1
        await watched.page.keyboard.press("Escape")
        await watched.page.locator("#events h1").focus()
        await watched.page.keyboard.press("h")
        await watched.wait_for("() => !document.getElementById('fleet').hidden")
        assert watched.complaints == []


async def test_the_fleet_is_walked_by_keyboard_alone(hub, open_page):
    add_hosts(hub, 40)
    async with open_page(hub.url) as watched:
        await watched.wait_for(SHOWN_IS, 40)
        await watched.page.keyboard.press("/")
        await watched.page.keyboard.type("web")
        await watched.wait_for(SHOWN_IS, 14)
        await watched.page.keyboard.press("Tab")
        await watched.page.keyboard.press("Tab")
        order = await names(watched)
        focused = "() => document.activeElement.dataset.agent"
        assert await watched.page.evaluate(focused) == order[0]
        await watched.page.keyboard.press("ArrowRight")
        assert await watched.page.evaluate(focused) == order[1]
        await watched.page.keyboard.press("End")
        assert await watched.page.evaluate(focused) == order[-1]
        await watched.page.keyboard.press("Enter")
        await watched.wait_for(
            "(name) => document.querySelector('[data-testid=host-name]')?.textContent === name", order[-1]
        )
        await watched.page.go_back()
        await watched.wait_for(SHOWN_IS, 14)
        assert watched.complaints == []


async def test_hosts_that_come_and_go_change_the_tiles(hub, open_page):
    async with open_page(hub.url) as watched:
        await watched.wait_for("() => document.body.textContent.includes('No agent has reported')")
        add_hosts(hub, 3)
        await hub.tell_agents()
        await watched.wait_for(SHOWN_IS, 3)
        hub.agents["db-0001"]["connected"] = False
        await hub.tell_agents()
        await watched.wait_for("() => document.querySelector('[data-agent=db-0001]').dataset.state === 'offline'")
        assert (await names(watched))[:1] == ["db-0001"]


async def test_a_phone_needs_no_sideways_scrolling(hub, open_page):
    add_hosts(hub, 5)
    hub.store(
        "web-0003",
        time.time(),
        {'agent_breaker_state{target="collector:a_rather_long_collector_name"}': 2.0, "load_1m": 1.0},
    )
    async with open_page(hub.url, width=360, height=740, dark=True) as watched:
        await watched.wait_for(SHOWN_IS, 5)
        widths = [await watched.page.evaluate("document.documentElement.scrollWidth")]
        await watched.page.click("[data-agent=web-0003]")
        await watched.wait_for("() => document.querySelector('[data-testid=breaker]')?.dataset.state === 'OPEN'")
        widths.append(await watched.page.evaluate("document.documentElement.scrollWidth"))
        assert widths == [360, 360]
