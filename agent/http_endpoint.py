"""One HTTP address that a plugin talks to: token, TLS, time limit, and what an answer means for a delivery. Blocking."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from agent.addresses import check_http_url
from agent.errors import PermanentDelivery, RetryableDelivery

__all__ = ["HttpEndpoint"]

_NEVER_TAKEN = frozenset({400, 413, 415, 422})
"""Statuses that speak of the records sent. Others, a wrong token or path say, are for a person to mend: nothing is given up."""

_ANSWER_BYTES = 65_536
_SAID_LENGTH = 300


class HttpEndpoint:
    """An address, and how to talk to it.

    Args:
        url: See `check_http_url`.
        token_file: Holds the bearer token, read anew for each request; "" = none.
        ca_file: PEM of the authority that signed the other end's certificate; "" = the system's.
        timeout_s: Seconds that each step of an exchange may take, > 0.
    """

    def __init__(self, url: str, *, token_file: str = "", ca_file: str = "", timeout_s: float = 10.0) -> None:
        self.url = check_http_url(url)
        self._token_file = token_file
        self._ca_file = ca_file
        self._timeout_s = timeout_s

    def get(self, headers: Mapping[str, str], max_bytes: int) -> bytes:
        """What it answers to a GET.

        Raises:
            OSError: It did not answer, or with a status from 400 on.
            ValueError: The answer is longer than `max_bytes`.
        """
        with self._opened(Request(self.url, headers=self._with_token(headers))) as answer:  # noqa: S310 - scheme is checked
            body = answer.read(max_bytes + 1)
        if len(body) > max_bytes:
            raise ValueError(f"{self.url} answers more than {max_bytes} bytes")
        return body

    def deliver(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """POST the body, done when it was answered by a status below 300; what was answered, cut at 64 KiB.

        Raises:
            RetryableDelivery: It was not taken, and may be later; a `Retry-After` in seconds is passed on.
            PermanentDelivery: It says that it will never take this body.
        """
        try:
            request = Request(self.url, body, self._with_token(headers), method="POST")  # noqa: S310 - scheme is checked
            with self._opened(request) as answer:
                return answer.read(_ANSWER_BYTES)
        except HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except (OSError, HTTPException) as error:
            raise RetryableDelivery(f"{self.url}: {error}") from error

    def _opened(self, request: Request) -> IO[bytes]:
        answer: IO[bytes] = urlopen(request, timeout=self._timeout_s, context=self._tls)  # noqa: S310 - scheme is checked
        return answer

    def _with_token(self, headers: Mapping[str, str]) -> dict[str, str]:
        if not self._token_file:
            return dict(headers)
        token = Path(self._token_file).read_text(encoding="ascii").strip()
        return {**headers, "Authorization": f"Bearer {token}"}

    def _refusal(self, error: HTTPError) -> RetryableDelivery | PermanentDelivery:
        said = error.read(_ANSWER_BYTES).decode("utf-8", "replace").strip()[:_SAID_LENGTH]
        text = f"{self.url} answers {error.code} {error.reason}: {said!r}"
        if error.code in _NEVER_TAKEN:
            return PermanentDelivery(text)
        return RetryableDelivery(text, retry_after_s=_seconds(error.headers.get("Retry-After", "")))

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self._ca_file or None) if self.url.startswith("https:") else None


def _seconds(text: str) -> float | None:
    """Seconds of a `Retry-After`; None when there is none or it is a date."""
    return float(text) if text.isascii() and text.isdigit() else None
