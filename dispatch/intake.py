"""Taking a report in: from the caller's words to a located, dispatched case in one transaction.

Values made for every report are structs: making a frozen dataclass of thirty fields takes as long as locating a point.
The rules here are pure; the statement that applies them is ``storage/sql/intake.sql`` and the queue that collects
concurrent reports into one statement is ``dispatch/collecting.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType
from uuid_utils.compat import uuid7

from dispatch.clocks import set_clocks
from dispatch.deadlines import StartRule, clock_start
from dispatch.limits import PhaseClock, set_phases
from dispatch.posts import Head, Rung, parse_ladder
from dispatch.reference import Category, Condition, Reference
from dispatch.reporters import Reporter, SealedReporter, faults_of
from dispatch.routing import Route, parse_route
from dispatch.segments import to_micros
from dispatch.standings import Standing
from dispatch.states import CaseState
from geo.coordinates import CoordSys, position_faults, snap_to_grid, to_wgs84
from geo.errors import Fault, InvalidRequestError, UnavailableError


class Report(Struct, frozen=True, kw_only=True):
    """A report as a channel sends it. ``x`` and ``y`` are longitude and latitude in ``coord_sys``; degrees."""

    channel: str
    ticket: str
    text: str
    category: str
    condition: int | None = None
    x: float | None = None
    y: float | None = None
    coord_sys: CoordSys | None = None
    address: str = ""
    ledgers: tuple[str, ...] = ()
    #: Found and dealt with on the spot (自行处置): kept as a record, sampled later.
    is_self_handled: bool = False
    #: Radius of the position's error; None when the channel does not say. Units: metres.
    accuracy_m: float | None = None
    reporter: Reporter | None = None
    #: Id of the person who reports, when it is somebody signed in and not a channel's program.
    actor: str | None = None
    #: When it was done according to the reporter's own clock; a fact for readers, no clock of ours.
    said_at: str | None = None

    def digest(self) -> str:
        """Hex digest of what was said: the same ticket with another body is a mistake, not a repeat."""
        said = _Said(
            self.channel,
            self.ticket,
            self.text,
            self.category,
            self.condition,
            self.x,
            self.y,
            self.coord_sys,
            self.address,
            self.ledgers,
            self.is_self_handled or UNSET,
            UNSET if self.accuracy_m is None else self.accuracy_m,
            UNSET if self.actor is None else self.actor,
            UNSET if self.said_at is None else self.said_at,
        )
        return hashlib.sha256(_SAID.encode(said)).hexdigest()


class _Said(Struct, frozen=True):
    """What a digest is made of. Who reported is bound to it with a key (dispatch/reporters.py): bare, a telephone
    number could be guessed from it.
    """

    channel: str
    ticket: str
    text: str
    category: str
    condition: int | None
    x: float | None
    y: float | None
    coord_sys: CoordSys | None
    address: str
    ledgers: tuple[str, ...]
    # Digests written before a field existed must stay what they are: without it.
    is_self_handled: bool | UnsetType = UNSET
    accuracy_m: float | UnsetType = UNSET
    actor: str | UnsetType = UNSET
    said_at: str | UnsetType = UNSET


_SAID: Final = msgspec.json.Encoder()


class PreparedReport(Struct, frozen=True, kw_only=True):
    """A report whose rules have been applied; field by field a row of ``intake.sql``. SRID: 4326 for lon, lat."""

    id: UUID
    jurisdiction: str
    time_zone: str
    channel: str
    ticket: str
    digest: str
    category: str
    condition: int | None
    body: str
    address: str
    ledgers: tuple[str, ...]
    lon: float | None
    lat: float | None
    raw_x: float | None
    raw_y: float | None
    coord_sys: str | None
    reported_at: datetime
    is_certain: bool
    is_self_handled: bool
    due_at: datetime | None
    due_provisional: bool
    warn_at: datetime | None
    accuracy_m: float | None = None
    #: What its address was found to mean (dispatch/addressing.py); None when a point was given.
    position: Mapping[str, Any] | None = None
    #: The limit that was given, whatever the catalogue says later, and the deadlines on the way.
    limit_value: Decimal | int | None = None
    limit_unit: str | None = None
    phases: tuple[PhaseClock, ...] = ()
    reporter: SealedReporter | None = None
    actor: str | None = None
    said_at: str | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """What the caller is told, now and at every repeat: it is read from the first event, not from today's state."""

    case_id: UUID
    ref: str
    ticket: str
    state: CaseState
    standing: Standing
    nearest: tuple[Mapping[str, Any], ...]
    how: str
    grid_version: Mapping[str, Any] | None
    due_at: datetime | None
    due_provisional: bool
    lon: float | None
    lat: float | None
    is_repeat: bool
    accuracy: Mapping[str, Any] | None = None
    route: Route | None = None
    position: Mapping[str, Any] | None = None

    @property
    def chain(self) -> tuple[Mapping[str, Any], ...]:
        """Cells from level 1 down to the one of the case."""
        return self.standing.chain

    @property
    def head(self) -> Head | None:
        """Who is responsible, and why."""
        return self.standing.head

    @property
    def backup(self) -> Rung | None:
        """Who takes over from the head."""
        return self.standing.backup


@dataclass(slots=True, kw_only=True)
class Moment:
    """The rules at the instant when reports arrived: one for all that come together."""

    reference: Reference
    jurisdiction_code: str
    received_at: datetime
    #: Whether the reference data were read after the reports had come: then what they do not know does not exist.
    is_fresh: bool = False

    def renew(self, reference: Reference) -> None:
        """Go on with reference data that were read just now."""
        self.reference, self.is_fresh = reference, True

    def prepare(self, report: Report) -> PreparedReport:
        """Apply the rules to a report.

        Raises
        ------
        InvalidRequestError
            All faults at once, each with its field.
        UnavailableError
            ``dispatch.no_jurisdiction`` when the office is not set up yet.
        """
        reference = self.reference
        jurisdiction = reference.jurisdictions.get(self.jurisdiction_code)
        if jurisdiction is None:
            raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=self.jurisdiction_code)
        faults: list[Fault] = []
        category, condition = _classify(report, reference, faults)
        if report.ledgers:
            _check_ledgers(report, reference, faults)
        lon, lat = _position(report, faults)
        faults.extend(faults_of(report.reporter) if report.reporter is not None else ())
        channel = reference.channels.get(report.channel)
        if channel is None:
            # A key made a moment ago: the copy of the reference data does not know its channel yet.
            faults.append(Fault(code="dispatch.unknown_channel", pointer="", params={"channel": report.channel}))
        if faults or category is None or channel is None:
            raise InvalidRequestError(faults)
        at = self.received_at
        limit, clocks = None, None
        phases: tuple[PhaseClock, ...] = ()
        if condition is not None:
            calendar = jurisdiction.calendar
            limit = condition.limit_on(calendar.local_date(to_micros(at))) if condition.seasons else condition.limit
            clocks = set_clocks(jurisdiction, channel.start_rule, limit, at)
            if condition.phases:
                phases = set_phases(
                    calendar, clock_start(calendar, at, StartRule(channel.start_rule)), condition.phases
                )
        return PreparedReport(
            id=uuid7(),
            jurisdiction=jurisdiction.code,
            time_zone=jurisdiction.time_zone,
            channel=report.channel,
            ticket=report.ticket,
            digest=report.digest(),
            category=category.code,
            condition=condition.number if condition else None,
            body=report.text,
            address=report.address,
            ledgers=report.ledgers,
            lon=lon,
            lat=lat,
            raw_x=report.x,
            raw_y=report.y,
            coord_sys=report.coord_sys.value if report.coord_sys else None,
            reported_at=at,
            # Certain is what needs no human: the position finds its cell (decided in SQL), the limit is beyond doubt.
            is_certain=clocks is not None and not report.is_self_handled,
            is_self_handled=report.is_self_handled,
            limit_value=limit.value if limit else None,
            limit_unit=limit.unit.value if limit else None,
            phases=phases,
            due_at=clocks.due_at if clocks else None,
            due_provisional=clocks.is_provisional if clocks else False,
            warn_at=clocks.warn_at if clocks else None,
            accuracy_m=report.accuracy_m if lon is not None else None,
            actor=report.actor,
            said_at=report.said_at,
        )


def prepare(report: Report, reference: Reference, jurisdiction_code: str, received_at: datetime) -> PreparedReport:
    """Apply the rules to one report. See `Moment.prepare`."""
    return Moment(reference=reference, jurisdiction_code=jurisdiction_code, received_at=received_at).prepare(report)


def _classify(report: Report, reference: Reference, faults: list[Fault]) -> tuple[Category | None, Condition | None]:
    category = reference.categories.get(report.category)
    if category is None or not category.is_active:
        faults.append(
            Fault(code="dispatch.unknown_category", pointer="/category", params={"category": report.category})
        )
        return None, None
    if report.condition is not None and report.condition not in category.conditions:
        known = ", ".join(str(number) for number in sorted(category.conditions)) or "–"
        faults.append(
            Fault(
                code="dispatch.unknown_condition",
                pointer="/condition",
                params={"condition": report.condition, "category": category.code, "known": known},
            )
        )
    return category, category.certain_condition(report.condition)


def _check_ledgers(report: Report, reference: Reference, faults: list[Fault]) -> None:
    known = [ledger.code for ledger in reference.ledgers.values() if ledger.is_active]
    faults.extend(
        Fault(
            code="dispatch.unknown_ledger",
            pointer=f"/ledgers/{place}",
            params={"ledger": code, "known": ", ".join(known) or "–"},
        )
        for place, code in enumerate(report.ledgers)
        if code not in known
    )


def _position(report: Report, faults: list[Fault]) -> tuple[float | None, float | None]:
    if report.x is None and report.y is None:
        if not report.address:
            faults.append(Fault(code="dispatch.no_position", pointer="/lon"))
        return None, None
    wrong = []
    if report.coord_sys is None:
        known = ", ".join(CoordSys)
        wrong.append(Fault(code="dispatch.coord_sys_required", pointer="/coord_sys", params={"known": known}))
    if report.x is None or report.y is None:
        wrong.append(Fault(code="dispatch.half_position", pointer="/lon" if report.x is None else "/lat"))
    else:
        # Swapped axes are seen in any system, also in one that was not given.
        wrong.extend(position_faults(report.x, report.y))
    if wrong or report.x is None or report.y is None or report.coord_sys is None:
        faults.extend(wrong)
        return None, None
    lon, lat = to_wgs84(report.x, report.y, report.coord_sys)
    # The raw pair stays as given; what is located is on the grid, so that memory and SQL see the same point.
    return snap_to_grid(lon), snap_to_grid(lat)


def read_receipt(
    *,
    case_id: UUID,
    ref: str,
    ticket: str,
    state: str,
    payload: Mapping[str, Any],
    lon: float | None,
    lat: float | None,
    is_repeat: bool,
) -> Receipt:
    """Turn the first event's payload into the receipt."""
    due_at = payload["due_at"]
    return Receipt(
        case_id=case_id,
        ref=ref,
        ticket=ticket,
        state=CaseState(state),
        standing=Standing.of(payload["chain"], parse_ladder(payload["ladder"])),
        nearest=tuple(payload["nearest"]),
        how=payload["how"],
        grid_version=payload["grid_version"],
        due_at=datetime.fromisoformat(due_at) if due_at else None,
        due_provisional=payload["due_provisional"],
        lon=lon,
        lat=lat,
        is_repeat=is_repeat,
        accuracy=payload.get("accuracy"),
        route=parse_route(payload.get("route")),
        position=payload.get("position"),
    )
