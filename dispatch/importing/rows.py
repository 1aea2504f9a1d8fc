"""One row of a source, checked: either a report ready to be placed, or a named reason why not."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dispatch.importing.delimited import Record
from dispatch.importing.instants import Clock, TimeFault
from dispatch.states import CaseState
from geo.errors import BadInputError

FIELDS = ("ticket", "reported_at", "category", "lon", "lat", "closed_at", "due_at", "text", "address", "status")
REQUIRED = ("ticket", "reported_at", "category", "lon", "lat")
MAX_TICKET, MAX_TEXT = 200, 4000

STATUS_TARGETS = {
    "closed": CaseState.CLOSED,
    "open": CaseState.REPORTED,
    "declined": CaseState.DECLINED,
    "voided": CaseState.VOIDED,
}
"""What a source's status may become. "Open" enters the intake queue: who had it elsewhere, nobody here knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRow:
    """A sound row. ``x``, ``y`` are the raw pair in the declared system, ``None`` when there is no position."""

    row: int
    line: int
    values: Sequence[str]
    ticket: str
    category: str
    reported_at: datetime
    closed_at: datetime | None
    due_at: datetime | None
    text: str
    address: str
    source_status: str
    state: CaseState
    x: float | None
    y: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that was not taken, with its reason and its original columns."""

    row: int
    line: int
    code: str
    params: Mapping[str, str | int | float]
    values: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRules:
    """How to read a source's rows.

    Parameters
    ----------
    columns
        Our field → index of the column.
    statuses
        Source status → state; when empty, everything imported is closed history.
    keep_without_position
        Take rows without a position as ``no_position`` instead of rejecting them.
    now
        Nothing has been reported after it.
    """

    columns: Mapping[str, int]
    clock: Clock
    now: datetime
    statuses: Mapping[str, CaseState] = field(default_factory=dict)
    keep_without_position: bool = False


def parse_columns(text: str, header: Sequence[str]) -> dict[str, int]:
    """Read ``ticket=row,reported_at=date,…``: our field on the left, the file's column on the right.

    Raises
    ------
    BadInputError
        ``import.option_conflict`` (unknown field, field twice, required field left out), ``import.column_missing``.
    """
    found: dict[str, int] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        target, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or target not in FIELDS or target in found:
            raise BadInputError("import.option_conflict", first="--map", second=pair[:80])
        if column not in header:
            raise BadInputError("import.column_missing", column=column, field=target, columns=", ".join(header)[:300])
        found[target] = list(header).index(column)
    for target in REQUIRED:
        if target not in found:
            raise BadInputError("import.option_conflict", first="--map", second=f"{target}=?")
    return found


def parse_statuses(text: str) -> dict[str, CaseState]:
    """Read ``Closed=closed,In Progress=open``: the source's word on the left, ours on the right.

    Raises
    ------
    BadInputError
        ``import.option_conflict``.
    """
    found: dict[str, CaseState] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        word, equals, target = (part.strip() for part in pair.rpartition("="))
        if not equals or target not in STATUS_TARGETS:
            raise BadInputError("import.option_conflict", first="--status-map", second=pair[:80])
        found[word] = STATUS_TARGETS[target]
    return found


class _RefusedError(Exception):
    def __init__(self, code: str, **params: str | int | float) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def check_row(record: Record, rules: RowRules) -> CheckedRow | Rejection:
    """Check one row; the first fault in the order ticket, times, category, status, position, texts is its reason.

    Cost: about 15 µs.
    """
    try:
        if record.fault is not None:
            raise _RefusedError(record.fault, found=len(record.values))
        return _checked(record, rules)
    except _RefusedError as refused:
        return Rejection(
            row=record.row, line=record.line, code=refused.code, params=refused.params, values=record.values
        )


def _checked(record: Record, rules: RowRules) -> CheckedRow:
    def value(name: str) -> str:
        at = rules.columns.get(name)
        return "" if at is None else record.values[at].strip()

    ticket = _plain(value("ticket"), "ticket", MAX_TICKET)
    if not ticket:
        raise _RefusedError("report.ticket_missing")
    reported_at = _instant(value("reported_at"), "reported_at", rules.clock)
    if reported_at is None:
        raise _RefusedError("report.reported_at_missing")
    if reported_at > rules.now:
        raise _RefusedError("report.reported_in_future", value=value("reported_at"))
    closed_at = _instant(value("closed_at"), "closed_at", rules.clock)
    if closed_at is not None and closed_at < reported_at:
        raise _RefusedError("report.closed_before_reported", value=value("closed_at"))
    if closed_at is not None and closed_at > rules.now:
        raise _RefusedError("report.closed_in_future", value=value("closed_at"))
    due_at = _instant(value("due_at"), "due_at", rules.clock)
    if due_at is not None and due_at < reported_at:
        raise _RefusedError("report.due_before_reported", value=value("due_at"))
    category = _plain(value("category"), "category", MAX_TICKET)
    if not category:
        raise _RefusedError("report.category_missing")
    status = _plain(value("status"), "status", MAX_TICKET)
    state = _state(status, closed_at, rules)
    x, y = _position(value("lon"), value("lat"), rules)
    return CheckedRow(
        row=record.row,
        line=record.line,
        values=record.values,
        ticket=ticket,
        category=category,
        reported_at=reported_at,
        closed_at=closed_at,
        due_at=due_at,
        text=_plain(value("text"), "text", MAX_TEXT, lines=True),
        address=_plain(value("address"), "address", MAX_TEXT, lines=True),
        source_status=status,
        state=state,
        x=x,
        y=y,
    )


def _plain(value: str, name: str, longest: int, *, lines: bool = False) -> str:
    if len(value) > longest:
        raise _RefusedError("report.text_too_long", field=name, length=len(value), limit=longest)
    if value.isprintable():  # the common case, in one pass in C
        return value
    for mark in value:
        if unicodedata.category(mark) in ("Cc", "Cs") and not (lines and mark in "\t\r\n"):
            raise _RefusedError("report.text_unusable", field=name, mark=f"U+{ord(mark):04X}")
    return value


def _instant(value: str, name: str, clock: Clock) -> datetime | None:
    if not value:
        return None
    found = clock.read(value)
    if isinstance(found, TimeFault):
        raise _RefusedError(found.value, field=name, value=value[:80])
    return found


def _state(status: str, closed_at: datetime | None, rules: RowRules) -> CaseState:
    if not rules.statuses:
        return CaseState.CLOSED
    state = rules.statuses.get(status)
    if state is None:
        raise _RefusedError("report.status_unknown", value=status[:80])
    if state is CaseState.REPORTED and closed_at is not None:
        raise _RefusedError("report.open_but_closed", value=status[:80])
    return state


def _position(lon: str, lat: str, rules: RowRules) -> tuple[float | None, float | None]:
    if not lon and not lat:
        if rules.keep_without_position:
            return None, None
        raise _RefusedError("report.position_missing")
    if not lon or not lat:
        raise _RefusedError("report.position_incomplete")
    try:
        x, y = float(lon), float(lat)
    except ValueError:
        raise _RefusedError("report.position_unreadable", value=f"{lon[:40]}, {lat[:40]}") from None
    # Sources write 0, 0 for "unknown"; nobody reports from that spot in the Gulf of Guinea.
    if x == 0.0 and y == 0.0:
        raise _RefusedError("report.position_zero")
    return x, y


def position_fault(error: BadInputError) -> str:
    """Name of a row fault for what `geo.coordinates.check_position` found."""
    return error.code.replace("geo.", "report.", 1)
