"""The library face as a stranger finds it: every name of the design, light to import, the examples as written."""

import asyncio
import subprocess
import sys

import pytest

NAMES = (
    "get_circuit_breaker, get_backpressure_handler, with_error_recovery, error_recovery, ErrorSeverity, RecoveryAction, "
    "RecoveryStrategy, ErrorContext, CircuitState, WebSocketCircuitBreaker, BackpressureHandler, AutonomousErrorRecovery, "
    "reset_circuit_breaker, reset_all_circuit_breakers, get_metric_transformer, MetricTransformer"
)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_of_the_design_can_be_imported():
    assert run(f"from agent.resilience import {NAMES}; print(len([{NAMES}]))").split() == ["16"]


@pytest.mark.parametrize("module", ["agent", "agent.resilience", "agent.api", "agent.cli"])
def test_the_door_pulls_in_neither_numpy_nor_asyncio(module):
    program = (
        f"import {module}, sys; print([name for name in ('numpy', 'asyncio', 'websockets') if name in sys.modules])"
    )
    assert run(program).strip() == "[]"


def test_a_name_that_does_not_exist_is_an_attribute_error():
    import agent.resilience

    with pytest.raises(AttributeError, match="no attribute 'Breakr'"):
        _ = agent.resilience.Breakr


async def test_the_examples_run_as_written():
    from agent.resilience import (
        ErrorSeverity,
        error_recovery,
        get_backpressure_handler,
        get_circuit_breaker,
        get_metric_transformer,
        with_error_recovery,
    )

    async def my_function(*args, **kwargs):
        await asyncio.sleep(0)
        return args, kwargs

    args, kwargs = (1, 2), {"key": "value"}
    breaker = get_circuit_breaker(
        name="metrics_websocket", max_failures=3, reset_timeout=30, exponential_backoff_factor=1.5
    )
    result = await breaker.execute(my_function, *args, **kwargs)
    assert result == ((1, 2), {"key": "value"})

    backpressure = get_backpressure_handler(
        name="metrics_backpressure", max_buffer_size=100, sampling_strategy="latest"
    )
    item = {"cpu": 0.5}
    backpressure.add_item(item)
    batch = backpressure.get_batch(max_batch_size=10)
    assert batch == [item]

    @with_error_recovery(component="websocket", operation="connect", severity=ErrorSeverity.HIGH)
    async def connect_websocket(url):
        return f"connected to {url}"

    assert await connect_websocket("ws://x") == "connected to ws://x"

    e = ConnectionError("gone")
    result = await error_recovery.handle_error(
        error=e,
        component="my_component",
        operation="my_operation",
        severity=ErrorSeverity.MEDIUM,
        original_function=my_function,
        *args,  # noqa: B026 - the very form that callers use
        **kwargs,
    )
    assert result == ((1, 2), {"key": "value"})

    raw_metrics = {
        "cpu": {"usage_percent": 12.5},
        "memory": {"percent": 40.0},
        "disk": {"partitions": [{"percent": 70.0}]},
    }
    transformer = get_metric_transformer(name="system_metrics", history_size=120, smoothing_window=5)
    transformed = transformer.transform_system_metrics(raw_metrics)
    assert transformed["cpu"]["current"] == 12.5
    assert transformed["memory"]["statistics"]["mean"] == 40.0
    assert set(transformed["disk"]) >= {"smoothed", "history", "anomalies", "rate_of_change", "trend", "is_anomaly"}
    assert "system_analysis" in transformed
