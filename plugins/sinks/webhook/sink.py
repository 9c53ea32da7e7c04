"""Posts the events that somebody asked for."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from agent.api import Event, HttpEndpoint, Level, Record, SinkContext
from agent.protocol.plain import plain_object

if TYPE_CHECKING:
    from plugins.sinks.webhook import Config

__all__ = ["WebhookSink"]

_RANK = {level: rank for rank, level in enumerate(Level)}


class WebhookSink:
    """`Sink` for events: those of a group go in one POST, a JSON array. Batches and gaps are let pass."""

    def __init__(self, config: Config, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self._own = f"sink:{context.name}"
        self._min_rank = _RANK[Level(config.min_level)]
        self._endpoint = HttpEndpoint(
            config.url, token_file=config.token_file, ca_file=config.ca_file, timeout_s=config.timeout_s
        )

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        events = [record for record in records if isinstance(record, Event) and self._is_wanted(record)]
        if events:
            told = [plain_object(event, self._context.agent, self._context.definition) for event in events]
            headers = {"Content-Type": "application/json"}
            await self._context.run_blocking(self._endpoint.deliver, msgspec.json.encode(told), headers)

    async def close(self) -> None:
        """Nothing is held: each request has its own connection."""

    def _is_wanted(self, event: Event) -> bool:
        """Its own failures are left out: the address that failed would only hear of them once they are over."""
        kinds = self._config.kinds
        return (
            _RANK[event.level] >= self._min_rank
            and event.component != self._own
            and (not kinds or any(fnmatchcase(event.kind, kind) for kind in kinds))
        )
