"""Keeps the newest value of each series and shows them to whoever scrapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent.api import Batch, ConfigError, ConfigProblem, Kind, Record, Series, SinkContext, parse_listen

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from plugins.sinks.prometheus import Config

__all__ = ["PrometheusSink"]

_NS_PER_S = 1e9


class PrometheusSink:
    """`Sink` that is asked instead of sending: a group is delivered when its values can be read.

    Scrapes run on threads of the client library's own server.

    Raises:
        ConfigError: The client library is not installed, or the address cannot be listened on.
    """

    def __init__(self, config: Config, context: SinkContext) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError:
            hint = "install the extra: pip install 'rebellion-agent[prometheus]'"
            raise _problem(context.name, "the package prometheus_client is not installed", hint) from None
        self._context = context
        self._stale_s = config.stale_s
        self._newest: dict[Series, tuple[int, float]] = {}
        registry = CollectorRegistry()
        registry.register(self)
        host, port = parse_listen(config.listen)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            message = f"cannot listen on {config.listen}: {error.strerror}"
            raise _problem(context.name, message, "another host:port is needed") from None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    async def deliver(self, records: Sequence[Record], first_seq: int) -> None:
        del first_seq
        for record in records:
            if isinstance(record, Batch):
                self._take(record)

    async def close(self) -> None:
        """Stop listening; safe twice."""
        await self._context.run_blocking(self._stop)

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets: a family a name. Called by the client library."""
        from prometheus_client.core import Metric

        since_ns = self._context.clock.wall_ns() - int(self._stale_s * _NS_PER_S)
        families: dict[str, Metric] = {}
        for series, (time_ns, value) in dict(self._newest).items():
            if time_ns < since_ns:
                continue
            if series.name not in families:
                families[series.name] = Metric(_family_name(series), f"Unit: {series.unit or 'none'}.", _type(series))
            families[series.name].add_sample(series.name, dict(series.labels), value)
        yield from families.values()

    def _take(self, batch: Batch) -> None:
        """What waited on disk may come after what is newer, and must not replace it."""
        for series_id, value in zip(batch.ids.tolist(), batch.values.tolist(), strict=True):
            series = self._context.definition(series_id)
            if batch.time_ns >= self._newest.get(series, (0, 0.0))[0]:
                self._newest[series] = (batch.time_ns, value)
        oldest_ns = batch.time_ns - int(self._stale_s * _NS_PER_S)
        for series in [one for one, (time_ns, _) in self._newest.items() if time_ns < oldest_ns]:
            del self._newest[series]

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _type(series: Series) -> str:
    return "counter" if series.kind is Kind.COUNTER and series.name.endswith("_total") else "gauge"


def _family_name(series: Series) -> str:
    """The client library puts `_total` behind the name of a counter's family itself."""
    return series.name.removesuffix("_total") if _type(series) == "counter" else series.name


def _problem(name: str, message: str, hint: str) -> ConfigError:
    return ConfigError([ConfigProblem(f"sinks.{name}", "listen", message, hint)])
