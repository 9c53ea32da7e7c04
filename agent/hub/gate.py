"""The hub's front door: every HTTP request and handshake is judged here before anything else sees it."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from agent.clock import Clock
from agent.contracts import Logger
from agent.dashboard.answers import json_answer, parse_target
from agent.dashboard.door import LIVE_PATH, handshake_problem, is_same_origin, peer_text, response
from agent.dashboard.live_pages import LIVE_SUBPROTOCOL
from agent.hub.access import Access
from agent.hub.counters import HubCounters
from agent.hub.greetings import Greetings
from agent.hub.http_api import HttpApi
from agent.hub.identity import Identity, certificate_names
from agent.protocol.codec import SUBPROTOCOLS, chosen_subprotocol

__all__ = ["INGEST_PATH", "Gate"]

INGEST_PATH = "/api/v1/ingest"
_RETRY_AFTER_S = 5

_SUBPROTOCOLS = {INGEST_PATH: tuple(SUBPROTOCOLS), LIVE_PATH: (LIVE_SUBPROTOCOL,)}


class Gate:
    """`process_request` of the server.

    Args:
        access: Who may do what.
        api: Answers what is no WebSocket handshake.
        greetings: While they are late, agents are put off.
        clock: Its wall clock is told in every answer, so that a page can read times by the hub's clock.
    """

    def __init__(
        self, access: Access, api: HttpApi, greetings: Greetings, counters: HubCounters, *, clock: Clock, log: Logger
    ) -> None:
        self.is_closing = False
        self._greetings = greetings
        self._is_putting_off = False
        self._clock = clock
        self._access = access
        self._api = api
        self._counters = counters
        self._log = log

    async def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets a handshake through; anything else is the answer."""
        if self.is_closing:
            return self._refuse(connection, 503, "the hub is stopping")
        try:
            headers = {name.lower(): request.headers[name] for name in request.headers}
        except MultipleValuesError:
            return self._refuse(connection, 400, "a header stands there twice")
        path, query = parse_target(request.path)
        if path == INGEST_PATH or (path == "/" and headers.get("upgrade", "").lower() == "websocket"):
            return self._judge_agent(connection, headers)
        if not self._api.is_public(path) and not self._may_read(connection, headers, path, query):
            return self._refuse(connection, 401, "a read token is needed")
        if path == LIVE_PATH:
            return self._judge_page(connection, headers)
        answer = await self._api.answer(path, query)
        self._counters.requests[answer.status] += 1
        return response(answer, self._clock.wall_ns())

    def choose_subprotocol(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The client's first choice among those of the door that it knocked at."""
        is_page = connection.request is not None and parse_target(connection.request.path)[0] == LIVE_PATH
        chosen = chosen_subprotocol(offered, _SUBPROTOCOLS[LIVE_PATH if is_page else INGEST_PATH])
        return None if chosen is None else Subprotocol(chosen)

    def identity(self, connection: ServerConnection) -> Identity:
        """What an agent's connection has shown of who it is."""
        return Identity(self._token_agent(connection.request), self._certificate_names(connection))

    def is_revoked(self, connection: ServerConnection) -> bool:
        """True for an agent's connection whose token is no longer in force."""
        request = connection.request
        return request is not None and parse_target(request.path)[0] != LIVE_PATH and self._token_agent(request) == ""

    def _token_agent(self, request: Request | None) -> str | None:
        if not self._access.asks_agents_for_tokens or request is None:
            return None
        return self._access.agent_of(request.headers.get("Authorization")) or ""

    def _certificate_names(self, connection: ServerConnection) -> frozenset[str] | None:
        if not self._access.asks_agents_for_certificates:
            return None
        return certificate_names(connection.transport.get_extra_info("peercert"))

    def _judge_agent(self, connection: ServerConnection, headers: dict[str, str]) -> Response | None:
        if "origin" in headers:
            return self._refuse(connection, 403, "agents are no web pages")
        if self._access.asks_agents_for_tokens and not self._access.agent_of(headers.get("authorization")):
            return self._refuse(connection, 401, "no agent's token")
        if self._certificate_names(connection) == frozenset():
            return self._refuse(connection, 403, "a client certificate is needed")
        return self._judge_subprotocol(connection, headers, INGEST_PATH) or self._judge_load()

    def _judge_load(self) -> Response | None:
        """Put an agent off while others wait too long; one line tells of the first, the counters of all."""
        are_late, was_putting_off = self._greetings.are_late, self._is_putting_off
        self._is_putting_off = are_late
        if not are_late:
            if was_putting_off:
                self._log.info("agents.let_in")
            return None
        if not was_putting_off:
            self._log.warning("agents.put_off", waiting=len(self._greetings), retry_after_s=_RETRY_AFTER_S)
        self._counters.requests[503] += 1
        self._counters.refused[503] += 1
        answer = response(json_answer({"error": "too many agents at once"}, 503), self._clock.wall_ns())
        answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return answer

    def _judge_page(self, connection: ServerConnection, headers: dict[str, str]) -> Response | None:
        if not is_same_origin(headers):
            return self._refuse(connection, 403, "a page of another site")
        return self._judge_subprotocol(connection, headers, LIVE_PATH)

    def _judge_subprotocol(self, connection: ServerConnection, headers: dict[str, str], path: str) -> Response | None:
        problem = handshake_problem(headers, _SUBPROTOCOLS[path])
        return self._refuse(connection, *problem) if problem is not None else None

    def _may_read(
        self, connection: ServerConnection, headers: dict[str, str], path: str, query: dict[str, str]
    ) -> bool:
        """Browsers cannot set a header on a WebSocket, so the live stream takes its token in the query too."""
        query_token = query.get("token", "") if path == LIVE_PATH else ""
        peer_host = str(connection.remote_address[0])
        return self._access.may_read(headers.get("authorization"), query_token, peer_host, headers.get("host", ""))

    def _refuse(self, connection: ServerConnection, status: int, reason: str) -> Response:
        self._counters.requests[status] += 1
        self._counters.refused[status] += 1
        self._log.warning("connection.refused", agent="", peer=peer_text(connection), code=status, reason=reason)
        return response(json_answer({"error": reason}, status), self._clock.wall_ns())
