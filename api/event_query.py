"""The filters of the feed, and events as lines of a table."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Query

from api.case_query import instant_of
from api.event_json import feed_event
from api.schemas import Code, SoundText
from api.sheets import Sheet
from dispatch.feed import FeedEvent, FeedFilter
from geo.errors import Fault, InvalidRequestError
from maps.i18n import Locale, translate

__all__ = ["EventQuery", "event_sheet"]

_COLUMNS = (
    *("id", "at", "type", "case", "seq", "moves", "from", "to", "category", "condition", "channel", "ticket"),
    *("cells", "reported_at", "due_at", "closed_at", "is_on_time"),
)


class EventQuery:
    """The filters of the feed, as one dependency."""

    def __init__(
        self,
        since: Annotated[
            SoundText | None,
            Query(
                alias="from",
                max_length=40,
                description="Happened from; a day or an instant",
                examples=["2026-01-01T00:00:00+08:00"],
            ),
        ] = None,
        until: Annotated[
            SoundText | None, Query(alias="to", max_length=40, description="Happened before; a day is included")
        ] = None,
        cell: Annotated[
            Code | None, Query(description="Code of a cell; everything below it", examples=["410102001001"])
        ] = None,
        category: Annotated[Code | None, Query(description="Minor or major class", examples=["P01"])] = None,
        case: Annotated[Code | None, Query(description="Number of a case")] = None,
    ) -> None:
        faults: list[Fault] = []
        self.asked = FeedFilter(
            since=instant_of(since, "from", faults, is_end=False),
            until=instant_of(until, "to", faults, is_end=True),
            cell=cell,
            category=category,
            ref=case,
        )
        if faults:
            raise InvalidRequestError(faults)


def event_sheet(locale: Locale, zone: ZoneInfo, *, for_programs: bool) -> Sheet[FeedEvent]:
    """The table of events; heads and times for people or for programs."""
    heads = _COLUMNS if for_programs else tuple(translate(locale, f"sheet.event.{name}") for name in _COLUMNS)
    return Sheet(name="events", heads=heads, line=_line, zone=None if for_programs else zone, feature=_feature)


def _line(event: FeedEvent) -> list[Any]:
    case = event.case
    return [
        str(event.cursor),
        event.occurred_at,
        event.type,
        case.ref,
        event.seq,
        " ".join(event.moves),
        event.from_state,
        event.to_state,
        case.category,
        case.condition,
        case.channel,
        case.ticket,
        " ".join(cell["code"] for cell in case.chain),
        case.reported_at,
        case.due_at,
        case.closed_at,
        case.is_on_time,
    ]


def _feature(event: FeedEvent) -> dict[str, Any]:
    case = event.case
    has_place = case.lon is not None and case.lat is not None
    point = {"type": "Point", "coordinates": [round(case.lon or 0, 7), round(case.lat or 0, 7)]}
    return {
        "type": "Feature",
        "id": str(event.cursor),
        "geometry": point if has_place else None,
        "properties": feed_event(event),
    }
