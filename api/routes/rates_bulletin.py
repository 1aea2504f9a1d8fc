"""The monthly bulletin: as a page, as JSON, and as Word, Excel or PDF."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response

from api.accounts.callers import Caller
from api.answers import json_answer
from api.bulletin import FORMS, BulletinSource, read_bulletin, write_bulletin
from api.container import Container, Reading, Wired
from api.language import locale_of
from api.planner_parts import refuse
from api.planning import area_of
from api.rates_reading import Planner, Word
from api.rendering import instant
from api.schemas import problems
from api.templating import render
from dispatch.evaluation import DEFINITIONS
from dispatch.freezing import parse_month
from dispatch.queries import database_now
from geo.errors import BadInputError, Fault, InvalidRequestError
from geo.storage.uow import ReadUnit
from maps.i18n import Locale, subset, translate
from maps.rates.bulletin import SHOWN_RATES, Bulletin, BulletinData

router = APIRouter(tags=["rates"])

_MONTH = Annotated[str | None, Query(max_length=40, description="2026-10; the last whole month when left out")]


async def _read(
    unit: ReadUnit, container: Container, caller: Caller, locale: Locale, month: str | None
) -> tuple[Bulletin, BulletinData]:
    reference = await container.reference.get()
    code = container.settings.jurisdiction
    found = reference.jurisdictions.get(code)
    zone = ZoneInfo(found.time_zone if found else "Asia/Shanghai")
    if month:
        first = parse_month(month)
    else:
        first = ((await database_now(unit)).astimezone(zone).date().replace(day=1) - timedelta(days=1)).replace(day=1)
    source = BulletinSource(
        facts=container.facts,
        engine=container.engine,
        reference=reference,
        jurisdiction=code,
        area=area_of(caller.viewer),
    )
    return await read_bulletin(unit, source, locale, first)


@router.get("/v1/bulletins/{month}", responses=problems(400, 401, 403, 409))
async def read_bulletin_json(
    request: Request, unit: Reading, container: Wired, caller: Planner, month: str
) -> Response:
    """A month's bulletin: what rose, what comes back, who is overdue, what was closed where it arose."""
    locale = locale_of(request)
    bulletin, data = await _read(unit, container, caller, locale, month)
    return json_answer(
        {
            "month": data.month.strftime("%Y-%m"),
            "as_of": instant(data.as_of),
            "frozen_at": instant(data.frozen_at),
            "is_over": data.is_over,
            "title": bulletin.title,
            "lead": bulletin.lead,
            "rates": [
                {
                    "code": rate,
                    "name": translate(locale, f"rates.rate.{rate.value}"),
                    "version": DEFINITIONS[rate].version,
                    "numerator": data.headline[rate].numerator,
                    "denominator": data.headline[rate].denominator,
                    "percent": data.headline[rate].percent,
                    "percent_before": data.before[rate].percent,
                }
                for rate in SHOWN_RATES
            ],
            "sections": [
                {"key": part.key, "title": part.title, "columns": part.columns, "rows": part.rows}
                for part in bulletin.sections
            ],
            "grid": data.drawing,
            "files": {form: f"/v1/bulletins/{data.month:%Y-%m}/file?form={form}" for form in FORMS},
        },
        locale=locale,
    )


@router.get(
    "/v1/bulletins/{month}/file",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": {media: {} for media in FORMS.values()}},
        **problems(400, 401, 403, 409, 422, 503),
    },
)
async def read_bulletin_file(
    request: Request, unit: Reading, container: Wired, caller: Planner, month: str, form: Word = None
) -> Response:
    """The bulletin as Word (docx), Excel (xlsx) or PDF."""
    form = form or "docx"
    if form not in FORMS:
        raise BadInputError("rates.unknown_form", pointer="/form", form=form, known=", ".join(FORMS))
    locale = locale_of(request)
    bulletin, data = await _read(unit, container, caller, locale, month)
    body = await write_bulletin(locale, bulletin, form)
    disposition = f'attachment; filename="gridward-bulletin-{data.month:%Y-%m}.{form}"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store", "Content-Language": locale}
    return Response(body, media_type=FORMS[form], headers=headers)


@router.get("/maps/bulletin", include_in_schema=False)
async def read_bulletin_page(
    request: Request, unit: Reading, container: Wired, caller: Planner, month: _MONTH = None
) -> Response:
    """The bulletin for people."""
    locale = locale_of(request)
    try:
        bulletin, data = await _read(unit, container, caller, locale, month)
    except BadInputError as error:
        fault = Fault(code=error.code, pointer="/month", params={"month": (month or "")[:40]})
        return refuse(request, locale, InvalidRequestError([fault]))
    root = request.scope.get("root_path", "")
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    written = _written(data.month)
    context = {
        "locale": locale,
        "root": root,
        "place": data.place,
        "bulletin": bulletin,
        "linked": True,
        "month": written,
        "texts": subset(locale, "planner.")
        | subset(locale, "console.")
        | subset(locale, "bulletin.")
        | {key: translate(locale, key) for key in ("rates.heading", "measures.heading")},
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "files": [(form, f"{root}/v1/bulletins/{written}/file?form={form}&lang={locale}") for form in FORMS],
    }
    return render("bulletin.html", context, locale=locale)


def _written(month: date) -> str:
    return month.strftime("%Y-%m")
