"""WebSocket close codes of `rebellion.v1`; the table in docs/protocol.md says the same."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CloseCode"]


class CloseCode(IntEnum):
    """Why one end closes the connection."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL = 1002
    """A known message at the wrong time or in the wrong direction."""
    WRONG_FRAME = 1003
    """A text frame where binary was agreed, or the reverse."""
    NOT_DECODABLE = 1007
    """Neither JSON nor MessagePack, or not shaped as its type says."""
    TOO_BIG = 1009
    """A frame, also after inflating, above `max_frame_bytes`."""
    INTERNAL = 1011
    RESTARTING = 1012
    """The hub stops; come back."""
    TRY_LATER = 1013
    """The hub cannot serve this agent now; come back later."""
    UNKNOWN_MESSAGE = 4400
    TOKEN_REVOKED = 4401
    """The token that let this connection in is no longer in force."""
    WRONG_IDENTITY = 4403
    """`hello` names another agent than the token belongs to."""
    UNKNOWN_SERIES = 4404
    """A batch uses an id that was never defined on this connection."""
    HELLO_TIMEOUT = 4408
    """No `hello` within the hub's time limit."""
    IDENTITY_IN_USE = 4409
    """Another living agent has the same name."""
    REPLACED = 4410
    """The same agent opened a newer connection."""
    TOO_MANY_SERIES = 4413
    VERSION = 4426
    """No common protocol version."""
