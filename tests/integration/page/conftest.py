"""A real browser, and a hub that does as it is told: the hub's reading side, fed by hand from the tests."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from agent.dashboard import CONTENT_SECURITY_POLICY, asset

REPOSITORY = Path(__file__).parents[3]
AXE = REPOSITORY / "build/axe/node_modules/axe-core/axe.min.js"
CHROMIUM = Path(os.environ.get("REBELLION_CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class ScriptedHub:
    """Speaks the reading side of the hub's API; knows exactly what the test told it.

    Attributes:
        token: Read token that queries and sockets must bring; "" = none.
        can: Optional queries that it says it answers.
        forecasts: By series, what it answers to `forecast`.
        answers: While it is not set, the port takes connections and answers nobody, as a stopped process does.
    """

    def __init__(self) -> None:
        self.token = ""
        self.port = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.agents: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.can: list[str] = []
        self.forecasts: dict[str, dict[str, list[float]]] = {}
        self._kept: dict[tuple[str, str], dict[float, tuple[str, float, float | None]]] = {}
        self._anomalies: dict[tuple[str, str], list[float]] = {}
        self._kinds: dict[str, dict[str, dict[str, Any]]] = {}
        self._points: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
        self._pages: dict[ServerConnection, set[str]] = {}
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Listen: on any free port the first time, on the same one later."""
        self._server = await serve(
            self._live,
            "127.0.0.1",
            self.port,
            process_request=self._answer,
            subprotocols=[Subprotocol("rebellion.live.v1")],
            compression=None,
            close_timeout=1,
            ping_interval=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def add_agent(self, name: str, **facts: Any) -> None:
        """Make an agent known."""
        now_s = time.time()
        self.agents[name] = {
            "name": name,
            "labels": {},
            "version": "0.1.0",
            "epoch": "e1",
            "connected": True,
            "last_seen_s": now_s,
            "last_time_s": now_s,
            "series_count": 0,
            "points_total": 0,
            "batches_total": 0,
            "duplicates_total": 0,
            "gap_points_total": 0,
            "last_seq": 0,
            **facts,
        }

    def define(self, agent: str, series: str, unit: str = "", kind: str = "gauge") -> None:
        """Define a series by its text."""
        name, _, inside = series.partition("{")
        labels = dict(pair.replace('"', "").split("=", 1) for pair in inside.rstrip("}").split(",") if pair)
        described = {"series": series, "name": name, "labels": labels, "unit": unit, "kind": kind}
        self._kinds.setdefault(agent, {})[series] = described

    def store(self, agent: str, time_s: float, values: dict[str, float]) -> None:
        """Store points without telling anybody."""
        facts = self.agents[agent]
        facts["last_seen_s"] = facts["last_time_s"] = time_s
        facts["points_total"] += len(values)
        facts["batches_total"] += 1
        facts["last_seq"] += 1
        for series, value in values.items():
            if series not in self._kinds.setdefault(agent, {}):
                self.define(agent, series)
            times, stored = self._points.setdefault((agent, series), ([], []))
            times.append(time_s)
            stored.append(value)
        facts["series_count"] = len(self._kinds[agent])

    def mark(self, agent: str, series: str, time_s: float) -> None:
        """Call a stored point anomalous."""
        self._anomalies.setdefault((agent, series), []).append(time_s)

    def keep(self, agent: str, series: str, time_s: float, method: str, weight: float, bound: float | None) -> None:
        """Let a stored point stand for others."""
        self._kept.setdefault((agent, series), {})[time_s] = (method, weight, bound)

    async def tick(self, agent: str, time_s: float, values: dict[str, float], anomalies: tuple[str, ...] = ()) -> None:
        """Store points and pass them on to the pages that want them."""
        self.store(agent, time_s, values)
        for series in anomalies:
            self.mark(agent, series, time_s)
        tick = {"agent": agent, "time_s": time_s, "values": values, "anomalies": anomalies}
        await self._tell({"type": "tick", **tick}, agent)

    async def event(
        self, agent: str, time_s: float, kind: str, component: str, level: str = "info", **detail: Any
    ) -> None:
        """Store an event and pass it on."""
        event = {
            "time_s": time_s,
            "agent": agent,
            "kind": kind,
            "component": component,
            "level": level,
            "detail": detail,
        }
        self.events.append(event)
        await self._tell({"type": "event", **event}, None)

    async def tell_agents(self) -> None:
        """Pass the list of agents on."""
        await self._tell({"type": "agents", "agents": list(self.agents.values())}, None)

    async def _tell(self, message: dict[str, Any], agent: str | None) -> None:
        text = json.dumps(message)
        for page, wanted in list(self._pages.items()):
            if agent is None or agent in wanted:
                await page.send(text)

    async def _live(self, page: ServerConnection) -> None:
        self._pages[page] = set()
        try:
            await page.send(json.dumps({"type": "agents", "agents": list(self.agents.values())}))
            async for text in page:
                message = json.loads(text)
                change = self._pages[page].add if message["type"] == "subscribe" else self._pages[page].discard
                change(message["agent"])
        except ConnectionClosed:
            pass
        finally:
            del self._pages[page]

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        await self.answers.wait()
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if not parts.path.startswith("/api/"):
            found = asset(parts.path)
            return _response(200, *found) if found else _response(404, b"", "text/plain")
        if self.token and self.token not in (query.get("token"), request.headers.get("Authorization", "")[7:]):
            return _response(401, b"{}", "application/json")
        if parts.path == "/api/v1/live":
            return None
        answer = getattr(self, "_api_" + parts.path.rpartition("/")[2])(query)
        return _response(200, json.dumps(answer).encode(), "application/json")

    def _api_agents(self, query: dict[str, str]) -> Any:
        return {"agents": list(self.agents.values()), "can": self.can}

    def _api_forecast(self, query: dict[str, str]) -> Any:
        return self.forecasts.get(query["series"], {"times": [], "values": [], "low": [], "high": []})

    def _api_series(self, query: dict[str, str]) -> Any:
        return {"series": list(self._kinds.get(query["agent"], {}).values())}

    def _api_events(self, query: dict[str, str]) -> Any:
        from_s, to_s = _span(query)
        wanted = query.get("agent")
        return {"events": [e for e in self.events if wanted in (None, e["agent"]) and from_s <= e["time_s"] <= to_s]}

    def _api_query(self, query: dict[str, str]) -> Any:
        agent, name = query["agent"], query["name"]
        found = [series for series in self._kinds.get(agent, {}).values() if series["name"] == name]
        return {"agent": agent, "name": name, "results": [self._result(agent, series, query) for series in found]}

    def _result(self, agent: str, series: dict[str, Any], query: dict[str, str]) -> Any:
        from_s, to_s = _span(query)
        pairs = [
            (time_s, value)
            for time_s, value in zip(*self._points.get((agent, series["series"]), ([], [])), strict=True)
            if from_s <= time_s <= to_s
        ]
        times, values = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        anomalies = [time_s for time_s in self._anomalies.get((agent, series["series"]), []) if time_s in times]
        found: dict[str, Any] = {"times": times, "values": values, "anomalies": anomalies}
        if kept := self._kept.get((agent, series["series"])):
            methods, weights, bounds = zip(*(kept.get(time_s, ("", 1.0, 0.0)) for time_s in times), strict=True)
            found |= {"methods": sorted(set(methods) - {""}), "weights": weights, "bounds": bounds}
        return {"series": series["series"], "labels": series["labels"], **found}


def _span(query: dict[str, str]) -> tuple[float, float]:
    now_s = time.time()
    from_s, to_s = float(query.get("from", -300)), float(query.get("to", now_s))
    return (now_s + from_s if from_s < 0 else from_s), (now_s + to_s if to_s < 0 else to_s)


def _response(status: int, body: bytes, content_type: str) -> Response:
    headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    """A scripted hub that listens."""
    hub = ScriptedHub()
    await hub.start()
    yield hub
    await hub.stop()


class Watched:
    """A browser page, and what it said and asked for.

    Attributes:
        page: The page, as playwright gives it.
        complaints: Console errors and warnings, uncaught errors, and violations of the security policy.
        urls: Every address that was asked for.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.urls: list[str] = []
        page.on(
            "console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("websocket", lambda socket: self.urls.append(socket.url))

    async def wait_for(self, expression: str, argument: Any = None, within_s: float = 15.0) -> None:
        """Wait until a JavaScript function returns something true; fails when it does not in time."""
        await self.page.wait_for_function(expression, arg=argument, timeout=within_s * 1000)

    async def state_of(self, selector: str) -> str | None:
        """The element's data-state."""
        state: str | None = await self.page.get_attribute(selector, "data-state")
        return state


Opens = Callable[..., Any]


@pytest.fixture
def open_page(tmp_path: Path) -> Opens:
    """Open a page in a browser of its own, with a fresh profile: `async with open_page(url, width=..) as watched`."""
    _require_chromium()

    @asynccontextmanager
    async def opened(url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> AsyncIterator[Watched]:
        from playwright.async_api import async_playwright

        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        profile = tmp_path / f"profile-{time.monotonic_ns()}"
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=str(CHROMIUM),
                args=list(FLAGS),
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(home), "TZ": "UTC"},
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                timeout=30_000,
            )
            try:
                watched = Watched(context.pages[0])
                await watched.page.goto(url)
                yield watched
            finally:
                async with asyncio.timeout(20):
                    await context.close()

    return opened


def _require_chromium() -> None:
    _require("chromium", CHROMIUM, "on Debian: apt-get install chromium")


def _require(word: str, path: Path, hint: str) -> None:
    if path.exists():
        return
    reason = f"{path} is not there; {hint}"
    if word in os.environ.get("REBELLION_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"REBELLION_REQUIRE asks for {word}, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def axe() -> str:
    """The text of axe-core, which looks for barriers in a page."""
    _require("axe", AXE, "make axe")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture
def screenshots() -> Path:
    """Where pictures for people go."""
    folder = REPOSITORY / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
