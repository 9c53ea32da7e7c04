"""One GET a tick."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from agent.api import CollectError, CollectorContext, HttpEndpoint, Kind, Recorder
from agent.protocol.prometheus_text import TextSample, text_samples

if TYPE_CHECKING:
    from plugins.collectors.prometheus import Config

__all__ = ["Scrape"]

_ACCEPT = {"Accept": "text/plain;version=0.0.4"}


class Scrape:
    """Records what an address shows. Totals go as they are, under the names that they have there."""

    def __init__(self, config: Config, context: CollectorContext) -> None:
        self._config = config
        self._context = context
        self._endpoint = HttpEndpoint(
            config.url, token_file=config.token_file, ca_file=config.ca_file, timeout_s=config.timeout_s
        )

    def collect(self, out: Recorder, /) -> None:
        """Ask, read and record.

        Raises:
            CollectError: Nobody answered, or not with Prometheus text.
        """
        for sample in self._samples():
            kind = Kind.COUNTER if sample.is_total else Kind.GAUGE
            labels = {**self._config.labels, **sample.labels}
            out.add(self._context.series(sample.name, kind=kind, labels=labels), sample.value)

    def _samples(self) -> list[TextSample]:
        try:
            text = self._endpoint.get(_ACCEPT, self._config.max_bytes).decode("utf-8", "replace")
            samples = list(text_samples(text, with_buckets=self._config.with_buckets))
        except ImportError:
            raise CollectError(
                "prometheus_client is not installed: pip install 'rebellion-agent[prometheus]'"
            ) from None
        except (OSError, ValueError) as error:
            raise CollectError(f"{self._config.url}: {error}") from error
        return [sample for sample in samples if self._is_wanted(sample.name)]

    def _is_wanted(self, name: str) -> bool:
        names = self._config.names
        return not names or any(fnmatchcase(name, wanted) for wanted in names)
