"""Fixtures for plugin authors. pytest finds them by itself wherever the agent is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agent.testing.clock import FakeClock
    from agent.testing.recorder import FakeCollectorContext, ListRecorder


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that moves only when told; `collector_context` runs on the same one."""
    from agent.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def recorder() -> ListRecorder:
    """A recorder that keeps everything."""
    from agent.testing.recorder import ListRecorder

    return ListRecorder()


@pytest.fixture
def collector_context(fake_clock: FakeClock, tmp_path: Path) -> Iterator[FakeCollectorContext]:
    """What a collector's factory is given, without an agent behind it."""
    from agent.testing.recorder import FakeCollectorContext

    context = FakeCollectorContext(clock=fake_clock, state_dir=tmp_path / "state")
    yield context
    context.close()
