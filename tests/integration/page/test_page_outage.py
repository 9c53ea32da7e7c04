"""The hub goes and comes back, or wants a token; the page says so and goes on by itself."""

import time

NAME = "web-1"
CHART = "[data-testid=chart][data-name=load_1m]"
CHIP = "[data-testid=connection]"
IS_LIVE = "() => document.querySelector('[data-testid=connection]').dataset.state === 'live'"
BANNER_SAYS = """(text) => {
  const banner = document.querySelector('[data-testid=banner]');
  return !banner.hidden && banner.textContent.includes(text);
}"""
LAST_TIME_IS = "([selector, time_s]) => Number(document.querySelector(selector)?.dataset.lastTime) === time_s"


async def test_a_hub_that_dies_is_told_counted_down_and_found_again_with_what_was_missed(hub, open_page):
    hub.add_agent(NAME)
    newest_s = int(time.time()) - 5
    hub.store(NAME, newest_s, {"load_1m": 1.0})
    async with open_page(f"{hub.url}#/host/{NAME}") as watched:
        await watched.wait_for(IS_LIVE)
        await hub.tick(NAME, newest_s + 1, {"load_1m": 1.5})
        await watched.wait_for(LAST_TIME_IS, [CHART, newest_s + 1])
        await hub.stop()
        await watched.wait_for(BANNER_SAYS, "Hub unreachable, reconnecting in")
        assert await watched.state_of(CHIP) in {"waiting", "connecting"}
        await watched.wait_for(BANNER_SAYS, "Gone for 6 s")
        assert await watched.page.is_hidden("[data-testid=silence]")
        hub.store(NAME, newest_s + 2, {"load_1m": 2.0})
        await hub.start()
        await watched.wait_for(IS_LIVE)
        await watched.wait_for(LAST_TIME_IS, [CHART, newest_s + 2])
        await hub.tick(NAME, newest_s + 3, {"load_1m": 2.5})
        await watched.wait_for(LAST_TIME_IS, [CHART, newest_s + 3])
        assert await watched.page.is_hidden("[data-testid=banner]")
        assert all("ERR_CONNECTION" in text or "WebSocket" in text for text in watched.complaints)


async def test_a_hub_that_hangs_without_closing_anything_is_noticed(hub, open_page):
    hub.add_agent(NAME)
    async with open_page(hub.url) as watched:
        await watched.wait_for(IS_LIVE)
        hub.answers.clear()
        await watched.wait_for(BANNER_SAYS, "Hub unreachable", within_s=25)
        hub.answers.set()
        await watched.wait_for(IS_LIVE, within_s=25)


async def test_without_the_read_token_the_page_says_what_to_do_and_with_it_all_is_live(hub, open_page):
    hub.token = "s3cret&="
    hub.add_agent(NAME)
    async with open_page(hub.url) as watched:
        await watched.wait_for(BANNER_SAYS, "?token=")
        assert await watched.state_of(CHIP) in {"refused", "connecting"}
        assert await watched.page.locator("[data-testid=tile]").count() == 0
    async with open_page(f"{hub.url}?token=s3cret%26%3D#/host/{NAME}") as watched:
        await watched.wait_for(IS_LIVE)
        await hub.tick(NAME, time.time(), {"load_1m": 2.5})
        await watched.wait_for("(s) => document.querySelector(s) !== null", CHART)
        assert watched.complaints == []
