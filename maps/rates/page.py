"""What the pages of the rates show, from plain values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dispatch.evaluation import DEFINITIONS, Dimension, Part, Rate
from dispatch.rates import RatePage
from maps.figures import format_count
from maps.findings import Period, describe_period
from maps.i18n import Locale, subset, translate
from maps.rates.published import Compared, Verdict
from maps.rates.table import FEWEST, NamedRow, RatesView, word_finding

__all__ = ["cases_context", "printed_context", "rates_context"]

Query = Callable[..., str]


def _frame(locale: Locale, *, root: str, place: str, other_query: str) -> dict[str, Any]:
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    return {
        "locale": locale,
        "root": root,
        "place": place,
        "texts": subset(locale, "planner.")
        | subset(locale, "console.")
        | subset(locale, "rates.")
        | {"measures.heading": translate(locale, "measures.heading")},
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "other_query": other_query + ("&" if other_query else "") + f"lang={other}",
    }


def _stand(as_of: datetime, zone: str) -> str:
    return as_of.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def rates_context(
    locale: Locale,
    view: RatesView,
    *,
    query: Query,
    period: Period,
    filters: Mapping[str, str],
    choices: Mapping[str, Sequence[tuple[str, str]]],
    has_printed: bool,
    sees_cases: bool,
    grid: str,
    boundaries: str,
    as_of: datetime,
    zone: str,
    today: str,
    place: str,
    root: str,
) -> dict[str, Any]:
    """Return the context of ``rates.html``."""
    said = describe_period(locale, period, today=date.fromisoformat(today))
    return _frame(locale, root=root, place=place, other_query=query()) | {
        "title": word_finding(locale, view, period=said),
        "rates": [(rate.value, translate(locale, f"rates.rate.{rate.value}")) for rate in view.rates],
        "all_rates": [(rate.value, translate(locale, f"rates.rate.{rate.value}")) for rate in Rate],
        "dimensions": [(each.value, translate(locale, f"rates.by.{each.value}")) for each in Dimension],
        "dimension": view.dimension.value,
        "sees_cases": sees_cases,
        "period": period,
        "today": today,
        "filters": filters,
        "choices": choices,
        "total": _row(locale, view.total, query, total=True),
        "worst": None if view.worst is None else _row(locale, view.worst, query),
        "rows": [_row(locale, row, query) for row in view.rows],
        "fewest": FEWEST,
        "definitions": [
            (
                translate(locale, f"rates.rate.{rate.value}"),
                translate(locale, f"rates.define.{rate.value}"),
                DEFINITIONS[rate].version,
            )
            for rate in view.rates
        ],
        "csv_url": f"{root}/maps/rates/file?{query(form='csv', lang=locale)}",
        "xlsx_url": f"{root}/maps/rates/file?{query(form='xlsx', lang=locale)}",
        "bulletin_url": f"{root}/maps/bulletin?lang={locale}",
        "grid": grid,
        "boundaries": boundaries,
        "all_boundaries": [(each, translate(locale, f"hotspots.boundaries.{each}")) for each in ("now", "day")],
        "printed_url": f"{root}/maps/rates/printed?lang={locale}" if has_printed else "",
        "as_of": _stand(as_of, zone),
        "zone": zone,
    }


def _row(locale: Locale, row: NamedRow, query: Query, *, total: bool = False) -> dict[str, Any]:
    figures = []
    for rate, figure in row.figures.items():
        key = {} if total else {"key": row.key}
        urls = {
            part.value: query(rate=rate.value, part=part.value, lang=locale, **key)
            + ("" if total or row.key else "&key=")
            for part in Part
        }
        figures.append(
            {
                "percent": figure.percent,
                "numerator": format_count(figure.numerator),
                "denominator": format_count(figure.denominator),
                "missing": format_count(figure.denominator - figure.numerator),
                "urls": urls,
            }
        )
    return {"key": row.key, "name": row.name, "figures": figures}


def cases_context(
    locale: Locale,
    page: RatePage,
    *,
    rate: Rate,
    part: Part,
    row: str,
    query: Query,
    key: str | None,
    categories: Mapping[str, str],
    period: Period,
    zone: str,
    today: str,
    place: str,
    root: str,
) -> dict[str, Any]:
    """Return the context of ``rates_cases.html``."""
    kept = {"rate": rate.value, "part": part.value} | ({} if key is None else {"key": key})
    suffix = "&key=" if key == "" else ""
    local = ZoneInfo(zone)

    def at(instant: datetime | None) -> str:
        return instant.astimezone(local).strftime("%Y-%m-%d %H:%M") if instant else ""

    said = describe_period(locale, period, today=date.fromisoformat(today))
    return _frame(locale, root=root, place=place, other_query=query(**kept) + suffix) | {
        "title": translate(
            locale,
            f"rates.cases.{part.value}",
            period=said,
            rate=translate(locale, f"rates.rate.{rate.value}"),
            row=row or translate(locale, "rates.total"),
        ),
        "define": translate(locale, f"rates.define.{rate.value}"),
        "back_url": f"{root}/maps/rates?{query(rate=None, lang=locale)}",
        "cases": [
            {
                "ref": case.ref,
                "state": translate(locale, f"state.{case.state}"),
                "category": categories.get(case.category, case.category),
                "reported": at(case.reported_at),
                "due": at(case.due_at),
                "handled": at(case.handled_at),
                "closed": at(case.closed_at),
            }
            for case in page.cases
        ],
        "next_url": "" if page.next is None else "?" + query(cursor=page.next, lang=locale, **kept) + suffix,
        "as_of": _stand(page.as_of, zone),
    }


def printed_context(
    locale: Locale, figures: Sequence[tuple[str, Compared]], *, place: str, as_of: datetime, zone: str, root: str
) -> dict[str, Any]:
    """Return the context of ``rates_printed.html``."""
    wrong = sum(each.verdict is Verdict.WRONG for _, each in figures)
    return _frame(locale, root=root, place=place, other_query="") | {
        "title": translate(locale, "rates.printed.title", wrong=wrong, count=len(figures)),
        "figures": [
            {
                "label": label,
                "printed": each.printed.percent,
                "fraction": _fraction(each),
                "recomputed": each.recomputed,
                "counted": f"{format_count(each.counted[0])} / {format_count(each.counted[1])}",
                "counted_percent": each.counted_percent,
                "range": f"{format_count(each.low)}–{format_count(each.high)}"
                if each.low < each.high
                else format_count(each.low),
                "verdict": each.verdict.value,
                "words": translate(locale, f"rates.verdict.{each.verdict.value}"),
            }
            for label, each in figures
        ],
        "as_of": _stand(as_of, zone),
    }


def _fraction(figure: Compared) -> str:
    above = "?" if figure.printed.numerator is None else format_count(figure.printed.numerator)
    return f"{above} / {format_count(figure.printed.denominator)}"
