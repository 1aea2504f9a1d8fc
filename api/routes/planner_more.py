"""Beside the planner's maps: the cases behind a number, and links to frozen maps."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qs
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
from markupsafe import Markup
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.access import require
from api.accounts.callers import Caller
from api.accounts.doorkeeper import is_own_origin
from api.accounts.roles import Scope
from api.answers import json_answer
from api.container import Container, Counting, Reading, Wired
from api.language import locale_of
from api.map_shares import (
    MAX_DAYS,
    Share,
    ShareScope,
    create_share,
    may_open,
    open_share,
)
from api.planner_desk import Desk
from api.planner_opening import desk_of
from api.planner_parts import refuse, scene_of, without_grid
from api.planner_query import parse_question
from api.planner_reading import KINDS
from api.rendering import instant
from api.routes.planner import Planner, given_of
from api.templating import render, text_of
from dispatch.hotspot_series import MapCase
from geo.errors import BadInputError, Fault, ForbiddenError, InvalidRequestError, NotFoundError
from geo.storage.uow import read_unit, write_unit
from maps.findings import describe_period
from maps.i18n import Locale, translate
from maps.own_files import content_security_policy
from maps.page_parts import Scene, category_words, closed, page_parts

router = APIRouter(include_in_schema=False)

SeesCases = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]

_PER_PAGE: Final = 200
_MOST_PARTS: Final = 200
#: Stands in a frozen page for the address of its map, which has the link's secret in it.
FRAME: Final = "@@FRAME@@"
_SQUARE: Final = re.compile(r"(-?[0-9]{1,9})\.(-?[0-9]{1,9})")
_HOURS, _WEEKDAYS = range(24), range(7)


@router.get("/maps/cases")
async def read_cases(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: SeesCases,
    cell: Annotated[str | None, Query(max_length=64)] = None,
    weekday: Annotated[str | None, Query(max_length=8)] = None,
    hour: Annotated[str | None, Query(max_length=8)] = None,
    square: Annotated[str | None, Query(max_length=40)] = None,
    cursor: Annotated[str | None, Query(max_length=120)] = None,
) -> Response:
    """The exact cases behind a number of a map, for people who may see them."""
    locale = locale_of(request)
    given = given_of(request)
    desk = await desk_of(unit, container, caller, locale, given, for_cases=True)
    try:
        view = parse_question(given, desk.reference, desk.today, desk.whole)
        of_week = _hour_of_week(weekday, hour)
        if cell and (desk.whole is None or cell not in desk.whole.by_code):
            raise InvalidRequestError([Fault(code="maps.unknown_cell", pointer="/cell", params={"cell": cell})])
        within = _read_square(square)
        after = _read_cursor(cursor)
    except InvalidRequestError as error:
        return refuse(request, locale, error)
    if desk.version is None or desk.whole is None:
        return without_grid(request, locale)
    found = await desk.cases(view, cell=cell or None, square=within, **of_week, most=_PER_PAGE + 1, after=after)
    scene = Scene(**scene_of(desk))
    place = desk.whole.by_code[cell].name(locale) if cell else translate(locale, "planner.cases.everywhere")
    title = translate(
        locale,
        "planner.cases.title",
        period=describe_period(locale, view.period, today=desk.today),
        category=category_words(locale, view.categories, scene.categories),
        place=place,
    )
    root = request.scope.get("root_path", "")
    kept = {"cell": cell or "", "weekday": weekday or "", "hour": hour or "", "square": square or "", "lang": locale}
    more = view.query(**kept, cursor=_write_cursor(found[_PER_PAGE - 1])) if len(found) > _PER_PAGE else ""
    context = page_parts(locale, view, scene, kind="cases", title=title, root=root, forms=())
    context |= {
        "rows": [_case_row(desk, case) for case in found[:_PER_PAGE]],
        "next_url": f"{root}/maps/cases?{more}" if more else "",
        "hour_words": _hour_words(locale, of_week),
        "other_query": view.query(**{**kept, "lang": "en" if locale == "zh-CN" else "zh-CN"}),
    }
    return render("map_cases.html", closed(context), locale=locale)


def _case_row(desk: Desk, case: MapCase) -> dict[str, Any]:
    names, channels = desk.reference.categories, desk.reference.channels
    zone = ZoneInfo(desk.zone)

    def at(moment: datetime | None) -> str:
        return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") if moment else ""

    return {
        "ref": case.ref,
        "category": names[case.category].name(desk.locale) if case.category in names else case.category,
        "channel": channels[case.channel].name(desk.locale) if case.channel in channels else case.channel,
        "state": translate(desk.locale, f"state.{case.state.value}"),
        "reported": at(case.reported_at),
        "due": at(case.due_at),
        "handled": at(case.handled_at),
        "is_late": case.due_at is not None and (case.handled_at or desk.as_of) > case.due_at,
    }


def _hour_of_week(weekday: str | None, hour: str | None) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    faults = []
    for name, word, known in (("weekday", weekday, _WEEKDAYS), ("hour", hour, _HOURS)):
        if not word:
            found[name] = None
        elif word.isascii() and word.isdigit() and int(word) in known:
            found[name] = int(word)
        else:
            params = {name: word, "most": str(known[-1])}
            faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params=params))
    if faults:
        raise InvalidRequestError(faults)
    return found


def _hour_words(locale: Locale, of_week: dict[str, int | None]) -> str:
    weekday, hour = of_week["weekday"], of_week["hour"]
    if weekday is None or hour is None:
        return ""
    day = translate(locale, f"planner.weekday.{weekday}")
    return translate(locale, "planner.cases.hour", weekday=day, hour=hour, next=hour + 1)


def _read_square(square: str | None) -> tuple[int, int] | None:
    """Read column and row of a square of 50 m, as links to repeat sites have them."""
    if not square:
        return None
    found = _SQUARE.fullmatch(square)
    if found is None:
        raise InvalidRequestError([Fault(code="maps.unknown_square", pointer="/square", params={"square": square})])
    return int(found[1]), int(found[2])


def _write_cursor(case: MapCase) -> str:
    return f"{int(case.reported_at.timestamp() * 1_000_000)}-{case.id}"


def _read_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    if not cursor:
        return None
    try:
        micros, _, number = cursor.partition("-")
        whole, rest = divmod(int(micros), 1_000_000)
        return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest), UUID(number)
    except (ValueError, OverflowError, OSError):
        raise BadInputError("dispatch.bad_cursor", pointer="/cursor", cursor=cursor[:80]) from None


class ShareIn(BaseModel):
    """A map to be frozen."""

    kind: str = Field(max_length=16)
    query: str = Field("", max_length=4000)
    scope: ShareScope = ShareScope.OFFICE
    days: int = Field(7, ge=1, le=MAX_DAYS)


@router.post("/maps/shares")
async def make_share(request: Request, unit: Counting, container: Wired, caller: Planner, asked: ShareIn) -> Response:
    """Freeze a map as it is now and answer with its link."""
    if not is_own_origin(request, container.settings.public_url):
        raise ForbiddenError("access.foreign_origin")
    if asked.kind not in KINDS:
        raise BadInputError("maps.unknown_kind", pointer="/kind", kind=asked.kind[:40], known=", ".join(KINDS))
    locale = locale_of(request)
    try:
        given = parse_qs(asked.query, keep_blank_values=False, max_num_fields=_MOST_PARTS)
    except ValueError:
        raise BadInputError("maps.too_many_parts", pointer="/query", most=_MOST_PARTS) from None
    desk = await desk_of(unit, container, caller, locale, given)
    if asked.scope is ShareScope.LINK:
        # Whoever gets the link is nobody we know: no more than a planner sees.
        desk = replace(desk, sees_cases=False)
    view = KINDS[asked.kind].parse(given, desk.reference, desk.today, desk.whole)
    if desk.version is None:
        raise NotFoundError("maps.no_grid")
    page = await KINDS[asked.kind].read(desk, view)
    sides = range(2 if page.single else 1)
    frames = [await run_in_threadpool(page.frame, inline=True, side=side) for side in sides]
    context = await run_in_threadpool(page.context, root="")
    # No filters, no files, no links to cases: what is left is the finding, the map, its table and the definitions.
    context |= {"frozen": True, "frame_url": FRAME, "sees_cases": False, "difference_url": ""}
    if page.single:
        named = zip(context["sides"], sides, strict=True)
        context["sides"] = [(words, f"{FRAME}?side={side + 1}", ref) for (words, _, ref), side in named]
    body = await run_in_threadpool(text_of, KINDS[asked.kind].template, context)
    async with write_unit(container.control) as writing:
        secret, until = await create_share(
            writing,
            desk,
            caller,
            kind=asked.kind,
            query=view.query(),
            title=page.title,
            scope=asked.scope,
            days=asked.days,
            page=_main_of(body),
            frames=frames,
        )
    root = request.scope.get("root_path", "")
    answer = {"url": f"{root}/maps/shared/{secret}", "expires_at": instant(until), "scope": asked.scope.value}
    return json_answer(answer, locale=locale, status=201, Cache_Control="no-store")


def _main_of(body: str) -> str:
    """Return the part of a page that is frozen: what is read; the links at the top are of the day."""
    start, end = body.index("<main"), body.index("</main>") + len("</main>")
    return body[start:end]


async def _opened(request: Request, container: Container, secret: str) -> Share:
    """Return a share for whoever asks; a link for the office is, to others, not there."""
    async with read_unit(container.control) as unit:
        share = await open_share(unit, secret)
    caller = await container.doorkeeper.find(request)
    if not may_open(share, caller):
        if caller is None:
            raise BadInputError("access.key_required")
        raise NotFoundError("maps.share_not_found")
    return share


_QUIET: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}


@router.get("/maps/shared/{secret}")
async def read_shared(request: Request, container: Wired, secret: str) -> Response:
    """A frozen map: what it said when the link was made."""
    share = await _opened(request, container, secret)
    locale = share.locale
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    zone = ZoneInfo(jurisdiction.time_zone if jurisdiction else "Asia/Shanghai")
    root = request.scope.get("root_path", "")
    context = {
        "locale": locale,
        "root": root,
        "texts": {"console.brand": translate(locale, "console.brand")},
        "title": share.title,
        "place": jurisdiction.name(locale) if jurisdiction else "",
        "frozen": translate(
            locale,
            "planner.shared.note",
            as_of=share.as_of.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
            until=share.expires_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        ),
        # Our own template's text, every word in it escaped when it was made.
        "body": Markup(share.page.replace(FRAME, f"{root}/maps/shared/{secret}/frame")),  # noqa: S704
    }
    response = render("shared.html", context, locale=locale)
    response.headers.update(_QUIET)
    return response


@router.get("/maps/shared/{secret}/frame")
async def read_shared_frame(request: Request, container: Wired, secret: str) -> Response:
    """The map of a frozen page; ``side=2`` is the second of two."""
    share = await _opened(request, container, secret)
    frame = share.frames[-1 if request.query_params.get("side") == "2" else 0]
    headers = _QUIET | {"Content-Security-Policy": content_security_policy(frame)}
    return Response(frame, media_type="text/html; charset=utf-8", headers=headers)
