"""Which agent a connection may say it is: by its token, by its client certificate, by both, or by neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Identity", "certificate_names"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a connection has shown.

    Attributes:
        token_agent: The agent that its token belongs to; "" when it is nobody's, None when no tokens are asked for.
        certificate_names: The names in its certificate; empty when it showed none, None when no certificates are asked for.
    """

    token_agent: str | None = None
    certificate_names: frozenset[str] | None = None

    def problem_with(self, agent: str) -> str | None:
        """Why it is not that agent; None when it may be."""
        if self.token_agent is not None and self.token_agent != agent:
            return f"the token belongs to {self.token_agent!r}, not to {agent!r}"
        if self.certificate_names is not None and agent not in self.certificate_names:
            return f"the certificate names {', '.join(sorted(map(repr, self.certificate_names)))}, not {agent!r}"
        return None


def certificate_names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Common name and DNS names of a verified certificate, as `ssl` gives it; empty when there is none."""
    subject: Iterable[Iterable[tuple[str, str]]] = (certificate or {}).get("subject", ())
    alternatives: Iterable[tuple[str, str]] = (certificate or {}).get("subjectAltName", ())
    common = {value for part in subject for key, value in part if key == "commonName"}
    return frozenset(common | {value for kind, value in alternatives if kind == "DNS"})
