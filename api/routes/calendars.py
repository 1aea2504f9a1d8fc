"""Working calendars over HTTP: a year's table, the working hours, and every state that held before."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer, quoted
from api.container import Container, Reading, Wired, Writing
from api.language import locale_of
from api.rendering import instant
from api.report_bodies import parse_model
from api.schemas import Short, SoundText, WallTime, problems
from api.seen_version import read_seen
from dispatch.calendar_files import decode_table, read_csv, read_ics
from dispatch.calendar_keeping import HOURS, Edit, YearView, find_revision, list_years, put_hours, put_year, read_year
from dispatch.calendars import CalendarDay, DayKind, HourRange, seed_years
from dispatch.storage.calendars import Revision, list_revisions, read_hours, read_own_years
from geo.errors import BadInputError, UnavailableError
from maps.i18n import Locale, catalogue, translate

router = APIRouter(tags=["calendars"])

_CSV = "text/csv"
_ICS = "text/calendar"
Year = Annotated[int, Path(ge=1, le=9999)]
Name = Annotated[SoundText, Field(max_length=80)]


class DayIn(BaseModel):
    """A day that departs from its weekday."""

    model_config = ConfigDict(extra="forbid")

    date: date
    kind: DayKind
    name: Name = Field("", description="A word of ours such as spring_festival, or the office's own wording")


class YearIn(BaseModel):
    """A year's table; it replaces the one that held."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"days": [{"date": "2027-01-01", "kind": "holiday", "name": "new_years_day"}]}]
        },
    )

    days: list[DayIn] = Field(max_length=400)
    published: bool = Field(True, strict=True, description="False: local additions while the notice is not out yet")
    note: Short = Field("", description="Why it changes; kept with the revision")


class SpanIn(BaseModel):
    """Working hours without a break, on the wall clock; `00:00` as an end is midnight."""

    model_config = ConfigDict(extra="forbid")

    starts: WallTime
    ends: WallTime


class HoursIn(BaseModel):
    """The working hours of a day; between the spans is lunch."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"hours": [{"starts": "08:00", "ends": "12:00"}, {"starts": "14:30", "ends": "18:30"}]}]
        },
    )

    hours: list[SpanIn] = Field(min_length=1, max_length=6)
    note: Short = ""


class DayOut(BaseModel):
    """A day that departs from its weekday."""

    date: str
    kind: str
    kind_name: str
    name: str
    text: str


class YearOut(BaseModel):
    """A year's table as it holds now."""

    year: int
    revision: int = Field(description="0: the shipped table")
    published: bool = Field(description="False: deadlines that reach into the year are provisional")
    shipped: bool
    days: list[DayOut]
    holidays: int
    workdays: int


class SpanOut(BaseModel):
    """Working hours without a break."""

    starts: str
    ends: str


class HoursOut(BaseModel):
    """The working hours."""

    revision: int
    hours: list[SpanOut]


class CalendarsOut(BaseModel):
    """Which years are known."""

    jurisdiction: str
    zone: str
    hours: HoursOut
    years: list[YearOut]


class KeptOut(YearOut):
    """A year after it was replaced."""

    recomputed: int = Field(description="Provisional deadlines that were counted again")
    moved: int = Field(description="Those of them that moved")


class RevisionOut(BaseModel):
    """A state that held."""

    revision: int
    made_at: str
    made_by: str
    source: str
    note: str
    published: bool
    days: list[DayOut]
    hours: list[SpanOut]


class RevisionsOut(BaseModel):
    """All states of a year, newest first; the shipped table is kept as the first when it is replaced."""

    year: int
    revisions: list[RevisionOut]


_READ = Depends(require(Scope.CASES_READ))
Editor = Annotated[Caller, Depends(require(Scope.GRID_WRITE))]
Seen = Annotated[SoundText | None, Header(alias="If-Match", description='Revision that was looked at, such as `"2"`')]


@router.get(
    "/v1/calendars", response_model=None, responses={200: {"model": CalendarsOut}, **problems(401, 403, 422, 503)},
    dependencies=[_READ],
)  # fmt: skip
async def read_calendars(request: Request, unit: Reading, container: Wired) -> Response:
    """The years that are known, and the working hours."""
    locale, code = locale_of(request), container.settings.jurisdiction
    jurisdiction = (await container.reference.get()).jurisdictions.get(code)
    if jurisdiction is None:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=code)
    years = sorted({*seed_years(), *await read_own_years(unit, code)})
    body = {
        "jurisdiction": code,
        "zone": jurisdiction.time_zone,
        "hours": await _hours(unit, code),
        "years": [_year(view, locale) for view in await list_years(unit, code, years)],
    }
    return json_answer(body, locale=locale)


@router.get(
    "/v1/calendars/hours", response_model=None, responses={200: {"model": HoursOut}, **problems(401, 403, 503)},
    dependencies=[_READ],
)  # fmt: skip
async def read_working_hours(request: Request, unit: Reading, container: Wired) -> Response:
    """The working hours of a day, with lunch between them."""
    body = await _hours(unit, container.settings.jurisdiction)
    return json_answer(body, locale=locale_of(request), ETag=quoted(body["revision"]))


@router.put(
    "/v1/calendars/hours",
    response_model=None,
    responses={200: {"model": HoursOut}, **problems(400, 401, 403, 409, 413, 422, 503)},
)
async def put_working_hours(
    request: Request, body: HoursIn, unit: Writing, container: Wired, caller: Editor, seen: Seen = None
) -> Response:
    """Replace the working hours. Deadlines under way keep what they were given; new ones count by the new hours."""
    code = container.settings.jurisdiction
    _check_jurisdiction(code, await container.reference.get())
    hours = [HourRange(starts=span.starts, ends=span.ends) for span in body.hours]
    await put_hours(unit, code, hours, _edit(caller, "hours", body.note, seen))
    body_out = await _hours(unit, code)
    return _forgetting(container, json_answer(body_out, locale=locale_of(request), ETag=quoted(body_out["revision"])))


@router.get(
    "/v1/calendars/{year}",
    response_model=None,
    responses={200: {"model": YearOut, "content": {_CSV: {}}}, **problems(400, 401, 403, 404, 422, 503)},
    dependencies=[_READ],
)
async def read_calendar(
    request: Request,
    year: Year,
    unit: Reading,
    container: Wired,
    revision: Annotated[int | None, Query(ge=1, le=999_999, description="A state that held before")] = None,
) -> Response:
    """A year's table: every day that departs from its weekday. `Accept: text/csv` answers a file for editing."""
    code, locale = container.settings.jurisdiction, locale_of(request)
    if revision is not None:
        return json_answer(_revision(await find_revision(unit, code, year, revision), locale), locale=locale)
    view = await read_year(unit, code, year)
    if _CSV in request.headers.get("accept", ""):
        lines = ["date,kind,name", *(f'{row.day},{row.kind},"{row.name}"' for row in view.days)]
        headers = {"ETag": quoted(view.revision), "Content-Disposition": f'attachment; filename="calendar-{year}.csv"'}
        return Response("\r\n".join(lines) + "\r\n", media_type=f"{_CSV}; charset=utf-8", headers=headers)
    return json_answer(_year(view, locale), locale=locale, ETag=quoted(view.revision))


@router.get(
    "/v1/calendars/{year}/revisions",
    response_model=None,
    responses={200: {"model": RevisionsOut}, **problems(401, 403, 422, 503)},
    dependencies=[_READ],
)
async def read_revisions(request: Request, year: Year, unit: Reading, container: Wired) -> Response:
    """Every state that a year's table had, and who made it."""
    locale = locale_of(request)
    kept = await list_revisions(unit, container.settings.jurisdiction, year)
    return json_answer({"year": year, "revisions": [_revision(one, locale) for one in kept]}, locale=locale)


@router.put(
    "/v1/calendars/{year}",
    response_model=None,
    responses={200: {"model": KeptOut}, **problems(400, 401, 403, 409, 413, 422, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": YearIn.model_json_schema(ref_template="#/components/schemas/{model}")},
                _CSV: {"schema": {"type": "string", "description": "date,kind,name"}},
                _ICS: {"schema": {"type": "string", "description": "All-day events of RFC 5545"}},
            },
        }
    },
)
async def put_calendar(
    request: Request,
    year: Year,
    unit: Writing,
    container: Wired,
    caller: Editor,
    seen: Seen = None,
    published: Annotated[bool, Query(description="For files: false while the notice is not out yet")] = True,
) -> Response:
    """Replace a year's table, as JSON, CSV or iCalendar. Provisional deadlines are counted again, each on record."""
    code, locale = container.settings.jurisdiction, locale_of(request)
    _check_jurisdiction(code, await container.reference.get())
    days, source, note, is_out = await _table(request, published=published)
    kept = await put_year(unit, code, year, days, _edit(caller, source, note, seen), is_published=is_out)
    view = await read_year(unit, code, year)
    body = _year(view, locale) | {"recomputed": kept.recomputed, "moved": kept.moved}
    return _forgetting(container, json_answer(body, locale=locale, ETag=quoted(view.revision)))


def _forgetting(container: Container, answer: Response) -> Response:
    """Read the reference data afresh, but after the commit: a copy from before it must not be kept."""
    answer.background = BackgroundTask(container.reference.forget)
    return answer


async def _table(
    request: Request, *, published: bool
) -> tuple[tuple[CalendarDay, ...], Literal["json", "csv", "ics"], str, bool]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if kind == _CSV:
        return read_csv(decode_table(data)), "csv", "", published
    if kind == _ICS:
        return read_ics(decode_table(data)), "ics", "", published
    said = parse_model(YearIn, data)
    days = tuple(CalendarDay(day=row.date, kind=row.kind, name=row.name) for row in said.days)
    if len({row.day for row in days}) < len(days):
        twice = next(row.day for place, row in enumerate(days) if row.day in {other.day for other in days[:place]})
        raise BadInputError("calendar.day_twice", pointer="/days", day=twice.isoformat(), line="–")
    return days, "json", said.note, said.published


def _edit(caller: Caller, source: str, note: str, seen: str | None) -> Edit:
    return Edit(by=f"{caller.kind}:{caller.id}", source=source, note=note, seen=read_seen(seen))


def _check_jurisdiction(code: str, reference: Any) -> None:
    if code not in reference.jurisdictions:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=code)


async def _hours(unit: Any, code: str) -> dict[str, Any]:
    kept = await list_revisions(unit, code, HOURS)
    return {"revision": kept[0].revision if kept else 0, "hours": _spans(await read_hours(unit, code))}


def _spans(hours: tuple[HourRange, ...]) -> list[dict[str, str]]:
    return [{"starts": f"{span.starts:%H:%M}", "ends": f"{span.ends:%H:%M}"} for span in hours]


def _days(days: tuple[CalendarDay, ...], locale: Locale) -> list[dict[str, str]]:
    return [
        {
            "date": row.day.isoformat(),
            "kind": row.kind.value,
            "kind_name": translate(locale, f"day.{row.kind.value}"),
            "name": row.name,
            "text": translate(locale, key) if (key := f"holiday.{row.name}") in catalogue(locale) else row.name,
        }
        for row in days
    ]


def _year(view: YearView, locale: Locale) -> dict[str, Any]:
    return {
        "year": view.year,
        "revision": view.revision,
        "published": view.is_published,
        "shipped": view.is_shipped,
        "days": _days(view.days, locale),
        "holidays": sum(row.kind is DayKind.HOLIDAY for row in view.days),
        "workdays": sum(row.kind is DayKind.WORKDAY for row in view.days),
    }


def _revision(kept: Revision, locale: Locale) -> dict[str, Any]:
    return {
        "year": kept.year,
        "revision": kept.revision,
        "made_at": instant(kept.made_at),
        "made_by": kept.made_by,
        "source": kept.source,
        "note": kept.note,
        "published": kept.is_published,
        "days": _days(kept.days, locale),
        "hours": _spans(kept.hours),
    }
