"""Circuit breaker, backpressure, error recovery and metric transformer, for use as a library.

Names are loaded when first used: importing this package pulls in neither numpy nor asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.contracts import ErrorSeverity
    from agent.errors import BreakerOpen
    from agent.numeric.system_metrics import MetricTransformer, get_metric_transformer
    from agent.resilience.autonomous import (
        AutonomousErrorRecovery,
        ErrorContext,
        RecoveryAction,
        RecoveryStrategy,
        error_recovery,
        with_error_recovery,
    )
    from agent.resilience.backpressure import BackpressureHandler, get_backpressure_handler
    from agent.resilience.breaker import Breaker, BreakerSettings, CircuitState
    from agent.resilience.websocket_breaker import (
        WebSocketCircuitBreaker,
        get_circuit_breaker,
        reset_all_circuit_breakers,
        reset_circuit_breaker,
    )

_HOME = {
    "AutonomousErrorRecovery": "agent.resilience.autonomous",
    "BackpressureHandler": "agent.resilience.backpressure",
    "Breaker": "agent.resilience.breaker",
    "BreakerOpen": "agent.errors",
    "BreakerSettings": "agent.resilience.breaker",
    "CircuitState": "agent.resilience.breaker",
    "ErrorContext": "agent.resilience.autonomous",
    "ErrorSeverity": "agent.contracts",
    "MetricTransformer": "agent.numeric.system_metrics",
    "RecoveryAction": "agent.resilience.autonomous",
    "RecoveryStrategy": "agent.resilience.autonomous",
    "WebSocketCircuitBreaker": "agent.resilience.websocket_breaker",
    "error_recovery": "agent.resilience.autonomous",
    "get_backpressure_handler": "agent.resilience.backpressure",
    "get_circuit_breaker": "agent.resilience.websocket_breaker",
    "get_metric_transformer": "agent.numeric.system_metrics",
    "reset_all_circuit_breakers": "agent.resilience.websocket_breaker",
    "reset_circuit_breaker": "agent.resilience.websocket_breaker",
    "with_error_recovery": "agent.resilience.autonomous",
}

__all__ = [
    "AutonomousErrorRecovery",
    "BackpressureHandler",
    "Breaker",
    "BreakerOpen",
    "BreakerSettings",
    "CircuitState",
    "ErrorContext",
    "ErrorSeverity",
    "MetricTransformer",
    "RecoveryAction",
    "RecoveryStrategy",
    "WebSocketCircuitBreaker",
    "error_recovery",
    "get_backpressure_handler",
    "get_circuit_breaker",
    "get_metric_transformer",
    "reset_all_circuit_breakers",
    "reset_circuit_breaker",
    "with_error_recovery",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
