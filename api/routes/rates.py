"""Rates over HTTP: the table, and the exact cases behind each number."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.accounts.callers import Caller
from api.answers import json_answer
from api.container import Counting, Reading, Wired
from api.formats import MEDIA_TYPES, Form, accepted_form, tagged_answer
from api.language import locale_of
from api.rates_files import rates_file
from api.rates_query import RatesAsked
from api.rates_reading import (
    Asking,
    Planner,
    Reader,
    Word,
    everybody,
    place_of,
    read_rates_asked,
    sees_cases,
    view_rates,
)
from api.rendering import instant
from api.schemas import problems
from dispatch.evaluation import DEFINITIONS, Dimension, Part, Rate
from dispatch.freezing import list_frozen, parse_month, read_frozen
from dispatch.rate_names import read_names
from dispatch.rates import list_rate_cases
from maps.i18n import Locale, translate
from maps.rates.table import NamedRow, view_table

router = APIRouter(tags=["rates"])

# What is frozen was counted over everybody's cases: it knows no areas, so it is for those who have none.
Everybody = Annotated[Caller, Depends(everybody)]


class FigureOut(BaseModel):
    """One number of a table."""

    numerator: int
    denominator: int
    percent: str | None = Field(description="Half up, two decimals; null without a denominator")
    missing_url: str | None = Field(
        description="Cases below the line and not above it; null, as the next two, for those who may not see cases"
    )
    denominator_url: str | None
    numerator_url: str | None


class RateRowOut(BaseModel):
    """A row of a table."""

    key: str = Field(description='Code of the row; "" for cases that have none')
    name: str
    rates: dict[str, FigureOut]


class RateOut(BaseModel):
    """A rate and what it means."""

    code: Rate
    name: str
    version: int
    definition: str
    more_is_better: bool


class RatesOut(BaseModel):
    """A table of rates."""

    as_of: datetime
    first_day: str
    last_day: str
    by: Dimension
    drawing: dict[str, Any] | None = Field(description="On which boundaries, and how history was put into them")
    rates: list[RateOut]
    total: RateRowOut
    worst: RateRowOut | None = Field(description="By the first rate, of rows with at least 20 cases")
    rows: list[RateRowOut] = Field(description="Worst first, by the first rate")


class FrozenFigureOut(BaseModel):
    """One number of a frozen month."""

    numerator: int
    denominator: int
    percent: str | None


class FrozenRowOut(BaseModel):
    """A row of a frozen table."""

    key: str
    name: str
    rates: dict[str, FrozenFigureOut]


class FrozenOut(BaseModel):
    """A table of rates as it was frozen."""

    month: str
    frozen_at: datetime
    by: Dimension
    rates: list[RateOut]
    total: FrozenRowOut
    rows: list[FrozenRowOut]


class FrozenMonthOut(BaseModel):
    """A frozen month."""

    month: str
    frozen_at: datetime


class FrozenMonthsOut(BaseModel):
    """Frozen months."""

    months: list[FrozenMonthOut]


class RateCaseOut(BaseModel):
    """A case behind a number."""

    case: str
    status: str
    category: str
    channel: str
    reported_at: datetime
    due_at: datetime | None
    handled_at: datetime | None
    closed_at: datetime | None
    on_time: bool | None


class RateCasesOut(BaseModel):
    """Cases behind a number, newest first."""

    as_of: datetime
    cases: list[RateCaseOut]
    next: str | None


@router.get(
    "/v1/rates",
    response_model=None,
    responses={
        200: {
            "model": RatesOut,
            "content": {
                MEDIA_TYPES[Form.CSV]: {"schema": {"type": "string"}},
                MEDIA_TYPES[Form.XLSX]: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        304: {"description": "Not changed since the answer that `If-None-Match` names"},
        **problems(400, 401, 403, 422),
    },
)
async def read_rates(request: Request, unit: Counting, container: Wired, caller: Reader, asking: Asking) -> Response:
    """Rates by one dimension, with numerator, denominator and the cases behind each."""
    locale = locale_of(request)
    read = await read_rates_asked(unit, container, asking)
    table, view = await view_rates(unit, locale, read, caller)
    form = accepted_form(request)
    if form in (Form.CSV, Form.XLSX):
        return rates_file(form, locale, read, table.as_of, view)
    return tagged_answer(
        request,
        {
            "as_of": instant(table.as_of),
            "first_day": read.asked.period.from_on.isoformat(),
            "last_day": read.asked.period.to_on.isoformat(),
            "by": table.dimension,
            "drawing": read.drawing.as_json(locale) if read.drawing else None,
            "rates": [_rate(locale, rate) for rate in table.rates],
            "total": _row(view.total, read.asked, total=True, is_open=sees_cases(caller)),
            "worst": None if view.worst is None else _row(view.worst, read.asked, is_open=sees_cases(caller)),
            "rows": [_row(row, read.asked, is_open=sees_cases(caller)) for row in view.rows],
        },
        locale=locale,
    )


@router.get("/v1/rates/{code}/cases", response_model=RateCasesOut, responses=problems(400, 401, 403, 422))
async def read_rate_cases(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Planner,
    asking: Asking,
    code: str,
    part: Word = None,
    key: Word = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The exact cases behind one number: of the numerator, of the denominator, or those that are missing above."""
    asking.rates = [code]
    read = await read_rates_asked(unit, container, asking)
    dimension, wanted = place_of(read.asked, key, part)
    page = await list_rate_cases(
        unit, read.chosen, dimension, key or "", read.asked.rates[0], wanted, limit=limit, cursor=cursor
    )
    return json_answer(
        {
            "as_of": instant(page.as_of),
            "cases": [
                {
                    "case": case.ref,
                    "status": case.state,
                    "category": case.category,
                    "channel": case.channel,
                    "reported_at": instant(case.reported_at),
                    "due_at": instant(case.due_at),
                    "handled_at": instant(case.handled_at),
                    "closed_at": instant(case.closed_at),
                    "on_time": case.is_on_time,
                }
                for case in page.cases
            ],
            "next": page.next,
        },
        locale=locale_of(request),
    )


@router.get("/v1/rates/months", response_model=FrozenMonthsOut, responses=problems(401, 403))
async def read_months(request: Request, unit: Reading, container: Wired, _: Everybody) -> Response:
    """Months whose rates are frozen, newest first."""
    months = await list_frozen(unit, container.settings.jurisdiction)
    body = [{"month": each.month.strftime("%Y-%m"), "frozen_at": instant(each.frozen_at)} for each in months]
    return json_answer({"months": body}, locale=locale_of(request))


@router.get("/v1/rates/months/{month}", response_model=FrozenOut, responses=problems(400, 401, 403, 404, 422))
async def read_month(
    request: Request, unit: Reading, container: Wired, _: Everybody, asking: Asking, month: str
) -> Response:
    """A table of rates as it was frozen, with the versions that the definitions had."""
    locale = locale_of(request)
    read = await read_rates_asked(unit, container, asking)
    table = await read_frozen(
        unit, container.settings.jurisdiction, parse_month(month), read.asked.dimension, read.asked.rates
    )
    keys = [row.key for row in table.rows if row.key]
    view = view_table(locale, table, await read_names(unit, read.chosen.jurisdiction, table.dimension, keys))
    return json_answer(
        {
            "month": month,
            "frozen_at": instant(table.as_of),
            "by": table.dimension,
            "rates": [_rate(locale, rate) | {"version": table.versions[rate]} for rate in table.rates],
            "total": _frozen_row(view.total),
            "rows": [_frozen_row(row) for row in view.rows],
        },
        locale=locale,
    )


def _frozen_row(row: NamedRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.name,
        "rates": {
            rate.value: {
                "numerator": figure.numerator,
                "denominator": figure.denominator,
                "percent": _number(figure.percent),
            }
            for rate, figure in row.figures.items()
        },
    }


def _number(percent: str | None) -> str | None:
    return None if percent is None else percent.replace(",", "")


def _rate(locale: Locale, rate: Rate) -> dict[str, Any]:
    return {
        "code": rate,
        "name": translate(locale, f"rates.rate.{rate.value}"),
        "version": DEFINITIONS[rate].version,
        "definition": translate(locale, f"rates.define.{rate.value}"),
        "more_is_better": DEFINITIONS[rate].more_is_better,
    }


def _row(row: NamedRow, asked: RatesAsked, *, total: bool = False, is_open: bool = True) -> dict[str, Any]:
    figures = {}
    for rate, figure in row.figures.items():
        urls = {
            f"{part.value}_url": f"/v1/rates/{rate.value}/cases?"
            + asked.query(rate=None, part=part.value, **({} if total else {"key": row.key or None}))
            + ("" if total or row.key else "&key=")
            if is_open
            else None
            for part in Part
        }
        figures[rate.value] = {
            "numerator": figure.numerator,
            "denominator": figure.denominator,
            "percent": _number(figure.percent),
            **urls,
        }
    return {"key": row.key, "name": row.name, "rates": figures}
