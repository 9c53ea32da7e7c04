"""What a user may write in `agent.toml` and `hub.toml`, with every default. Plugins bring the rest of their own sections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

__all__ = [
    "AgentConfig",
    "AgentSection",
    "BreakerSection",
    "BufferSection",
    "CollectorSection",
    "ForecastSection",
    "HubConfig",
    "HubSection",
    "LogSection",
    "PolicySection",
    "SinkBreakerSection",
    "SinkSection",
    "SpoolSection",
    "StatusSection",
    "TransformerSection",
]

PositiveSeconds = Annotated[float, Meta(gt=0)]
Seconds = Annotated[float, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
PositiveCount = Annotated[int, Meta(ge=1)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; unknown keys are refused."""


class AgentSection(Section, frozen=True):
    """`[agent]`: who this agent is and how it ticks."""

    name: str = ""  # "" = the host name
    interval_s: PositiveSeconds = 1.0
    labels: dict[str, str] = field(default_factory=dict)
    state_dir: str = ""  # "" = $STATE_DIRECTORY, else $XDG_STATE_HOME/rebellion
    plugins: tuple[str, ...] = ()  # entry points of the group rebellion.plugins that may be loaded
    plugins_dir: str = ""  # folder of single-file plugins; "" = none
    default_collectors: bool = True  # False = only the collectors that stand in this file
    drain_s: Seconds = 5.0  # how long the agent goes on delivering after SIGTERM
    series_idle_s: PositiveSeconds = 600.0  # a series unseen for this long is forgotten


class LogSection(Section, frozen=True):
    """`[log]`"""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json", "journal"] = "auto"


class StatusSection(Section, frozen=True):
    """`[status]`: the agent's own port, for people and programs on this host."""

    listen: str = "127.0.0.1:8764"  # host:port on loopback; port 0 = any free one; "" = off
    history_s: PositiveSeconds = 300.0  # what its page can look back on
    history_bytes: Annotated[int, Meta(ge=65_536)] = 1_048_576


class TransformerSection(Section, frozen=True):
    """`[transformer]`: what is computed over each series."""

    enabled: bool = True
    history_count: Annotated[int, Meta(ge=2, le=100_000)] = 120
    detector: str = "rebellion"  # which detector says that a point is anomalous; "" = anomaly_threshold alone
    anomaly_threshold: Annotated[float, Meta(gt=0)] = (
        3.0  # robust z from which a point is anomalous, without a detector
    )


class ForecastSection(Section, frozen=True):
    """`[forecast]`: telling what will run out."""

    enabled: bool = True
    horizon_s: PositiveSeconds = 14_400.0  # a failure is told when it is expected within this time


class BreakerSection(Section, frozen=True):
    """`breaker` table of a collector or sink."""

    consecutive_failures: Annotated[int, Meta(ge=0)] = 3  # failures in a row at which it opens; 0 = not watched
    failure_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5
    min_calls: PositiveCount = 3
    window_calls: PositiveCount = 10
    open_s: PositiveSeconds = 1.0
    backoff_factor: Annotated[float, Meta(ge=1)] = 2.0
    max_open_s: PositiveSeconds = 60.0
    jitter_ratio: Ratio = 0.2
    probes: PositiveCount = 1


class SinkBreakerSection(BreakerSection, frozen=True):
    """`breaker` table of a sink: it is asked again sooner, since points wait for it."""

    max_open_s: PositiveSeconds = 15.0


class BufferSection(Section, frozen=True):
    """`buffer` table of a sink."""

    max_points: PositiveCount = 500_000
    max_bytes: PositiveCount = 16_777_216
    max_age_s: PositiveSeconds = 3600.0
    sampler: str = "hybrid"
    sample_from_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.8  # fill at which the sampler starts


class SpoolSection(Section, frozen=True):
    """`spool` table of a sink."""

    enabled: bool = True  # False = what waits stays in memory
    max_bytes: Annotated[int, Meta(ge=65_536)] = 268_435_456
    max_age_s: PositiveSeconds = 604_800.0
    fsync: Literal["interval", "batch"] = (
        "interval"  # interval: what waited for commit_s; batch: each before it is sent
    )
    commit_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    drain_ratio: Annotated[float, Meta(ge=0, le=10_000)] = 20.0  # points of a backlog for each live one; 0 = unpaced
    live_first: bool = True  # False = nothing live goes before the backlog is gone: for ends that refuse what is older


class CollectorSection(Section, frozen=True):
    """Keys that every `[collectors.NAME]` has beside the plugin's own."""

    enabled: bool = True
    interval_s: Seconds = 0.0  # 0 = agent.interval_s
    deadline_s: Seconds = 0.0  # 0 = the interval, at most 5 s
    max_series: PositiveCount = 2000
    lane: Literal["critical", "normal", "bulk"] = "normal"  # what stays when not everything can
    breaker: BreakerSection = field(default_factory=BreakerSection)


class SinkSection(Section, frozen=True):
    """Keys that every `[sinks.NAME]` has beside the plugin's own."""

    enabled: bool = True
    deadline_s: PositiveSeconds = 15.0  # one delivery of a group
    max_group_count: PositiveCount = 64  # records a delivery at most
    breaker: SinkBreakerSection = field(default_factory=SinkBreakerSection)
    buffer: BufferSection = field(default_factory=BufferSection)
    spool: SpoolSection = field(default_factory=SpoolSection)


class PolicySection(Section, frozen=True):
    """`[[policies]]`: which recovery strategy answers which error. The most specific match wins."""

    component: str = "*"  # `collector:cpu`, `sink:*`
    error: str = "*"  # name of an exception class, or of one of its bases
    strategy: str = "retry"
    operation: str = "*"


Tables = dict[str, Any]


class AgentConfig(Section, frozen=True):
    """The whole of `agent.toml`. Plugin sections stay tables here; the plugin's own struct parses them."""

    agent: AgentSection = field(default_factory=AgentSection)
    log: LogSection = field(default_factory=LogSection)
    status: StatusSection = field(default_factory=StatusSection)
    transformer: TransformerSection = field(default_factory=TransformerSection)
    forecast: ForecastSection = field(default_factory=ForecastSection)
    collectors: Tables = field(default_factory=dict)
    sinks: Tables = field(default_factory=dict)
    sampling: Tables = field(default_factory=dict)
    recovery: Tables = field(default_factory=dict)
    detectors: Tables = field(default_factory=dict)
    policies: tuple[PolicySection, ...] = ()


class HubSection(Section, frozen=True):
    """`[hub]`"""

    listen: str = "127.0.0.1:8765"  # host:port; port 0 = any free one
    state_dir: str = ""  # "" = $STATE_DIRECTORY, else $XDG_STATE_HOME/rebellion
    agent_tokens_file: str = ""  # hashes of tokens; "" = agents need no token (loopback only)
    read_token_file: str = ""  # token for page and queries; "" = readable without one on loopback only
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""  # PEM of the authority of agents' certificates; "" = agents need none
    insecure: bool = False  # True allows listening in clear on another address than loopback
    retention_s: PositiveSeconds = 604_800.0  # how long points are kept
    rollup_retention_s: PositiveSeconds = 7_776_000.0  # and their roll-ups over a minute and an hour
    retention_bytes: Annotated[int, Meta(ge=0)] = 0  # of all these files together; 0 = bounded by age alone
    max_frame_bytes: Annotated[int, Meta(ge=1024)] = 1_048_576
    max_agents: PositiveCount = 2000
    max_series_per_agent: PositiveCount = 20_000  # different ones within a day
    max_points_hz: Annotated[float, Meta(ge=0)] = (
        100_000.0  # from each agent; who sends more is read more slowly; 0 = any
    )
    window_count: PositiveCount = 64  # unacknowledged batches an agent may have in flight
    window_bytes: PositiveCount = 1_048_576


class HubConfig(Section, frozen=True):
    """The whole of `hub.toml`."""

    hub: HubSection = field(default_factory=HubSection)
    log: LogSection = field(default_factory=LogSection)


def defaults(section: type[Struct]) -> dict[str, Any]:
    """Every key of a section with its default, as plain TOML values."""
    made = msgspec.json.decode(msgspec.json.encode(section()))
    if not isinstance(made, dict):
        raise TypeError(f"{section.__name__} is not a table")
    return made
