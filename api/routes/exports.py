"""Lists as files: the path of the list with a suffix gives everything that matches, written while it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.callers import Caller
from api.accounts.keys import Scope
from api.case_query import CaseQuery, for_caller
from api.case_sheet import case_sheet
from api.container import Container, Reading, Wired
from api.event_query import EventQuery, event_sheet
from api.formats import MEDIA_TYPES, Form
from api.language import locale_of
from api.rates_files import rates_file
from api.rates_reading import Asking, Reader, read_rates_asked, view_rates
from api.responsible import zone_of
from api.schemas import problems
from api.sheets import file_answer, one_export
from dispatch.case_views import CaseView
from dispatch.feed import Cursor, FeedEvent, read_page
from dispatch.queries import database_now, stream_cases
from geo.errors import GridwardError
from geo.storage.uow import read_unit

router = APIRouter(tags=["exports"])

Suffix = Literal["csv", "xlsx", "geojson"]
Heads = Annotated[
    Literal["names", "codes"],
    Query(description="Heads and times for people (`names`), or field names and UTC for programs (`codes`)"),
]
_BATCH = 500


def _described(*forms: Form) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {MEDIA_TYPES[form]: {"schema": {"type": "string", "format": "binary"}} for form in forms}
    if Form.GEOJSON in forms:
        content[MEDIA_TYPES[Form.GEOJSON]] = {"schema": {"type": "object"}}
    return {200: {"description": "The file", "content": content}, **problems(400, 401, 403, 422, 503)}


@router.get("/v1/cases.{form}", response_model=None, responses=_described(Form.CSV, Form.XLSX, Form.GEOJSON))
async def export_cases(
    request: Request,
    form: Suffix,
    container: Wired,
    query: Annotated[CaseQuery, Depends()],
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
    heads: Heads = "names",
) -> Response:
    """All cases that match, newest first; the same filters as `/v1/cases`, no pages."""
    locale = locale_of(request)
    sheet = case_sheet(locale, ZoneInfo(await zone_of(container)), for_programs=heads == "codes")
    asked = for_caller(query.asked, caller)

    async def batches() -> AsyncGenerator[Sequence[CaseView], None]:
        async with (
            one_export(),
            read_unit(container.engine, viewer=caller.viewer) as unit,
            aclosing(stream_cases(unit, asked, batch=_BATCH)) as found,
        ):
            async for batch in found:
                yield batch
                await _still_allowed(request, container)

    return await file_answer(Form(form), sheet, batches(), locale=locale)


@router.get("/v1/events.{form}", response_model=None, responses=_described(Form.CSV, Form.XLSX, Form.GEOJSON))
async def export_events(
    request: Request,
    form: Suffix,
    container: Wired,
    only: Annotated[EventQuery, Depends()],
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
    heads: Heads = "names",
) -> Response:
    """All events that match up to the present end of the feed, oldest first."""
    locale = locale_of(request)
    sheet = event_sheet(locale, ZoneInfo(await zone_of(container)), for_programs=heads == "codes")

    async def batches() -> AsyncGenerator[Sequence[FeedEvent], None]:
        position = Cursor(0, 0)
        async with one_export():
            while True:
                # A unit for each page: what is read for minutes must not hold back everybody's clean-up.
                async with read_unit(container.engine, viewer=caller.viewer) as unit:
                    page = await read_page(
                        unit,
                        position,
                        limit=_BATCH,
                        as_of=await database_now(unit),
                        channel=caller.sees_channel,
                        is_limited=not caller.sight.is_everything,
                        only=only.asked,
                    )
                if page.events:
                    yield page.events
                if page.next == position:
                    return
                position = page.next
                await _still_allowed(request, container)

    return await file_answer(Form(form), sheet, batches(), locale=locale)


@router.get("/v1/rates.{form}", response_model=None, responses=_described(Form.CSV, Form.XLSX))
async def export_rates(
    request: Request, form: Literal["csv", "xlsx"], unit: Reading, container: Wired, caller: Reader, asking: Asking
) -> Response:
    """The table of `/v1/rates` as a file."""
    locale = locale_of(request)
    read = await read_rates_asked(unit, container, asking)
    table, view = await view_rates(unit, locale, read, caller)
    return rates_file(Form(form), locale, read, table.as_of, view)


async def _still_allowed(request: Request, container: Container) -> None:
    """Break the answer off when the key was revoked, or somebody was signed out, while it was written."""
    container.doorkeeper.forget(request)
    found = await container.doorkeeper.identify(request)
    if isinstance(found, GridwardError):
        raise found
