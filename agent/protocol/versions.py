"""Which versions an end speaks, and which one two ends have in common. Within a subprotocol; see docs/protocol.md."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SPOKEN", "Versions"]


@dataclass(frozen=True, slots=True)
class Versions:
    """Every version from `oldest` to `newest`, both included."""

    oldest: int
    newest: int

    def __contains__(self, version: int) -> bool:
        return self.oldest <= version <= self.newest

    def __str__(self) -> str:
        return str(self.newest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"

    def common_with(self, other: Versions) -> int | None:
        """The newest version that both speak; None when there is none."""
        newest = min(self.newest, other.newest)
        return newest if newest >= max(self.oldest, other.oldest) else None


SPOKEN = Versions(1, 1)
"""What this program speaks, at either end."""
