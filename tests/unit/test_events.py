import threading

import pytest
import structlog
from structlog.testing import capture_logs

from agent.events import EventBus, ObserverThread
from agent.model import Event, Level
from agent.testing.clock import FakeClock


def event(kind="x.happened"):
    return Event(0, kind, "c")


def test_an_event_is_logged_once_at_its_level_and_given_to_every_subscriber():
    bus, seen = EventBus(FakeClock(wall_ns=7), structlog.get_logger()), []
    end = bus.subscribe(seen.append)
    with capture_logs() as logs:
        bus.emit("breaker.opened", "sink:hub", Level.WARNING, open_s=1.0)
    assert seen == [Event(7, "breaker.opened", "sink:hub", Level.WARNING, {"open_s": 1.0})]
    assert logs == [{"event": "breaker.opened", "component": "sink:hub", "open_s": 1.0, "log_level": "warning"}]
    end()
    bus.emit("breaker.closed", "sink:hub")
    assert len(seen) == 1
    assert bus.count == 2


def test_a_raising_observer_is_named_once_and_the_others_go_on():
    seen, done = [], threading.Event()

    def raises(_event):
        raise ValueError("mine")

    def watches(one):
        seen.append(one.kind)
        if len(seen) == 3:
            done.set()

    thread = ObserverThread([raises, watches], structlog.get_logger())
    with capture_logs() as logs:
        thread.start()
        for kind in ("a.b", "c.d", "e.f"):
            thread.put(event(kind))
        assert done.wait(10)
    thread.stop()
    assert seen == ["a.b", "c.d", "e.f"]
    assert [log["event"] for log in logs] == ["observer.raised"]


@pytest.mark.parametrize(("put", "dropped"), [(3, 0), (5, 2)])
def test_a_hung_observer_costs_the_oldest_events_and_they_are_counted(put, dropped):
    thread = ObserverThread([lambda _event: None], structlog.get_logger(), max_queue_count=3)
    for _ in range(put):
        thread.put(event())
    assert thread.dropped_count == dropped
