"""How a conformance suite says what was wrong."""

from __future__ import annotations

__all__ = ["require"]


def require(holds: bool, message: str) -> None:
    """Go on when it holds.

    Raises:
        AssertionError: It does not; with the message.
    """
    if not holds:
        raise AssertionError(message)
