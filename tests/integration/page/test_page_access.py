"""The page under axe-core, in light and dark, wide and narrow; and pictures of it for people to look at."""

from __future__ import annotations

import math
import time

import pytest

VIEWS = {
    "fleet": ("#/", "() => document.querySelectorAll('[data-testid=tile]').length === 24"),
    "host": ("#/host/web-01", "() => document.querySelector('[data-testid=breaker][data-state=CLOSED]') !== null"),
    "events": ("#/events", "() => document.querySelectorAll('#events [data-testid=event]').length > 5"),
}
AXE_RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.map(({ id, impact, nodes }) => [id, impact, nodes.map(({ target }) => target.join(' ')).slice(0, 4)]);
}"""


async def fill(hub) -> None:
    """A fleet of all healths, and a host that has lived through something."""
    now_s = int(time.time())
    for at in range(24):
        connected, silent_s = at % 7 != 3, 60 if at % 11 == 5 else 0
        labels = {"site": ("fra", "ams")[at % 2], "role": ("web", "db")[at % 3 == 0]}
        hub.add_agent(
            f"web-{at:02}", labels=labels, connected=connected, last_seen_s=now_s - silent_s, series_count=214
        )
        hub.agents[f"web-{at:02}"]["health_score"] = 100.0 - at * 3
    states = [0.0] * 60 + [2.0] * 12 + [1.0] * 3 + [0.0] * 75
    for at, state in enumerate(states):
        hub.store("web-01", now_s - 150 + at, values(at, state))
    hub.mark("web-01", "cpu_used_ratio", now_s - 60)
    changes = {60: "opened", 72: "half_opened", 75: "closed"}
    for at, word in changes.items():
        await hub.event("web-01", now_s - 150 + at, f"breaker.{word}", "sink:websocket", "warning", reason="3 failures")
    for at, kind in enumerate(("agent.started", "component.restarted", "sink.failed", "config.reloaded")):
        await hub.event("web-01", now_s - 140 + 20 * at, kind, "sink:websocket", "error" if at == 2 else "info")


def values(at: int, state: float) -> dict[str, float]:
    waits = max(0, at - 60) * 280.0 if state else 0.0
    return {
        "cpu_used_ratio": 0.4 + 0.3 * math.sin(at / 9),
        'disk_read_bytes{device="sda"}': 9000.0 + 4000 * math.sin(at / 5),
        'disk_read_bytes{device="sdb"}': 3000.0,
        'agent_breaker_state{target="sink:websocket"}': state,
        **{f'agent_breaker_state{{target="collector:c{nth}"}}': 0.0 for nth in range(6)},
        'agent_buffer_fill_ratio{sink="websocket"}': waits / 5000,
        'agent_buffer_points{sink="websocket"}': waits,
        'agent_spool_fill_ratio{sink="websocket"}': waits / 9000,
        'agent_spooled_points{sink="websocket"}': waits / 2,
        'agent_dropped_points_total{reason="sampled",sink="websocket"}': 40.0 * max(0, min(at, 75) - 60),
        "agent_sampling_ratio": 0.5 if state else 1.0,
        "agent_retry_ratio": 0.7 if state else 1.0,
        'agent_pressure_input_ratio{input="buffer"}': waits / 5000,
        'agent_pressure_input_ratio{input="own_cpu"}': 0.06,
    }


@pytest.mark.parametrize(
    ("look", "width", "height", "dark"),
    [
        ("wide-light", 1280, 900, False),
        ("wide-dark", 1280, 900, True),
        ("phone-light", 390, 844, False),
        ("phone-dark", 390, 844, True),
    ],
)
async def test_nothing_stands_in_anybodys_way(hub, open_page, axe, screenshots, look, width, height, dark):
    await fill(hub)
    async with open_page(hub.url, width=width, height=height, dark=dark) as watched:
        serious = {}
        await watched.page.evaluate(axe)
        for view, (route, is_there) in VIEWS.items():
            await watched.page.evaluate("(route) => { location.hash = route; }", route)
            await watched.wait_for(is_there)
            await watched.page.screenshot(path=screenshots / f"{view}-{look}.png")
            found = await watched.page.evaluate(AXE_RUN)
            serious[view] = [one for one in found if one[1] in ("serious", "critical")]
            assert await watched.page.evaluate("document.documentElement.scrollWidth") == width
        await watched.page.keyboard.press("?")
        await watched.page.screenshot(path=screenshots / f"keys-{look}.png")
        serious["keys"] = [one for one in await watched.page.evaluate(AXE_RUN) if one[1] in ("serious", "critical")]
        assert serious == {"fleet": [], "host": [], "events": [], "keys": []}
        assert watched.complaints == []


async def test_colours_are_the_systems_until_somebody_chooses_and_are_remembered(hub, open_page):
    look = """async () => {
        const frame = () => new Promise((done) => requestAnimationFrame(done));
        await frame();
        await frame();
        return [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor,
            document.getElementById("theme").getAttribute("aria-label")];
    }"""
    async with open_page(hub.url, dark=True) as watched:
        page = watched.page
        dark = ["dark", "rgb(11, 16, 24)"]
        light = ["light", "rgb(243, 245, 249)"]
        assert await page.evaluate(look) == [*dark, "Colours: as the system has them"]
        await page.emulate_media(color_scheme="light")
        assert await page.evaluate(look) == [*light, "Colours: as the system has them"]
        await page.keyboard.press("t")
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate(look) == [*light, "Colours: light"]
        await page.focus("#theme")
        await page.keyboard.press("Enter")
        await page.emulate_media(color_scheme="light")
        assert await page.evaluate(look) == [*dark, "Colours: dark"]
        await page.reload()
        assert await page.evaluate(look) == [*dark, "Colours: dark"]
        assert watched.complaints == []


async def test_everything_is_reached_and_left_by_keyboard_alone(hub, open_page):
    await fill(hub)
    focused = """() => {
        const { dataset, id, className } = document.activeElement;
        return dataset.agent ?? (id || className);
    }"""
    async with open_page(hub.url) as watched:
        page = watched.page
        await watched.wait_for(VIEWS["fleet"][1])
        reached = set()
        for _ in range(60):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate(focused))
        assert {"skip", "theme", "keys", "web-01"} <= reached
        await page.focus("[data-agent=web-01]")
        await page.keyboard.press("Enter")
        await watched.wait_for(VIEWS["host"][1])
        await page.keyboard.press("e")
        await watched.wait_for(VIEWS["events"][1])
        await page.keyboard.press("?")
        await watched.wait_for("() => document.querySelector('dialog').open")
        await page.keyboard.press("Escape")
        await watched.wait_for("() => !document.querySelector('dialog').open")
        await page.keyboard.press("h")
        await watched.wait_for("() => !document.getElementById('fleet').hidden")
