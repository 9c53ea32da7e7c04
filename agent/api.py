"""The public door for plugin authors: everything a plugin may import from the agent stands here."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent.addresses import check_http_url, parse_listen
from agent.clock import Clock
from agent.contracts import (
    Block,
    Collector,
    CollectorContext,
    Detector,
    ErrorSeverity,
    ExplainingDetector,
    Kept,
    Logger,
    PluginContext,
    Reading,
    Recorder,
    RecoveryMethod,
    RecoveryOutcome,
    RecoveryRequest,
    RecoveryStep,
    Register,
    Sampler,
    SeriesFamily,
    Sink,
    SinkContext,
)
from agent.errors import (
    BreakerOpen,
    CollectError,
    ConfigError,
    ConfigProblem,
    ContractError,
    DeliveryError,
    PermanentDelivery,
    PluginError,
    ProtocolError,
    RebellionError,
    RetryableDelivery,
    SeriesLimitExceeded,
    Unreachable,
)
from agent.hookspecs import hookimpl
from agent.model import Batch, Event, Gap, Kind, Level, PointFlag, Record, Series
from agent.procfs import LONG_BITS, ProcFile, key_values, picked

if TYPE_CHECKING:
    from agent.http_endpoint import HttpEndpoint
    from agent.resilience.budget import TokenBudget
    from agent.resilience.deadline import deadline, remaining_s
    from agent.resilience.history import error_text
    from agent.resilience.rate_limit import RateLimiter
    from agent.resilience.retry import Attempts, RetrySettings

_LAZY = {
    "Attempts": "agent.resilience.retry",
    "HttpEndpoint": "agent.http_endpoint",
    "RateLimiter": "agent.resilience.rate_limit",
    "RetrySettings": "agent.resilience.retry",
    "TokenBudget": "agent.resilience.budget",
    "deadline": "agent.resilience.deadline",
    "error_text": "agent.resilience.history",
    "remaining_s": "agent.resilience.deadline",
}
"""Imported when first asked for; deadlines need asyncio, HTTP needs TLS, and this door stays light."""

__all__ = [
    "LONG_BITS",
    "Attempts",
    "Batch",
    "Block",
    "BreakerOpen",
    "Clock",
    "CollectError",
    "Collector",
    "CollectorContext",
    "ConfigError",
    "ConfigProblem",
    "ContractError",
    "DeliveryError",
    "Detector",
    "ErrorSeverity",
    "Event",
    "ExplainingDetector",
    "Gap",
    "HttpEndpoint",
    "Kept",
    "Kind",
    "Level",
    "Logger",
    "PermanentDelivery",
    "PluginContext",
    "PluginError",
    "PointFlag",
    "ProcFile",
    "ProtocolError",
    "RateLimiter",
    "Reading",
    "RebellionError",
    "Record",
    "Recorder",
    "RecoveryMethod",
    "RecoveryOutcome",
    "RecoveryRequest",
    "RecoveryStep",
    "Register",
    "RetrySettings",
    "RetryableDelivery",
    "Sampler",
    "Series",
    "SeriesFamily",
    "SeriesLimitExceeded",
    "Sink",
    "SinkContext",
    "TokenBudget",
    "Unreachable",
    "check_http_url",
    "deadline",
    "error_text",
    "hookimpl",
    "key_values",
    "parse_listen",
    "picked",
    "remaining_s",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
