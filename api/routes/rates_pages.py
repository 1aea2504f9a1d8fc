"""Pages and files of the rates: the table for people, the cases behind a number, printed figures, CSV and XLSX."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.container import Counting, Reading, Wired
from api.demo.published import PRINTED
from api.errors import message_of
from api.formats import Form
from api.language import locale_of
from api.rates_files import rates_file
from api.rates_reading import Asking, Planner, Reader, Word, name_of, place_of, read_rates_asked, sees_cases, view_rates
from api.templating import render
from dispatch.evaluation import Dimension, Rate
from dispatch.queries import database_now
from dispatch.rate_names import read_names
from dispatch.rates import RateFilter, count_rates, has_cases, list_rate_cases
from dispatch.reference import Ledger, Reference
from dispatch.states import Origin
from geo.errors import BadInputError, InvalidRequestError
from geo.storage.uow import ReadUnit
from maps.i18n import Locale, subset, translate
from maps.rates.page import cases_context, printed_context, rates_context
from maps.rates.published import Compared, compare

router = APIRouter(include_in_schema=False)


@router.get("/maps/rates")
async def read_rates_page(
    request: Request, unit: Counting, container: Wired, caller: Reader, asking: Asking
) -> Response:
    """The finding, the table with its worst class, printed figures, definitions."""
    locale = locale_of(request)
    try:
        read = await read_rates_asked(unit, container, asking)
    except InvalidRequestError as error:
        return _refuse(request, locale, error)
    table, view = await view_rates(unit, locale, read, caller)
    context = rates_context(
        locale,
        view,
        query=read.asked.query,
        period=read.asked.period,
        filters={name: getattr(read.asked, name) for name in ("category", "channel", "ledger", "department", "cell")},
        choices=_choices(locale, read.reference),
        grid=read.grid(locale),
        boundaries=read.asked.boundaries.value,
        sees_cases=sees_cases(caller),
        has_printed=sees_cases(caller) and await has_cases(unit, container.settings.jurisdiction, Origin.DEMO.value),
        as_of=table.as_of,
        zone=read.zone,
        today=read.today,
        place=read.place(locale),
        root=request.scope.get("root_path", ""),
    )
    return render("rates.html", context, locale=locale)


@router.get("/maps/rates/cases")
async def read_cases_page(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Planner,
    asking: Asking,
    part: Word = None,
    key: Word = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The exact cases behind one number, for people."""
    locale = locale_of(request)
    try:
        read = await read_rates_asked(unit, container, asking)
    except InvalidRequestError as error:
        return _refuse(request, locale, error)
    dimension, wanted = place_of(read.asked, key, part)
    rate = read.asked.rates[0]
    page = await list_rate_cases(unit, read.chosen, dimension, key or "", rate, wanted, limit=200, cursor=cursor)
    names = await read_names(unit, read.chosen.jurisdiction, dimension, [key] if key else [])
    context = cases_context(
        locale,
        page,
        rate=rate,
        part=wanted,
        row=name_of(locale, names, key),
        query=read.asked.query,
        key=key,
        categories={c.code: c.name(locale) for c in read.reference.categories.values()},
        period=read.asked.period,
        zone=read.zone,
        today=read.today,
        place=read.place(locale),
        root=request.scope.get("root_path", ""),
    )
    return render("rates_cases.html", context, locale=locale)


@router.get("/maps/rates/file")
async def read_rates_file(
    request: Request, unit: Counting, container: Wired, caller: Reader, asking: Asking, form: Word = None
) -> Response:
    """The table as CSV or XLSX."""
    locale = locale_of(request)
    read = await read_rates_asked(unit, container, asking)
    table, view = await view_rates(unit, locale, read, caller)
    if form not in (None, "csv", "xlsx"):
        raise BadInputError("rates.unknown_form", pointer="/form", form=form, known="csv, xlsx")
    return rates_file(Form(form or "csv"), locale, read, table.as_of, view)


@router.get("/maps/rates/printed")
async def read_printed_page(request: Request, unit: Reading, container: Wired, _: Planner) -> Response:
    """Figures as subdistricts printed them, beside what the demo district counts."""
    locale = locale_of(request)
    reference = await container.reference.get()
    code = container.settings.jurisdiction
    found = reference.jurisdictions.get(code)
    context = printed_context(
        locale,
        await _printed(unit, locale, code, reference),
        place=found.name(locale) if found else "",
        as_of=await database_now(unit),
        zone=found.time_zone if found else "Asia/Shanghai",
        root=request.scope.get("root_path", ""),
    )
    return render("rates_printed.html", context, locale=locale)


async def _printed(
    unit: ReadUnit, locale: Locale, jurisdiction: str, reference: Reference
) -> list[tuple[str, Compared]]:
    """Return the printed figures beside ours; nothing where the demo district is not loaded."""
    if not await has_cases(unit, jurisdiction, Origin.DEMO.value):
        return []
    cells = sorted({figure.cell for figure in PRINTED})
    names = await read_names(unit, jurisdiction, Dimension.LEVEL_1, cells)
    ever = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))

    def chosen(area: tuple[str, ...] | None) -> RateFilter:
        return RateFilter(
            jurisdiction=jurisdiction,
            period_from=ever[0],
            period_until=ever[1],
            origin=Origin.DEMO.value,
            area=area,
        )

    table = await count_rates(unit, chosen(None), Dimension.LEVEL_1, [Rate.SOLVED])
    counted = {(row.key, ""): row.counts[Rate.SOLVED] for row in table.rows}
    for cell in cells:
        if any(figure.ledger for figure in PRINTED if figure.cell == cell):
            tags = await count_rates(unit, chosen((cell,)), Dimension.LEDGER, [Rate.SOLVED])
            counted |= {(cell, row.key): row.counts[Rate.SOLVED] for row in tags.rows}
    labelled = []
    for figure in compare(PRINTED, counted):
        ledger = reference.ledgers.get(figure.printed.ledger)
        parts = [name_of(locale, names, figure.printed.cell), figure.printed.year]
        labelled.append((" · ".join([*parts, *([_ledger_name(locale, ledger)] if ledger else [])]), figure))
    return labelled


def _choices(locale: Locale, reference: Reference) -> dict[str, list[tuple[str, str]]]:
    return {
        "category": [(c.code, c.name(locale)) for c in reference.categories.values() if c.parent is None]
        + [(c.code, c.name(locale)) for c in reference.categories.values() if c.parent is not None],
        "channel": [(c.code, c.name(locale)) for c in reference.channels.values()],
        "ledger": [(each.code, _ledger_name(locale, each)) for each in reference.ledgers.values()],
    }


def _ledger_name(locale: Locale, ledger: Ledger) -> str:
    return (ledger.name_en if locale == "en" else ledger.name_zh) or ledger.name_zh or ledger.code


def _refuse(request: Request, locale: Locale, error: InvalidRequestError) -> Response:
    """Answer a person with a page that names every fault, and a program with the problem document."""
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    context = {
        "locale": locale,
        "root": request.scope.get("root_path", ""),
        "texts": subset(locale, "planner.") | subset(locale, "console."),
        "heading": translate(locale, "planner.error.heading"),
        "faults": [message_of(locale, fault.code, fault.params) for fault in error.faults],
        "words": "",
    }
    return render("heat_error.html", context, locale=locale, status=422)
