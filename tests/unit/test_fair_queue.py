"""The intake's queue is fair between channels."""

from __future__ import annotations

import asyncio

import pytest

from dispatch.fair_queue import FairQueue


async def test_lines_take_turns() -> None:
    queue: FairQueue[str] = FairQueue(lambda item: item[0], 100)
    for item in ("a1", "a2", "a3", "b1", "a4", "c1", "b2"):
        queue.put_nowait(item)
    assert [await queue.get() for _ in range(queue.qsize())] == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert queue.empty()


async def test_a_flood_is_refused_while_others_get_in() -> None:
    queue: FairQueue[str] = FairQueue(lambda item: item[0], 10)
    for number in range(10):
        queue.put_nowait(f"a{number}")
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait("a10")
    for number in range(5):
        queue.put_nowait(f"b{number}")
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait("b5")
    assert queue.qsize() <= 20


async def test_whoever_waits_is_woken_and_the_end_is_seen() -> None:
    queue: FairQueue[str] = FairQueue(lambda item: item[0], 10)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait("a1")
    assert await waiting == "a1"
    queue.task_done()
    await asyncio.wait_for(queue.join(), 1)
