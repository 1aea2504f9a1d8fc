"""Cases as lines of a table."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from api.rendering import feature_json
from api.sheets import Cell, Sheet
from dispatch.case_views import CaseView
from dispatch.masking import mask_text
from maps.i18n import Locale, translate

__all__ = ["case_sheet"]

_COLUMNS = (
    *("case", "status", "status_name", "light", "light_name", "category", "category_name", "condition", "channel"),
    *("channel_name", "ticket", "text", "address", "cell", "cell_name", "chain", "lon", "lat", "departments"),
    *("ledgers", "head", "reported_at", "dispatched_at", "acknowledged_at", "handled_at", "closed_at", "due_at"),
    *("is_on_time", "extensions", "returns", "out_of_grid", "confirm_on_site"),
)


def case_sheet(locale: Locale, zone: ZoneInfo, *, for_programs: bool) -> Sheet[CaseView]:
    """The table of cases.

    Parameters
    ----------
    for_programs
        Heads are the names of the JSON fields and times are in UTC; otherwise both are for people.
    """
    heads = _COLUMNS if for_programs else tuple(translate(locale, f"sheet.case.{name}") for name in _COLUMNS)
    return Sheet(
        name="cases",
        heads=heads,
        line=lambda case: _line(case, locale),
        zone=None if for_programs else zone,
        feature=lambda case: feature_json(case, locale, zone.key),
    )


def _line(case: CaseView, locale: Locale) -> list[Cell]:
    english = locale == "en"
    names = [str(cell["name_en" if english else "name_zh"] or cell["name_zh"] or cell["code"]) for cell in case.chain]
    last = case.chain[-1]["code"] if case.chain else ""
    head = case.head()
    return [
        case.ref,
        case.state.value,
        translate(locale, f"state.{case.state.value}"),
        case.light.value,
        translate(locale, f"light.{case.light.value}"),
        case.category,
        (case.category_en if english else case.category_zh) or case.category_zh,
        case.condition,
        case.channel,
        (case.channel_en if english else case.channel_zh) or case.channel,
        case.ticket,
        mask_text(case.text),
        mask_text(case.address),
        str(last),
        names[-1] if names else "",
        " / ".join(names),
        round(case.lon, 7) if case.lon is not None else None,
        round(case.lat, 7) if case.lat is not None else None,
        " ".join(case.departments),
        " ".join(case.ledgers),
        (head.rung.person_name or head.rung.title(locale)) if head is not None else "",
        case.reported_at,
        case.dispatched_at,
        case.acknowledged_at,
        case.handled_at,
        case.closed_at,
        case.due_at,
        case.is_on_time,
        case.extension_count,
        case.return_count,
        case.how == "out_of_grid",
        case.confirm_on_site,
    ]
