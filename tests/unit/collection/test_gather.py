import asyncio

from agent.collection.gather import Gather
from agent.model import Series

A, B = Series("a"), Series("b")


async def test_the_tick_ends_as_soon_as_everybody_has_reported():
    gather = Gather()
    gather.expect(["x", "y"])
    waiting = asyncio.ensure_future(gather.collected(patience_s=3600))
    await asyncio.sleep(0)
    gather.report("x", {A: 1.0})
    await asyncio.sleep(0)
    assert not waiting.done()
    gather.report("y", {B: 2.0})
    assert await waiting == {A: 1.0, B: 2.0}


async def test_what_comes_late_belongs_to_the_next_tick_which_does_not_wait_for_it_again():
    gather = Gather()
    gather.expect(["hung"])
    assert await gather.collected(patience_s=0) == {}
    gather.expect([])
    gather.report("hung", {A: 1.0})
    assert await gather.collected(patience_s=3600) == {A: 1.0}


async def test_a_tick_without_collectors_ends_at_once():
    gather = Gather()
    gather.expect([])
    assert await gather.collected(patience_s=3600) == {}


async def test_a_late_sample_that_a_newer_one_overtakes_is_kept_apart():
    gather = Gather()
    gather.expect(["slow"])
    assert await gather.collected(patience_s=0) == {}
    gather.report("slow", {A: 1.0, B: 1.0})
    gather.expect(["slow"])
    gather.report("slow", {A: 2.0})
    assert await gather.collected(patience_s=3600) == {A: 2.0, B: 1.0}
    assert gather.take_overtaken() == {A: 1.0}
    assert gather.take_overtaken() == {}


async def test_a_collector_made_anew_overtakes_itself_though_its_series_are_other_objects():
    gather = Gather()
    gather.expect(["slow"])
    gather.report("slow", {A: 1.0, B: 1.0})
    again = Series("a")
    gather.report("slow", {again: 2.0})
    assert await gather.collected(patience_s=3600) == {B: 1.0, again: 2.0}
    assert gather.take_overtaken() == {A: 1.0}
