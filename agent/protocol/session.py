"""What both ends of one `rebellion.v1` connection share. The ends are `agent_session` and `hub_session`."""

from __future__ import annotations

from enum import Enum

from agent.errors import ProtocolError
from agent.protocol.close_codes import CloseCode
from agent.protocol.messages import Message

__all__ = ["SessionState", "must", "out_of_place"]


class SessionState(Enum):
    """Life of a connection, in order."""

    NEW = "new"
    GREETING = "greeting"
    """`hello` was said, `welcome` not yet."""
    STREAMING = "streaming"
    CLOSED = "closed"
    """`bye` was said by either end, or the other end broke the protocol."""


def out_of_place(message: Message, state: SessionState) -> ProtocolError:
    """The error for a known message at the wrong time or in the wrong direction."""
    name = str(type(message).__struct_config__.tag)
    return ProtocolError(f"{name} while {state.value}", CloseCode.PROTOCOL)


def must(condition: bool, mistake: str) -> None:
    """Guard against mistakes of our own end; never depends on what the other end sent."""
    if not condition:
        raise ValueError(mistake)
