"""One report as the writing statement takes it, as its first event keeps it, and as its caller is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from dispatch.intake import PreparedReport, Receipt
from dispatch.placing import Place
from dispatch.routing import Mode, Route, route_json
from dispatch.states import CaseState

__all__ = ["Entry", "encode_rows", "make_extras", "make_receipt"]


@dataclass(slots=True, eq=False)
class Entry:
    """A report on its way into the database.

    One object, because the fields of many reports kept in tables by id would be looked up a dozen times a report.
    """

    report: PreparedReport
    #: None while nobody has found it, or no longer knows.
    place: Place | None
    #: What its first event says of it alone.
    extras: dict[str, Any] = field(default_factory=dict)
    #: Once it is written.
    receipt: Receipt | None = None


class _Row(Struct, frozen=True, omit_defaults=True):
    """A row of ``intake.sql``; a struct, because it is made and written for every report.

    What has its default is left out: the statement reads an absent field as empty, and most rows have most of them.
    """

    line: int
    id: UUID
    channel: str
    ticket: str
    digest: str
    category: str
    body: str
    reported_at: datetime
    is_certain: bool
    place: int
    route: int | None = None
    condition: int | None = None
    address: str = ""
    ledgers: tuple[str, ...] = ()
    lon: float | None = None
    lat: float | None = None
    raw_x: float | None = None
    raw_y: float | None = None
    coord_sys: str | None = None
    accuracy_m: float | None = None
    confirm_on_site: bool = False
    is_self_handled: bool = False
    due_at: datetime | None = None
    #: The same word for word, as the event keeps it.
    due_said: str | None = None
    due_provisional: bool = False
    warn_at: datetime | None = None
    limit_value: Decimal | int | None = None
    limit_unit: str | None = None
    open_phases: int = 0
    reporter_key: str | None = None
    actor: str | None = None
    #: The nearest cells, where the process knows them.
    near: tuple[Mapping[str, Any], ...] | None = None
    payload: Mapping[str, Any] = {}


class _Placed(Struct, frozen=True):
    """A row of the statement's places: what reports of one cell and ladder have in common."""

    place: int
    jurisdiction: str
    time_zone: str
    version_id: int | None
    version_revision: int | None
    how: str
    cell_id: int | None
    cell_path: tuple[str, ...]
    post_id: int | None
    person_id: UUID | None
    standing_id: UUID
    said: Mapping[str, Any]


class _Routed(Struct, frozen=True):
    """A row of the statement's routes: what reports of one line of the matrix have in common."""

    route: int
    department: str | None
    said: Mapping[str, Any]


def make_extras(report: PreparedReport) -> dict[str, Any]:
    """What the first event says of this report alone, besides its deadline; for most nothing."""
    extras: dict[str, Any] = {}
    if report.said_at is not None:
        extras["said_at"] = report.said_at
    if report.position is not None:
        extras["position"] = report.position
    return extras


def encode_rows(entries: Sequence[Entry]) -> tuple[str, str, str]:
    """The statement's rows, places and routes, as JSON; ``line`` is the place in the sequence."""
    numbers: dict[tuple[object, ...], int] = {}
    placed: list[_Placed] = []
    routes: dict[int, _Routed] = {}
    rows: list[_Row] = []
    for line, entry in enumerate(entries):
        report, place = entry.report, entry.place
        assert place is not None
        route = place.route
        # The standing by identity: it is one object per cell and ladder.
        key = (place.standing, place.how, place.version_id, place.version_revision, report.jurisdiction)
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(placed)
            placed.append(_place_row(number, report, place))
        if route is not None and route.rule_id not in routes:
            routes[route.rule_id] = _route_row(route)
        rows.append(_report_row(line, report, number, place, entry.extras))
    return _json(rows), _json(placed), _json(list(routes.values()))


def _json(rows: Sequence[Struct]) -> str:
    return msgspec.json.encode(rows).decode()


def _place_row(number: int, report: PreparedReport, place: Place) -> _Placed:
    standing = place.standing
    head = standing.head
    return _Placed(
        number,
        report.jurisdiction,
        report.time_zone,
        place.version_id,
        place.version_revision,
        place.how.value,
        place.cell_id,
        place.path,
        head.rung.post_id if head else None,
        head.rung.person_id if head else None,
        standing.id,
        {"how": place.how.value, "grid_version": _version(place)},
    )


def _route_row(route: Route) -> _Routed:
    # Whoever is only left for what nobody else has (属地兜底) has nothing to do with the case yet.
    department = route.department.code if route.mode is not Mode.FALLBACK else None
    return _Routed(route.rule_id, department, {"route": route_json(route)})


def _report_row(line: int, report: PreparedReport, number: int, place: Place, extras: Mapping[str, Any]) -> _Row:
    accuracy = extras.get("accuracy")
    # Somebody has to make sure where it is, before anybody is sent there.
    is_ambiguous = accuracy is not None and accuracy["confirm_on_site"]
    return _Row(
        line,
        report.id,
        report.channel,
        report.ticket,
        report.digest,
        report.category,
        report.body,
        report.reported_at,
        report.is_certain and not is_ambiguous,
        number,
        place.route.rule_id if place.route else None,
        report.condition,
        report.address,
        report.ledgers,
        report.lon,
        report.lat,
        report.raw_x,
        report.raw_y,
        report.coord_sys,
        report.accuracy_m,
        is_ambiguous,
        report.is_self_handled,
        report.due_at,
        report.due_at.isoformat() if report.due_at else None,
        report.due_provisional,
        report.warn_at,
        report.limit_value,
        report.limit_unit,
        len(report.phases),
        report.reporter.contact_key.hex() if report.reporter and report.reporter.contact_key else None,
        report.actor,
        place.nearest,
        extras,
    )


def make_receipt(
    report: PreparedReport,
    place: Place,
    extras: Mapping[str, Any],
    ref: str,
    state: str,
    nearest: Sequence[Mapping[str, Any]] | None,
) -> Receipt:
    """What `dispatch.intake.read_receipt` makes of the event that was just written, without reading it."""
    is_dispatched = state == CaseState.DISPATCHED
    return Receipt(
        case_id=report.id,
        ref=ref,
        ticket=report.ticket,
        state=CaseState(state),
        standing=place.standing,
        nearest=() if is_dispatched else place.nearest or tuple(nearest or ()),
        how=place.how.value,
        grid_version=_version(place),
        due_at=report.due_at if is_dispatched else None,
        due_provisional=report.due_provisional and is_dispatched,
        lon=report.lon,
        lat=report.lat,
        is_repeat=False,
        accuracy=extras.get("accuracy"),
        route=place.route,
        position=report.position,
    )


def _version(place: Place) -> dict[str, Any] | None:
    # In the order in which jsonb keeps keys, so that a repeat, which is read back, has the same bytes.
    return {"name": place.version_name, "number": place.version_number} if place.version_id is not None else None
