"""A real agent's own page, while the hub that it ships to is killed and comes back."""

from __future__ import annotations

import json
import signal

from hub_support import HubProcess
from process_support import Process

CONFIG = """
[agent]
name = "web1"
state_dir = {state_dir}
default_collectors = false
interval_s = 0.5
[collectors.agent]
[collectors.load]
[sinks.websocket]
url = {url}
reconnect_s = 0.1
reconnect_max_s = 0.2
[sinks.websocket.breaker]
open_s = 0.5
max_open_s = 1.0
[status]
listen = "127.0.0.1:0"
"""

ROW = "[data-breaker='sink:websocket']"
CHART = "[data-testid=chart][data-name=load_1m]"
HAS_STATE = "([selector, state]) => document.querySelector(selector)?.dataset.state === state"
BARS = (
    f"() => [...document.querySelectorAll(\"{ROW} rect\")].map((bar) => bar.getAttribute('class').split('state-')[1])"
)


async def test_a_real_fault_is_seen_closed_open_half_open_and_closed_on_the_agents_own_page(tmp_path, open_page):
    with HubProcess(tmp_path / "hub") as hub:
        config = tmp_path / "agent.toml"
        config.write_text(CONFIG.format(state_dir=json.dumps(str(tmp_path / "agent")), url=json.dumps(hub.url)))
        with Process("agent", "--config", str(config)) as agent:
            url = agent.wait_for("status.listening")["address"]
            agent.wait_for("sink.acked_first")
            async with open_page(url) as watched:
                await watched.wait_for(HAS_STATE, [ROW, "CLOSED"])
                assert watched.page.url.endswith("#/host/web1")
                assert await watched.page.locator(".back").is_hidden()
                hub.send_signal(signal.SIGKILL)
                hub.wait()
                await watched.wait_for(HAS_STATE, [ROW, "OPEN"], within_s=30)
                with HubProcess(tmp_path / "hub", hub.port):
                    await watched.wait_for(HAS_STATE, [ROW, "CLOSED"], within_s=30)
                    bars = [bar for bar in await watched.page.evaluate(BARS) if bar != "UNKNOWN"]
                    await watched.page.locator(CHART).scroll_into_view_if_needed()
                    await watched.wait_for("(s) => Number(document.querySelector(s)?.dataset.points) > 3", CHART)
                    before = float(await watched.page.get_attribute(CHART, "data-last-time"))
                    await watched.wait_for(
                        "([s, t]) => Number(document.querySelector(s).dataset.lastTime) > t", [CHART, before]
                    )
                    assert agent.end() == 0
                print(f"timeline of the breaker: {' '.join(bars)}")
                assert (bars[0], bars[1], bars[-1]) == ("CLOSED", "OPEN", "CLOSED")
                assert "HALF_OPEN" in bars
                assert {address.split("/")[2] for address in watched.urls} == {url.split("/")[2]}
