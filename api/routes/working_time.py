"""`GET /v1/working-time`: when the office works, as stretches of time, for whoever counts down in working time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.access import require
from api.accounts.keys import Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.rendering import instant
from api.schemas import problems
from dispatch.queries import database_now
from dispatch.segments import from_micros, to_micros
from geo.errors import BadInputError, UnavailableError

router = APIRouter(tags=["calendars"])

#: As far as a deadline is counted down in working time; half a year of two stretches a day is 6 kB.
_MOST = timedelta(days=184)


class WorkingTimeOut(BaseModel):
    """Stretches of working time, ascending, each ``[begins, ends)``."""

    zone: str
    day_s: int = Field(description="Working seconds of an ordinary day")
    stretches: list[Annotated[list[datetime], Field(min_length=2, max_length=2)]]
    as_of: datetime


@router.get(
    "/v1/working-time",
    response_model=None,
    responses={200: {"model": WorkingTimeOut}, **problems(400, 401, 403, 422, 503)},
    dependencies=[Depends(require(Scope.CASES_READ))],
)
async def read_working_time(
    request: Request,
    unit: Reading,
    container: Wired,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="Default: a month ago")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Default: two months ahead")] = None,
) -> Response:
    """When the office works, holidays, make-up days and lunch considered."""
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    if jurisdiction is None:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=container.settings.jurisdiction)
    now = await database_now(unit)
    begins, ends = since or now - timedelta(days=31), until or now + timedelta(days=62)
    if not timedelta(0) < ends - begins <= _MOST:
        raise BadInputError("working_time.bad_span", days=_MOST.days)
    calendar = jurisdiction.calendar
    stretches = calendar.segments_between(to_micros(begins), to_micros(ends))
    body = {
        "zone": jurisdiction.time_zone,
        "day_s": sum(span.end_us - span.start_us for span in calendar.hours) // 1_000_000,
        "stretches": [[instant(from_micros(start)), instant(from_micros(end))] for start, end in stretches],
        "as_of": instant(now),
    }
    return json_answer(body, locale=locale_of(request))
