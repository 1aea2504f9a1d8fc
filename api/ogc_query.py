"""What a request to the OGC door asks for, read by the letter of OGC API – Features Part 1. No database, no web.

The framework would refuse a bad parameter with 422 and let an unknown one pass; the standard wants 400 for both.
Source: OGC 17-069r4, §7.15 (bbox, datetime, limit), §7.5.1 (HTTP 1.1), Requirements 8 and 9 (unknown, invalid).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from api.spelling import is_storable
from geo.errors import Fault, InvalidRequestError, json_pointer

__all__ = [
    "DEFAULT_LIMIT",
    "MOST_LIMIT",
    "Box",
    "ItemsQuery",
    "OgcQueryError",
    "make_cursor",
    "parse_items",
    "parse_only",
]

Box = tuple[float, float, float, float]
Span = tuple[datetime | None, datetime | None]

DEFAULT_LIMIT: Final = 100
MOST_LIMIT: Final = 10_000
#: Understood everywhere: the form of the answer and its language.
_ALWAYS: Final = frozenset({"f", "lang"})
_FORMS: Final = frozenset({"json", "geojson"})
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_TICK: Final = timedelta(microseconds=1)
_MOST_TEXT: Final = 120


class OgcQueryError(InvalidRequestError):
    """All faults of one query; 400 at this door, as the standard asks."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults)
        self.code = "ogc.bad_query"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsQuery:
    """What is asked of a collection.

    Parameters
    ----------
    boxes
        One box; two for a box that crosses the antimeridian; none for everywhere. SRID: 4326.
    span
        Closed interval; None at an end means open; None as a whole means that no time was given.
    after
        Where the page before ended.
    equal
        Properties and the values asked for.
    """

    limit: int = DEFAULT_LIMIT
    boxes: tuple[Box, ...] = ()
    span: Span | None = None
    after: str | None = None
    equal: Mapping[str, str] = field(default_factory=dict)


def parse_only(pairs: Sequence[tuple[str, str]]) -> None:
    """Read the query of a resource that has no parameters of its own.

    Raises
    ------
    OgcQueryError
        ``ogc.unknown_parameter``, ``ogc.repeated``, ``ogc.bad_form``.
    """
    faults: list[Fault] = []
    _values(pairs, frozenset(), faults)
    if faults:
        raise OgcQueryError(faults)


def parse_items(pairs: Sequence[tuple[str, str]], queryables: Sequence[str], time_zone: str) -> ItemsQuery:
    """Read the query of a collection's items; every fault is told at once.

    Parameters
    ----------
    pairs
        Names and values in the order of the query.
    time_zone
        Zone: a day without a time means that whole day here.

    Raises
    ------
    OgcQueryError
        ``ogc.unknown_parameter``, ``ogc.repeated``, ``ogc.bad_form``, ``ogc.bad_limit``, ``ogc.bad_bbox``,
        ``ogc.bad_datetime``, ``ogc.bad_cursor``, ``ogc.bad_value``.

    Examples
    --------
    A box across the antimeridian becomes two:

    >>> parse_items([("bbox", "170,-10,-170,10")], (), "UTC").boxes
    ((170.0, -10.0, 180.0, 10.0), (-180.0, -10.0, -170.0, 10.0))

    A limit that is too large is no fault:

    >>> parse_items([("limit", "1000000")], (), "UTC").limit
    10000
    """
    faults: list[Fault] = []
    own = frozenset({"limit", "bbox", "datetime", "cursor", *queryables})
    values = _values(pairs, own, faults)
    query = ItemsQuery(
        limit=_limit(values.get("limit"), faults),
        boxes=_boxes(values.get("bbox"), faults),
        span=_span(values.get("datetime"), ZoneInfo(time_zone), faults),
        after=_after(values.get("cursor"), faults),
        equal={name: values[name] for name in queryables if name in values},
    )
    if faults:
        raise OgcQueryError(faults)
    return query


def _values(pairs: Sequence[tuple[str, str]], own: frozenset[str], faults: list[Fault]) -> dict[str, str]:
    known = own | _ALWAYS
    values: dict[str, str] = {}
    for name, value in pairs:
        shown = name[:40]
        if name not in known:
            facts = {"field": shown, "known": ", ".join(sorted(known))}
            faults.append(_fault("ogc.unknown_parameter", shown, **facts))
        elif name in values:
            faults.append(_fault("ogc.repeated", name, field=name))
        elif not is_storable(value) or len(value) > 400:
            faults.append(_fault("ogc.bad_value", name, field=name))
        else:
            values[name] = value
    if values.get("f", "json") not in _FORMS:
        faults.append(_fault("ogc.bad_form", "f", value=values["f"][:40], known=", ".join(sorted(_FORMS))))
    return values


def _limit(text: str | None, faults: list[Fault]) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        faults.append(_fault("ogc.bad_limit", "limit", value=text[:40], most=MOST_LIMIT))
        return DEFAULT_LIMIT
    return min(int(text), MOST_LIMIT)


def _boxes(text: str | None, faults: list[Fault]) -> tuple[Box, ...]:
    if text is None:
        return ()
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    # With heights the box has six numbers; cells and cases have none, so they lie at every height.
    if len(numbers) == 6 and numbers[2] <= numbers[5]:
        numbers = [*numbers[:2], *numbers[3:5]]
    is_sound = len(numbers) == 4 and all(map(math.isfinite, numbers))
    if is_sound:
        west, south, east, north = numbers
        if -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90:
            if west <= east:
                return ((west, south, east, north),)
            return (west, south, 180.0, north), (-180.0, south, east, north)
    faults.append(_fault("ogc.bad_bbox", "bbox", value=text[:_MOST_TEXT]))
    return ()


def _span(text: str | None, zone: ZoneInfo, faults: list[Fault]) -> Span | None:
    if text is None:
        return None
    # A plus sign that was not percent-encoded arrives as a space; there is no other reading of it.
    parts = text.strip().replace(" ", "+").split("/")
    try:
        if len(parts) == 1:
            return _moment(parts[0], zone, is_end=False), _moment(parts[0], zone, is_end=True)
        if len(parts) == 2:
            since, until = (
                None if part in ("", "..") else _moment(part, zone, is_end=is_end)
                for part, is_end in zip(parts, (False, True), strict=True)
            )
            if since is None or until is None or since <= until:
                return since, until
    except (ValueError, OverflowError):
        pass
    faults.append(_fault("ogc.bad_datetime", "datetime", value=text[:_MOST_TEXT]))
    return None


def _moment(text: str, zone: ZoneInfo, *, is_end: bool) -> datetime:
    if _DAY.fullmatch(text):
        day = datetime.combine(date.fromisoformat(text), time.min, zone)
        return (day + timedelta(days=1) - _TICK if is_end else day).astimezone(UTC)
    if not _INSTANT.fullmatch(text):
        raise ValueError(text)
    # A leap second exists in RFC 3339 and not in Python: it counts as the second before.
    return datetime.fromisoformat(text.upper().replace(":60Z", ":59Z")).astimezone(UTC)


def make_cursor(*parts: object) -> str:
    """Write a place in the order of the pages, opaque to callers."""
    return base64.urlsafe_b64encode("|".join(map(str, parts)).encode()).decode()


def _after(text: str | None, faults: list[Fault]) -> str | None:
    if text is None:
        return None
    try:
        return base64.urlsafe_b64decode(text.encode("ascii")).decode()
    except (ValueError, binascii.Error, UnicodeError):
        faults.append(_fault("ogc.bad_cursor", "cursor", value=text[:_MOST_TEXT]))
        return None


def _fault(code: str, name: str, **params: object) -> Fault:
    return Fault(code=code, pointer=json_pointer(name), params=params)
