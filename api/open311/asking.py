"""The questions of ``GET requests``, read to the letter: an empty parameter is an absent one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams

from api.open311.door import words_of
from api.spelling import is_storable
from dispatch.public_requests import MOST_ROWS, RequestQuery
from geo.errors import Fault, InvalidRequestError

__all__ = ["Asked", "read_question"]

SPAN: Final = timedelta(days=90)
_MOST_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with its page."""

    query: RequestQuery
    page: int
    page_size: int
    has_extensions: bool


def read_question(params: QueryParams, now: datetime, zone: ZoneInfo, hidden: tuple[str, ...]) -> Asked:
    """Read the parameters.

    Parameters
    ----------
    zone
        Of days; an instant names its own. Zone: the jurisdiction's.
    hidden
        Services that are not shown.

    Raises
    ------
    InvalidRequestError
        All faults at once.
    """
    faults: list[Fault] = []
    page = _number(params, "page", 1, _MOST_PAGE, faults)
    page_size = _number(params, "page_size", MOST_ROWS, MOST_ROWS, faults)
    has_extensions = _one(params, "extensions").lower() in {"true", "1"}
    refs = words_of(params.getlist("service_request_id"))
    faults.extend(
        Fault(code="open311.bad_character", pointer=f"/{name[:40]}", params={"field": name[:40]})
        for name, value in params.multi_items()
        if not is_storable(value)
    )
    if len(refs) > MOST_ROWS:
        params_of = {"field": "service_request_id", "most": MOST_ROWS}
        faults.append(Fault(code="open311.too_many_values", pointer="/service_request_id", params=params_of))
    if refs:
        # The list overrides all other arguments, wrong ones included.
        query = RequestQuery(refs=tuple(dict.fromkeys(refs)), left_out=hidden)
    else:
        begin, end = _range(params, now, zone, faults)
        query = RequestQuery(
            begin=begin,
            end=end,
            services=tuple(dict.fromkeys(words_of(params.getlist("service_code")))),
            is_open=_status(params, faults),
            left_out=hidden,
        )
    if faults:
        raise InvalidRequestError(faults)
    return Asked(query=query, page=page, page_size=page_size, has_extensions=has_extensions)


def _one(params: QueryParams, name: str) -> str:
    return next((value.strip() for value in params.getlist(name) if value.strip()), "")


def _number(params: QueryParams, name: str, default: int, most: int, faults: list[Fault]) -> int:
    text = _one(params, name)
    if not text:
        return default
    if re.fullmatch("[0-9]{1,6}", text) and 1 <= int(text) <= most:
        return int(text)
    faults.append(Fault(code="open311.bad_number", pointer=f"/{name}", params={"field": name, "most": most}))
    return default


def _status(params: QueryParams, faults: list[Fault]) -> bool | None:
    words = {word.lower() for word in words_of(params.getlist("status"))}
    faults.extend(
        Fault(code="open311.bad_status", pointer="/status", params={"status": word[:40]})
        for word in sorted(words - {"open", "closed"})
    )
    return None if len(words) != 1 else words == {"open"}


def _range(params: QueryParams, now: datetime, zone: ZoneInfo, faults: list[Fault]) -> tuple[datetime, datetime]:
    begin = _instant(params, "start_date", zone, faults, is_end=False)
    end = _instant(params, "end_date", zone, faults, is_end=True)
    try:
        if begin is None:
            begin = (end or now) - SPAN
            end = end or now + timedelta(seconds=1)
        elif end is None:
            end = begin + SPAN
    except OverflowError:
        field = "start_date" if begin else "end_date"
        faults.append(Fault(code="open311.bad_instant", pointer=f"/{field}", params={"field": field}))
        return now, now
    assert end is not None
    if end < begin:
        faults.append(Fault(code="open311.range_backwards", pointer="/end_date"))
    # A day that is named as the end is included: ninety of them end a moment before the ninety-first.
    elif end - begin > SPAN + timedelta(days=1):
        faults.append(Fault(code="open311.range_too_long", pointer="/end_date", params={"days": SPAN.days}))
    return begin, end


def _instant(params: QueryParams, name: str, zone: ZoneInfo, faults: list[Fault], *, is_end: bool) -> datetime | None:
    text = _one(params, name)
    if not text:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.max if is_end else time.min, zone).astimezone(UTC)
        # A plus sign that was not percent-encoded arrives as a space; there is no other reading of it.
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        faults.append(Fault(code="open311.bad_instant", pointer=f"/{name}", params={"field": name}))
        return None
