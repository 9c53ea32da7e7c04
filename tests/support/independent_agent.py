"""An agent written from docs/protocol.md alone, with nothing of this project: websockets and json."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class IndependentAgent:
    """Delivers batches of one series over as many connections as it takes.

    Attributes:
        cut_after: After so many sent batches a connection is dropped without a word; one entry a connection.
        wait: Awaited with the seconds that the hub asked for.
    """

    def __init__(self, url: str, token: str, cut_after: list[int], wait: Callable[[float], Awaitable[None]]) -> None:
        self.url, self.headers, self.cut_after, self.wait = url, {"Authorization": f"Bearer {token}"}, cut_after, wait
        self.welcomes: list[dict[str, Any]] = []

    async def deliver(self, name: str, values: list[float]) -> None:
        """Return when the hub has said that all are stored."""
        acked = 0
        while acked < len(values):
            subprotocols: Any = ["rebellion.v1.json"]
            async with connect(
                self.url, subprotocols=subprotocols, additional_headers=self.headers, compression=None, proxy=None
            ) as hub:
                acked = await self._stream(hub, name, values, acked)

    async def _stream(self, hub: ClientConnection, name: str, values: list[float], acked: int) -> int:
        hello = {"type": "hello", "version": 1, "agent": name, "epoch": "run 1", "next_seq": acked + 1}
        await hub.send(json.dumps(hello))
        welcome = json.loads(await hub.recv())
        self.welcomes.append(welcome)
        sent = acked = welcome["last_seq"]
        definition = {"id": 9, "name": "test_value", "labels": {"n": "1"}, "unit": "bytes", "kind": "gauge"}
        await hub.send(json.dumps({"type": "series", "series": [definition]}))
        cut = self.cut_after.pop(0) if self.cut_after else len(values) + 1
        try:
            while acked < len(values):
                while sent < len(values) and sent - acked < welcome["window_batches"]:
                    time_ns = 1_700_000_000_000_000_000 + sent * 10**9
                    batch = {"type": "batch", "seq": sent + 1, "time_ns": time_ns, "ids": [9], "values": [values[sent]]}
                    await hub.send(json.dumps(batch))
                    sent, cut = sent + 1, cut - 1
                    if cut == 0:
                        hub.transport.abort()
                answer = json.loads(await hub.recv())
                await self.wait(answer.get("retry_after_s", 0.0))
                if answer["type"] == "bye":
                    return acked
                acked = answer["seq"] if answer["type"] == "ack" else answer["seq"] - 1
                sent = max(acked, sent) if answer["type"] == "ack" else acked
            await hub.send(json.dumps({"type": "bye", "reason": "done", "seq": sent}))
        except ConnectionClosed:
            pass
        return acked
