"""Published holiday tables as files: CSV with a day per row, and iCalendar as calendar programs export it. Pure.

Every fault names its line and what would be right; a table with one unreadable row is not loaded at all, because a
missing make-up workday would move deadlines in silence.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from dispatch.calendars import CalendarDay, DayKind
from geo.errors import BadInputError, Fault, InvalidRequestError

__all__ = ["check_table", "decode_table", "read_csv", "read_ics"]

_MOST_FAULTS: Final = 20
_MOST_DAYS: Final = 400
_HEADER: Final = {
    "date": "date", "day": "date", "日期": "date",
    "kind": "kind", "type": "kind", "类型": "kind", "安排": "kind", "状态": "kind",
    "name": "name", "holiday": "name", "名称": "name", "节日": "name", "说明": "name",
}  # fmt: skip
_KINDS: Final = {
    **dict.fromkeys(("holiday", "off", "休", "放假", "休息", "节假日", "假日", "公休"), DayKind.HOLIDAY),
    **dict.fromkeys(
        ("workday", "work", "班", "上班", "补班", "调休上班", "调休", "工作日", "make-up", "makeup"), DayKind.WORKDAY
    ),
    **dict.fromkeys(("morning", "上午", "上午上班", "下午放假", "半天上午"), DayKind.MORNING),
    **dict.fromkeys(("afternoon", "下午", "下午上班", "上午放假", "半天下午"), DayKind.AFTERNOON),
}
#: Words in an iCalendar summary that say that a day is worked; everything else in a holiday calendar is a day off.
_WORK_WORDS: Final = re.compile(r"补班|上班|调休日|[（(]班[)）]|班$|\bwork(?:ing)?\s*day\b|make-?up", re.IGNORECASE)
_DATE: Final = re.compile(r"^(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?$")
#: The words that seeded tables use, so that a loaded table has the same names as a shipped one.
_WORDS: Final = {
    "元旦": "new_years_day", "春节": "spring_festival", "清明": "tomb_sweeping_day", "劳动节": "labour_day",
    "端午": "dragon_boat_festival", "中秋": "mid_autumn_festival", "国庆": "national_day",
}  # fmt: skip


def decode_table(data: bytes) -> str:
    """Text of a file as offices save it: UTF-8 with or without BOM, UTF-16 with BOM, or GB18030.

    Raises
    ------
    BadInputError
        ``calendar.not_text``.
    """
    marks = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8")
    for attempt in (encoding, "gb18030"):
        try:
            text = data.decode(attempt)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise BadInputError("calendar.not_text", pointer="/line/1")


def read_csv(text: str) -> tuple[CalendarDay, ...]:
    """Read ``date,kind,name``; Chinese headers and words are understood, the name may be left out.

    Raises
    ------
    InvalidRequestError
        Every fault with its line: ``calendar.csv_header``, ``calendar.bad_date``, ``calendar.bad_kind``,
        ``calendar.day_twice``.

    Examples
    --------
    >>> [(row.day.isoformat(), row.kind.value, row.name) for row in read_csv("日期,类型,名称\\n2027-01-01,休,元旦")]
    [('2027-01-01', 'holiday', 'new_years_day')]
    """
    faults: list[Fault] = []
    lines = text.splitlines()
    dialect = next((mark for mark in (",", ";", "\t") if lines and mark in lines[0]), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=dialect)
    found: list[tuple[int, CalendarDay]] = []
    try:
        header = [_HEADER.get(name.strip().lower()) for name in next(rows, [])]
        if "date" not in header or "kind" not in header:
            raise InvalidRequestError([_fault("calendar.csv_header", 1)])
        for values in rows:
            if not any(value.strip() for value in values):
                continue
            cells = {name: value.strip() for name, value in zip(header, values, strict=False) if name}
            day = _date(cells.get("date", ""))
            kind = _KINDS.get(cells.get("kind", "").lower())
            if day is None:
                faults.append(_fault("calendar.bad_date", rows.line_num, text=cells.get("date", "")[:20]))
            elif kind is None:
                known = "holiday/休, workday/班, morning/上午, afternoon/下午"
                text_ = cells.get("kind", "")[:20]
                faults.append(_fault("calendar.bad_kind", rows.line_num, text=text_, known=known))
            else:
                found.append((rows.line_num, CalendarDay(day=day, kind=kind, name=_word(cells.get("name", "")))))
    except csv.Error:
        faults.append(_fault("calendar.row_unreadable", rows.line_num))
    return _unique(found, faults)


@dataclass(slots=True)
class _Event:
    line: int
    first: date | None = None
    last: date | None = None
    summary: str = ""
    categories: str = ""
    faults: list[Fault] = field(default_factory=list)


def read_ics(text: str) -> tuple[CalendarDay, ...]:
    """Read the all-day events of an iCalendar file (RFC 5545): days off, and make-up workdays by their words.

    Raises
    ------
    InvalidRequestError
        ``calendar.ics_not`` when it is no iCalendar, ``calendar.ics_rule`` for a repeating event,
        ``calendar.ics_time`` for one with a time of day, ``calendar.bad_date``, ``calendar.day_twice``.
    """
    lines = _unfolded(text)
    if not any(line.strip().upper() == "BEGIN:VCALENDAR" for _, line in lines):
        raise InvalidRequestError([_fault("calendar.ics_not", 1)])
    faults: list[Fault] = []
    found: list[tuple[int, CalendarDay]] = []
    inside: list[str] = []
    event: _Event | None = None
    for number, line in lines:
        name, _, value = line.partition(":")
        word, _, parameters = name.upper().partition(";")
        if word == "BEGIN":
            inside.append(value.strip().upper())
            if inside[-1] == "VEVENT":
                event = _Event(line=number)
        elif word == "END":
            if event is not None and value.strip().upper() == "VEVENT":
                _take(event, found, faults)
                event = None
            if inside:
                inside.pop()
        elif event is not None and inside and inside[-1] == "VEVENT":
            _property(event, number, word, parameters, value.strip())
    return _unique(found, faults)


def _property(event: _Event, number: int, word: str, parameters: str, value: str) -> None:
    match word:
        case "DTSTART" | "DTEND":
            if "T" in value or "VALUE=DATE-TIME" in parameters:
                event.faults.append(_fault("calendar.ics_time", number))
                return
            day = _date(value)
            if day is None:
                event.faults.append(_fault("calendar.bad_date", number, text=value[:20]))
            elif word == "DTSTART":
                event.first = day
            else:
                event.last = day - timedelta(days=1)
        case "RRULE" | "RDATE":
            event.faults.append(_fault("calendar.ics_rule", number))
        case "SUMMARY":
            event.summary = re.sub(r"\\([,;\\])", r"\1", value)
        case "CATEGORIES":
            event.categories = value


def _take(event: _Event, found: list[tuple[int, CalendarDay]], faults: list[Fault]) -> None:
    if event.faults:
        faults += event.faults
        return
    if event.first is None:
        faults.append(_fault("calendar.bad_date", event.line, text=""))
        return
    last = event.last if event.last is not None else event.first
    if not event.first <= last <= event.first + timedelta(days=60):
        faults.append(_fault("calendar.bad_date", event.line, text=last.isoformat()))
        return
    is_worked = any(_WORK_WORDS.search(said.strip()) for said in (event.summary, event.categories))
    kind = DayKind.WORKDAY if is_worked else DayKind.HOLIDAY
    name = _word(event.summary)
    first = event.first.toordinal()
    found += [
        (event.line, CalendarDay(day=date.fromordinal(day), kind=kind, name=name))
        for day in range(first, last.toordinal() + 1)
    ]


def check_table(days: Sequence[CalendarDay], year: int, *, is_published: bool) -> None:
    """Refuse what cannot be the table of a year.

    Raises
    ------
    InvalidRequestError
        ``calendar.other_year`` for days of another year (the last week of the year before belongs to the new year's
        notice and is taken), ``calendar.no_new_year`` for a published table without 1 January as a holiday,
        ``calendar.too_many_days``.
    """
    faults = [
        Fault(code="calendar.other_year", pointer=f"/days/{place}", params={"day": row.day.isoformat(), "year": year})
        for place, row in enumerate(days)
        if row.day.year != year and not (row.day.year == year - 1 and (row.day.month, row.day.day) >= (12, 25))
    ]
    if len(days) > _MOST_DAYS:
        faults.append(Fault(code="calendar.too_many_days", pointer="/days", params={"most": _MOST_DAYS}))
    new_year = date(year, 1, 1)
    if is_published and not any(row.day == new_year and row.kind is DayKind.HOLIDAY for row in days):
        faults.append(Fault(code="calendar.no_new_year", pointer="/days", params={"day": new_year.isoformat()}))
    if faults:
        raise InvalidRequestError(faults[:_MOST_FAULTS])


def _unfolded(text: str) -> list[tuple[int, str]]:
    """Logical lines with the number of their first physical line; a leading space continues the line before."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line[:1] in {" ", "\t"} and lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + line[1:])
        elif line.strip():
            lines.append((number, line))
    return lines


def _unique(found: Iterable[tuple[int, CalendarDay]], faults: list[Fault]) -> tuple[CalendarDay, ...]:
    by_day: dict[date, CalendarDay] = {}
    for line, row in found:
        before = by_day.setdefault(row.day, row)
        if before is not row and before.kind is not row.kind:
            faults.append(_fault("calendar.day_twice", line, day=row.day.isoformat()))
    if not by_day and not faults:
        faults.append(_fault("calendar.no_days", 1))
    if faults:
        raise InvalidRequestError(faults[:_MOST_FAULTS])
    return tuple(by_day[day] for day in sorted(by_day))


def _date(text: str) -> date | None:
    found = _DATE.match(text.strip())
    if found is None:
        return None
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        return None


def _word(name: str) -> str:
    """The stable word of a known holiday, else the name as written."""
    name = " ".join(name.split())[:80]
    return next((word for said, word in _WORDS.items() if said in name), name)


def _fault(code: str, line: int, **params: object) -> Fault:
    return Fault(code=code, pointer=f"/line/{line}", params={"line": line, **params})
