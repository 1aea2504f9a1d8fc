"""Do channels send what they declare? `GET /v1/channels/{code}/datum-check` and the same for all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.rendering import instant
from api.schemas import Code, problems
from dispatch.datum import MOST_REPORTS, PERIOD, ChannelDatum, check_channel, list_channels_reporting, reading_name
from dispatch.queries import database_now
from geo.coordinates import CoordSys
from geo.datum import LEAST_PLACES, NEAR_M, DatumReport, DatumVerdict
from geo.datum import Reading as DatumReading
from geo.errors import NotFoundError
from maps.i18n import Locale, translate

router = APIRouter(tags=["channels"])

Caller_ = Annotated[Caller, Depends(require(Scope.CASES_READ))]
Since = Annotated[AwareDatetime | None, Query(description="Reports from here on; left out: 30 days before `until`")]
Until = Annotated[AwareDatetime | None, Query(description="Reports before this instant; left out: now")]
Most = Annotated[int, Query(ge=1, le=MOST_REPORTS, description="Reports looked at, the newest first")]
_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}


@router.get(
    "/v1/channels/{code}/datum-check",
    response_model=None,
    responses={
        200: {**_OBJECT, "description": "How the channel's positions fit"},
        **problems(400, 401, 403, 404, 422, 503),
    },
)
async def read_datum_check(
    request: Request,
    code: Annotated[Code, Path(description="Code of a channel")],
    unit: Reading,
    container: Wired,
    caller: Caller_,
    since: Since = None,
    until: Until = None,
    limit: Most = MOST_REPORTS,
) -> Response:
    """Read the channel's positions under every coordinate system, and with swapped axes, and say which fits best.

    A place fits when it lies near the cell that its address names, or, when none is named, in the jurisdiction. A key
    without `cases:read_all` may ask about its own channel.
    """
    if caller.sees_channel is not None and caller.sees_channel != code:
        raise NotFoundError("datum.channel_unknown", channel=code)
    begin, end = await _period(unit, since, until)
    found = await check_channel(unit, container.settings.jurisdiction, code, begin, end, most=limit)
    locale = locale_of(request)
    return json_answer(channel_json(found, locale), locale=locale)


@router.get(
    "/v1/channels/datum-check",
    response_model=None,
    responses={200: {**_OBJECT, "description": "All channels that reported"}, **problems(400, 401, 403, 404, 422, 503)},
)
async def read_datum_checks(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Caller_,
    since: Since = None,
    until: Until = None,
    limit: Most = 1_000,
) -> Response:
    """The same for every channel that reported in the period, suspect ones first."""
    begin, end = await _period(unit, since, until)
    jurisdiction = container.settings.jurisdiction
    codes = await list_channels_reporting(unit, jurisdiction, begin, end)
    if caller.sees_channel is not None:
        codes = [code for code in codes if code == caller.sees_channel]
    found = [await check_channel(unit, jurisdiction, code, begin, end, most=limit) for code in codes]
    locale = locale_of(request)
    body = {
        "since": instant(begin),
        "until": instant(end),
        "channels": [
            channel_json(each, locale) for each in sorted(found, key=lambda each: (not each.is_suspect, each.channel))
        ],
    }
    return json_answer(body, locale=locale)


async def _period(unit: Reading, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    end = until or await database_now(unit)
    return since or end - PERIOD, end


def channel_json(found: ChannelDatum, locale: Locale) -> dict[str, Any]:
    """One channel's check with its advice in words."""
    return {
        "channel": found.channel,
        "since": instant(found.since),
        "until": instant(found.until),
        "suspect": found.is_suspect,
        "rule": {"near_m": NEAR_M, "least_places": LEAST_PLACES},
        "declared": [_report(report, locale) for report in found.reports],
        "advice": translate(locale, "datum.advice.nothing") if not found.reports else None,
    }


def _report(report: DatumReport, locale: Locale) -> dict[str, Any]:
    return {
        "coord_sys": report.declared.value,
        "points": report.points,
        "places": report.places,
        "address_names_cell": report.named,
        "fitting": report.fitting,
        "readings": [
            {
                "reading": reading_name(count.reading),
                "coord_sys": count.reading.system.value,
                "swapped": count.reading.is_swapped,
                "fitting": count.fitting,
                "better": count.only_here,
                "worse": count.only_declared,
                "p_value": float(f"{count.p_better:.3g}"),
                "excluded": count.is_excluded,
            }
            for count in report.counts
        ],
        "verdict": report.verdict.value,
        "confidence": report.confidence.value,
        "suspected": [reading_name(reading) for reading in report.suspected],
        "advice": advice(report, locale),
    }


def advice(report: DatumReport, locale: Locale) -> str:
    """What to do, in words."""
    open_ = [count.reading for count in report.counts if not count.is_excluded]
    readings = report.suspected if report.verdict is DatumVerdict.SUSPECT else open_
    return translate(
        locale,
        f"datum.advice.{report.verdict.value}",
        declared=system_words(report.declared.value, locale),
        suspected=words(readings, locale),
        points=report.points,
        places=report.places,
        fitting=report.fitting,
        best=next((c.fitting for c in report.counts if report.suspected and c.reading == report.suspected[0]), 0),
        least=LEAST_PLACES,
    )


def system_words(name: str, locale: Locale) -> str:
    """A reading's name, such as ``gcj02`` or ``wgs84/swapped``, in words."""
    system, _, swapped = name.partition("/")
    said = translate(locale, f"datum.system.{CoordSys(system).value}")
    return translate(locale, "datum.system.swapped", system=said) if swapped else said


def words(readings: tuple[DatumReading, ...] | list[DatumReading], locale: Locale) -> str:
    """Readings in words, joined."""
    return translate(locale, "datum.or").join(system_words(reading_name(each), locale) for each in readings)
