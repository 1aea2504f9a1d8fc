"""Forms as data: what is asked for, what was typed, and the JSON that the interface is sent. Nothing is judged here.

A field is named by the JSON pointer of its value without the leading slash (``limit/value``, ``rungs/0/code``), so the
faults that the interface names find their fields by themselves. What cannot be read as its kind is passed on as it
was typed: the interface says what is wrong with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from starlette.datastructures import FormData, UploadFile

__all__ = [
    "Blank",
    "Choice",
    "Field",
    "Form",
    "Kind",
    "body_of",
    "fault_places",
    "file_of",
    "filled",
    "local_of",
    "state_of",
]

#: Hidden fields of every form: which one it is, and which state of the thing was looked at.
ACT: Final = "_act"
SEEN: Final = "_seen"
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_PLACE: Final = re.compile(r"[a-z_]+/([0-9]{1,4})/")
#: More rows than any list of the interface takes.
_MOST_ROWS: Final = 500
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")


class Kind(StrEnum):
    """How a field looks and what becomes of its text."""

    LINE = "line"
    TEXT = "text"
    CHOICE = "choice"
    WHOLE = "whole"
    DECIMAL = "decimal"
    CHECK = "check"
    BOXES = "boxes"
    INSTANT = "instant"
    DAY = "day"
    TIME = "time"
    LINES = "lines"
    FILE = "file"
    HIDDEN = "hidden"


class Blank(StrEnum):
    """What nothing typed means."""

    OMIT = "omit"
    NULL = "null"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of what may be chosen."""

    value: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field.

    Attributes
    ----------
    value, values
        What stands in it; of boxes, those that are ticked.
    in_path, in_query
        It is part of the address that the form is sent to, not of the body.
    is_tick
        A box that only marks its row as left out; it goes nowhere.
    now
        After a conflict: what somebody else has written meanwhile.
    """

    name: str
    label: str
    kind: Kind = Kind.LINE
    value: str = ""
    values: tuple[str, ...] = ()
    hint: str = ""
    is_required: bool = False
    blank: Blank = Blank.OMIT
    most: int | None = None
    choices: tuple[Choice, ...] = ()
    in_path: bool = False
    in_query: bool = False
    is_tick: bool = False
    is_short: bool = False
    fault: str = ""
    now: str = ""

    @property
    def group(self) -> str:
        """The list that its row belongs to."""
        return self.name.partition("/")[0]

    def in_words(self, fault: str) -> str:
        """What the interface says of the field, which it calls by the name that programs use, with the label instead.

        Between a program's name and Chinese words stands a blank, between Chinese words none.
        """
        name = self.name.replace("/", ".")
        gap = "" if self.label and self.label[-1] >= "\u2e80" else " "
        return fault.replace(f"{name} ", f"{self.label}{gap}").replace(name, self.label)

    @property
    def is_telling(self) -> bool:
        """Whether something in it means that its row was filled in; what stands chosen from the start does not."""
        if self.kind is Kind.CHOICE:
            return any(not choice.value for choice in self.choices)
        return self.kind not in {Kind.CHECK, Kind.HIDDEN}

    @property
    def id(self) -> str:
        """Of the element; a form puts its own name before it."""
        return self.name.replace("/", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form, and the one request of the interface that it makes.

    Attributes
    ----------
    name
        Unique on its page.
    fields, rows
        Single fields; and rows of fields that make a list, or several, each list under its legend.
    path
        Address of the interface; ``{name}`` is filled from the field of that name.
    base
        What the body holds besides the fields.
    seen, is_versioned
        The state that was looked at: a digest that the page compares, or the version that the interface wants to see.
    is_only_read
        It shows what holds, to somebody who may not change it.
    reads
        Instead of the fields: makes media type and bytes from what was sent.
    taken
        Codes that are there already: the interface would write over them, which nobody means who adds one.
    leads_to
        Address of the page to go to afterwards, from the answer; by default the page itself.
    shows
        The answer has something that is shown once: the page is drawn again with it, and nobody is led on.
    draws
        Sections to draw above the page instead of leading on, from the answer and the bytes that were sent.
    lists_faults
        The faults speak of rows of a file, not of fields: makes a sentence from pointer and text.
    """

    name: str
    legend: str
    button: str
    method: str
    path: str
    fields: tuple[Field, ...] = ()
    rows: tuple[tuple[Field, ...], ...] = ()
    rows_legend: str = ""
    legends: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    base: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    done: str = "admin.done.saved"
    seen: str = ""
    is_versioned: bool = False
    is_open: bool = True
    is_plain: bool = False
    is_only_read: bool = False
    reads: Callable[[FormData], Any] | None = None
    leads_to: Callable[[Any], str] | None = None
    shows: Callable[[Any], tuple[str, str] | None] | None = None
    draws: Callable[[Any, bytes], tuple[Any, ...]] | None = None
    lists_faults: Callable[[str, str], str] | None = None
    taken: frozenset[str] = frozenset()
    problem: str = ""
    others: tuple[str, ...] = ()

    def every_field(self) -> tuple[Field, ...]:
        """Single fields and those of the rows."""
        return (*self.fields, *(one for row in self.rows for one in row))

    def groups(self) -> list[tuple[str, list[tuple[Field, ...]]]]:
        """The lists with their legends."""
        found: dict[str, list[tuple[Field, ...]]] = {}
        for row in self.rows:
            found.setdefault(row[0].group, []).append(row)
        return [(self.legends.get(name, self.rows_legend), rows) for name, rows in found.items()]

    @property
    def takes_file(self) -> bool:
        """Whether the browser has to send it in parts."""
        return any(one.kind is Kind.FILE for one in self.fields)

    @property
    def faulty(self) -> tuple[Field, ...]:
        """The fields with something wrong."""
        return tuple(one for one in self.every_field() if one.fault)


def state_of(value: object) -> str:
    """A digest of what somebody looked at, to see whether it is still so."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:24]


def local_of(instant: str | None, zone: ZoneInfo) -> str:
    """An instant of the interface as a field shows it: the wall clock of the jurisdiction, to the minute."""
    if not instant:
        return ""
    try:
        return datetime.fromisoformat(instant).astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    except OverflowError:
        # The last hour of all calendars, meant as "never", has no wall clock east of Greenwich.
        return instant[:16]


def filled(form: Form, typed: FormData) -> Form:
    """The form with what was typed."""

    def fill(one: Field) -> Field:
        texts = tuple(text for text in typed.getlist(one.name) if isinstance(text, str))
        if one.kind is Kind.FILE:
            return one
        if one.kind is Kind.BOXES:
            return replace(one, values=texts)
        if one.kind is Kind.CHECK:
            return replace(one, value="true" if texts else "")
        return replace(one, value=texts[0].replace("\r\n", "\n") if texts else "")

    return replace(
        form, fields=tuple(map(fill, form.fields)), rows=tuple(tuple(map(fill, row)) for row in _as_many(form, typed))
    )


def _as_many(form: Form, typed: FormData) -> list[tuple[Field, ...]]:
    """As many rows as were sent: somebody else may have made the list shorter meanwhile."""
    found: list[tuple[Field, ...]] = []
    for _, rows in form.groups():
        group, last = rows[0][0].group, rows[-1]
        sent = [int(place[1]) for key in typed if (place := _PLACE.match(key)) and key.startswith(f"{group}/")]
        found += rows
        found += (
            tuple(replace(one, name="/".join([group, str(place), *one.name.split("/")[2:]])) for one in last)
            for place in range(len(rows), min(max(sent, default=-1) + 1, _MOST_ROWS))
        )
    return found


def body_of(form: Form, zone: ZoneInfo) -> dict[str, Any]:
    """The JSON of a filled form.

    Notes
    -----
    Rows that are ticked as gone, or in which nothing was typed, are left out and the others move up.
    """
    body: dict[str, Any] = dict(form.base)
    for one in form.fields:
        _put(body, one.name, one, zone)
    for name in {row[0].group for row in form.rows}:
        body[name] = []
    for row, place in _kept(form):
        name, _, _ = row[0].name.partition("/")
        for one in row:
            _put(body, f"{name}/{place}/{one.name.split('/', 2)[2]}", one, zone)
    return body


def fault_places(form: Form, faults: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which field each fault stands at, by the field's name, and those that speak of no field."""
    names = {one.name for one in form.every_field()}
    moved = {f"{row[0].name.split('/')[0]}/{place}/": row[0].name.rsplit("/", 1)[0] + "/" for row, place in _kept(form)}
    found: dict[str, str] = {}
    others: list[str] = []
    for pointer, text in faults.items():
        sent = next((sent for sent in moved if pointer.startswith(sent)), "")
        here = moved.get(sent, "") + pointer.removeprefix(sent)
        while here and here not in names:
            inside = next((name for name in sorted(names) if name.startswith(f"{here}/")), None)
            here = inside or here.rpartition("/")[0]
        if here:
            found.setdefault(here, text)
        else:
            others.append(text)
    return found, tuple(dict.fromkeys(others))


def _kept(form: Form) -> list[tuple[Sequence[Field], int]]:
    counts: dict[str, int] = {}
    kept: list[tuple[Sequence[Field], int]] = []
    for row in form.rows:
        name = row[0].group
        typed = (one for one in row if one.is_telling)
        if any(one.is_tick and one.value for one in row) or not any(one.value.strip() or one.values for one in typed):
            continue
        kept.append((row, counts.setdefault(name, 0)))
        counts[name] += 1
    return kept


def _put(body: dict[str, Any], name: str, one: Field, zone: ZoneInfo) -> None:
    if one.in_path or one.in_query or one.is_tick or one.kind is Kind.FILE:
        return
    value = _value(one, zone)
    if value is None and one.blank is Blank.OMIT:
        return
    *way, last = name.split("/")
    here: Any = body
    for place, step in enumerate(way):
        following = [*way, last][place + 1]
        if isinstance(here, list):
            while len(here) <= int(step):
                here.append({})
            here = here[int(step)]
        else:
            here = here.setdefault(step, [] if following.isdecimal() else {})
    if isinstance(here, list):
        here.append(value)
    else:
        here[last] = value


def _value(one: Field, zone: ZoneInfo) -> Any:
    text = one.value if one.kind is Kind.TEXT else one.value.strip()
    if one.kind is Kind.CHECK:
        return bool(text)
    if one.kind is Kind.BOXES:
        return [int(each) if _WHOLE.fullmatch(each) else each for each in one.values]
    if one.kind is Kind.LINES:
        return [line.strip() for line in text.splitlines() if line.strip()]
    if not text:
        return "" if one.blank is Blank.KEEP else None
    if one.kind is Kind.WHOLE and _WHOLE.fullmatch(text):
        return int(text)
    if one.kind is Kind.DECIMAL and _DECIMAL.fullmatch(text):
        return float(text)
    if one.kind is Kind.INSTANT:
        return _instant(text, zone)
    return text


def _instant(text: str, zone: ZoneInfo) -> str:
    try:
        read = datetime.fromisoformat(text)
        return read.isoformat() if read.tzinfo else read.replace(tzinfo=zone).isoformat()
    except (ValueError, OverflowError):
        return text


def file_of(typed: FormData, name: str) -> UploadFile | None:
    """A file that was sent."""
    found = typed.get(name)
    return found if isinstance(found, UploadFile) and found.filename else None
