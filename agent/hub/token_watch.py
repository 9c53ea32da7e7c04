"""Takes changes of the agents' tokens over while the hub runs, and sends away whose token was revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from websockets.asyncio.server import ServerConnection

from agent.contracts import Logger
from agent.errors import ConfigError
from agent.hub.access import Access
from agent.hub.gate import Gate
from agent.protocol.close_codes import CloseCode

__all__ = ["TokenWatch"]

LOOK_EVERY_S = 1.0


class TokenWatch:
    """Looks at the file of tokens once a second.

    Args:
        gate: Knows which connection came in with which token.
        connections: Those that are open now.
    """

    def __init__(
        self, access: Access, gate: Gate, connections: Callable[[], Iterable[ServerConnection]], log: Logger
    ) -> None:
        self._access = access
        self._gate = gate
        self._connections = connections
        self._log = log

    async def run(self) -> None:
        """Watch for ever."""
        self._warn_of_clear_text()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._has_changed():
                await self._send_away()

    def _has_changed(self) -> bool:
        try:
            has_changed = self._access.refresh()
        except ConfigError as error:
            self._log.error("tokens.refused", problem=str(error))
            return False
        if has_changed:
            self._log.info("tokens.changed", count=self._access.token_count)
            self._warn_of_clear_text()
        return has_changed

    def _warn_of_clear_text(self) -> None:
        if agents := self._access.agents_in_clear:
            hint = "any `rebellion hub token` command that changes the file hashes what stands in it"
            self._log.warning("tokens.in_clear", agents=", ".join(agents), hint=hint)

    async def _send_away(self) -> None:
        async with asyncio.TaskGroup() as closing:
            for connection in self._connections():
                if self._gate.is_revoked(connection):
                    goodbye = connection.close(CloseCode.TOKEN_REVOKED, "the token was revoked")
                    closing.create_task(goodbye, name="hub:revoke")
