"""The filters of a list of cases, read from the query; all faults at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import shapely
from fastapi import Query

from api.accounts.callers import Caller
from api.container import Wired
from api.schemas import Code, SoundText
from dispatch.case_views import CaseFilter, Inbox
from dispatch.states import CaseState, Light
from dispatch.words import MOST_LETTERS, split_words
from geo.errors import BadInputError, Fault, InvalidRequestError

__all__ = ["CaseQuery", "box_of", "for_caller", "instant_of"]

MOST_SHAPE: Final = 20_000
"""Letters of a polygon: some 600 corners; an address line has no room for more."""


def for_caller(asked: CaseFilter, caller: Caller) -> CaseFilter:
    """A filter narrowed to the channel of a key that sees only its own.

    Raises
    ------
    BadInputError
        ``dispatch.other_channel``.
    """
    if caller.sees_channel is None:
        return asked
    if asked.channel is not None and asked.channel != caller.sees_channel:
        raise BadInputError("dispatch.other_channel", pointer="/channel", channel=asked.channel)
    return replace(asked, channel=caller.sees_channel)


class CaseQuery:
    """The filters of a list, as one dependency."""

    def __init__(
        self,
        container: Wired,
        status: Annotated[
            Code | None, Query(description="`open`, or a state such as `dispatched`", examples=["open"])
        ] = None,
        inbox: Annotated[Inbox | None, Query(description="One of the dispatcher's inboxes")] = None,
        cell: Annotated[
            Code | None, Query(description="Code of a cell of any level; everything below it", examples=["410102001"])
        ] = None,
        category: Annotated[Code | None, Query(description="Minor or major class", examples=["P0102"])] = None,
        channel: Annotated[Code | None, Query(description="Channel the report came through")] = None,
        ledger: Annotated[Code | None, Query(description="Ledger tag")] = None,
        department: Annotated[Code | None, Query(description="Code of a department that has a part in it")] = None,
        since: Annotated[
            SoundText | None,
            Query(
                alias="from",
                max_length=40,
                description="Reported from; a day or an instant",
                examples=["2026-01-01", "2026-01-01T08:00:00+08:00"],
            ),
        ] = None,
        until: Annotated[
            SoundText | None,
            Query(alias="to", max_length=40, description="Reported until; a day is included", examples=["2026-12-31"]),
        ] = None,
        bbox: Annotated[
            SoundText | None,
            Query(max_length=120, description="west,south,east,north in WGS84", examples=["113.6,34.7,113.7,34.8"]),
        ] = None,
        within: Annotated[
            SoundText | None,
            Query(
                max_length=MOST_SHAPE,
                description="A polygon that covers the position, as WKT or GeoJSON, WGS84",
                examples=["POLYGON((113.6 34.7,113.7 34.7,113.7 34.8,113.6 34.7))"],
            ),
        ] = None,
        light: Annotated[
            Light | None, Query(description="Colour of the deadline, as it is now", examples=["red"])
        ] = None,
        q: Annotated[
            SoundText | None,
            Query(
                max_length=MOST_LETTERS,
                description="Words in text, address, number or ticket; several separated by blanks must all be there",
                examples=["井盖 锦绣小区"],
            ),
        ] = None,
    ) -> None:
        faults: list[Fault] = []
        states, only_open = _states(status, faults)
        self.asked = CaseFilter(
            inbox=inbox,
            states=states,
            only_open=only_open,
            cell_code=cell,
            category=category,
            channel=channel,
            ledger=ledger,
            department=department,
            reported_from=instant_of(since, "from", faults, is_end=False),
            reported_until=instant_of(until, "to", faults, is_end=True),
            box=box_of(bbox, faults),
            within=_shape(within, faults),
            light=light,
            words=split_words(q or ""),
            jurisdiction=container.settings.jurisdiction,
        )
        if faults:
            raise InvalidRequestError(faults)


def _states(status: str | None, faults: list[Fault]) -> tuple[tuple[CaseState, ...], bool]:
    if status is None or status == "open":
        return (), status == "open"
    try:
        return (CaseState(status),), False
    except ValueError:
        known = ", ".join(["open", *CaseState])
        faults.append(Fault(code="dispatch.unknown_state", pointer="/status", params={"state": status, "known": known}))
        return (), False


def instant_of(text: str | None, name: str, faults: list[Fault], *, is_end: bool) -> datetime | None:
    """A day means its beginning, or as an end its last moment; Zone: days are those of China Standard Time."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            at = datetime.combine(day, time.max if is_end else time.min, ZoneInfo("Asia/Shanghai"))
        else:
            # A plus sign that was not percent-encoded arrives as a space; there is no other reading of it.
            at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        faults.append(Fault(code="request.not_a_time", pointer=f"/{name}", params={"field": name}))
        return None


def box_of(text: str | None, faults: list[Fault]) -> tuple[float, float, float, float] | None:
    """Read west, south, east, north. SRID: 4326."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    # Written so that NaN fails every comparison and falls through to the fault.
    if -180 <= west <= east <= 180 and -90 <= south <= north <= 90:
        return west, south, east, north
    faults.append(Fault(code="request.not_a_box", pointer="/bbox", params={"field": "bbox"}))
    return None


def _shape(text: str | None, faults: list[Fault]) -> str | None:
    if text is None:
        return None
    try:
        shape = shapely.from_geojson(text) if text.lstrip().startswith("{") else shapely.from_wkt(text)
    except (shapely.errors.GEOSException, ValueError, TypeError):
        shape = None
    if shape is None or shape.geom_type not in {"Polygon", "MultiPolygon"} or shape.is_empty or shape.has_z:
        faults.append(Fault(code="request.not_a_polygon", pointer="/within", params={"field": "within"}))
        return None
    west, south, east, north = shape.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90) or not shape.is_valid:
        faults.append(Fault(code="request.bad_polygon", pointer="/within", params={"field": "within"}))
        return None
    return str(shapely.to_wkt(shape, rounding_precision=-1))
