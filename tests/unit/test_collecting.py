"""The collecting writer without a database: what it does when a write fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from dispatch.collecting import CollectingWriter
from dispatch.intake import PreparedReport, Receipt
from geo.errors import BadInputError, GridwardError, UnavailableError


class _Said:
    """Stands for a report: the writer looks at nothing but the channel."""

    channel = "hotline"

    def __init__(self, number: int) -> None:
        self.number = number


def _reports(count: int) -> list[PreparedReport]:
    return cast("list[PreparedReport]", [_Said(number) for number in range(count)])


def _numbers(reports: Sequence[PreparedReport]) -> list[int]:
    return [cast("_Said", one).number for one in reports]


def _told(outcomes: Sequence[Receipt | GridwardError]) -> list[object]:
    return [one.code if isinstance(one, GridwardError) else one for one in outcomes]


async def test_halves_report_their_own_failure() -> None:
    """One bad report is found by halving; a half that meets an absent database says so for itself alone."""
    tried: list[list[int]] = []

    async def write(reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
        numbers = _numbers(reports)
        tried.append(numbers)
        if len(numbers) > 2:
            raise ValueError("a row that no statement takes")
        if 5 in numbers:
            raise UnavailableError("storage.unavailable")
        if 2 in numbers:
            raise BadInputError("dispatch.ticket_reused", pointer="/ticket")
        return cast("list[Receipt | BadInputError]", list(numbers))

    outcomes = await CollectingWriter(write).write_many(_reports(8))
    assert _told(outcomes) == [
        0,
        1,
        "dispatch.ticket_reused",
        3,
        "storage.unavailable",
        "storage.unavailable",
        6,
        7,
    ]
    assert tried == [[*range(8)], [0, 1, 2, 3], [0, 1], [2, 3], [2], [3], [4, 5, 6, 7], [4, 5], [6, 7]]


async def test_whatever_is_wrong_with_one_report_is_told_of_it_alone() -> None:
    """An error that nobody foresaw ends as an answer too, not as an exception of the whole collection."""

    async def write(reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
        if 1 in _numbers(reports):
            raise ValueError("unforeseen")
        return cast("list[Receipt | BadInputError]", _numbers(reports))

    assert _told(await CollectingWriter(write).write_many(_reports(3))) == [0, "storage.unavailable", 2]


async def test_a_burst_is_written_in_halves() -> None:
    """Else all would go in step, and database and process wait for each other by turns."""
    begun: list[int] = []

    async def write(reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
        begun.append(len(reports))
        await asyncio.sleep(0.002)
        return cast("list[Receipt | BadInputError]", _numbers(reports))

    writer = CollectingWriter(write)
    await writer.start()

    async def client(one: PreparedReport) -> None:
        for _ in range(20):
            await writer.submit(one)

    await asyncio.gather(*(client(one) for one in _reports(32)))
    await writer.stop()
    assert sum(begun) == 640
    assert max(begun) == 16
    assert begun.count(16) > len(begun) / 2


async def test_a_second_statement_begins_when_as_many_wait_as_are_written() -> None:
    """Not after a pause that everybody would pay: two statements share the load between them."""
    begun: list[list[int]] = []
    done = asyncio.Event()

    async def write(reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
        begun.append(_numbers(reports))
        if len(begun) == 1:
            await done.wait()
        return cast("list[Receipt | BadInputError]", _numbers(reports))

    writer = CollectingWriter(write)
    await writer.start()
    reports = _reports(6)
    first = [asyncio.create_task(writer.submit(one)) for one in reports[:3]]
    while not begun:
        await asyncio.sleep(0)
    second = [asyncio.create_task(writer.submit(one)) for one in reports[3:]]
    answers = await asyncio.gather(*second)
    done.set()
    assert [*await asyncio.gather(*first), *answers] == [*range(6)]
    assert begun == [[0, 1, 2], [3, 4, 5]]
    await writer.stop()
