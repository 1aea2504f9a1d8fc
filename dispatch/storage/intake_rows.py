"""One report as the writing statement takes it, as its first event keeps it, and as its caller is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from dispatch.intake import PreparedReport, Receipt
from dispatch.placing import Place
from dispatch.routing import Mode, route_json
from dispatch.states import CaseState

__all__ = ["make_payload", "make_receipt", "make_row"]


class _Row(Struct, frozen=True):
    """A row of ``intake.sql``; a struct, because it is made and written for every report."""

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
    accuracy_m: float | None
    confirm_on_site: bool
    reported_at: datetime
    is_certain: bool
    is_self_handled: bool
    due_at: datetime | None
    due_provisional: bool
    warn_at: datetime | None
    limit_value: Decimal | int | None
    limit_unit: str | None
    open_phases: int
    version_id: int | None
    version_revision: int | None
    cell_id: int | None
    cell_path: tuple[str, ...]
    how: str
    post_id: int | None
    person_id: UUID | None
    department: str | None
    reporter_key: str | None
    actor: str | None
    payload: Mapping[str, Any]


def make_payload(report: PreparedReport, place: Place) -> dict[str, Any]:
    """What the first event says, as if the case is dispatched; the statement takes the deadline out when it is not."""
    standing = place.standing
    payload: dict[str, Any] = {
        "chain": standing.chain_raw,
        "ladder": standing.ladder_raw,
        "nearest": (),
        "how": place.how.value,
        "grid_version": _version(place),
        "due_at": report.due_at.isoformat() if report.due_at else None,
        "due_provisional": report.due_provisional,
    }
    if report.said_at is not None:
        payload["said_at"] = report.said_at
    if report.position is not None:
        payload["position"] = report.position
    if place.route is not None:
        payload["route"] = route_json(place.route)
    return payload


def make_row(report: PreparedReport, place: Place, payload: Mapping[str, Any]) -> _Row:
    """The row that the statement writes if its guard lets it."""
    head = place.standing.head
    accuracy = payload.get("accuracy")
    # Somebody has to make sure where it is, before anybody is sent there.
    is_ambiguous = accuracy is not None and accuracy["confirm_on_site"]
    route = place.route
    return _Row(
        report.id,
        report.jurisdiction,
        report.time_zone,
        report.channel,
        report.ticket,
        report.digest,
        report.category,
        report.condition,
        report.body,
        report.address,
        report.ledgers,
        report.lon,
        report.lat,
        report.raw_x,
        report.raw_y,
        report.coord_sys,
        report.accuracy_m,
        is_ambiguous,
        report.reported_at,
        report.is_certain and not is_ambiguous,
        report.is_self_handled,
        report.due_at,
        report.due_provisional,
        report.warn_at,
        report.limit_value,
        report.limit_unit,
        len(report.phases),
        place.version_id,
        place.version_revision,
        place.cell_id,
        place.path,
        place.how.value,
        head.rung.post_id if head else None,
        head.rung.person_id if head else None,
        # Whoever is only left for what nobody else has (属地兜底) has nothing to do with the case yet.
        route.department.code if route is not None and route.mode is not Mode.FALLBACK else None,
        report.reporter.contact_key.hex() if report.reporter and report.reporter.contact_key else None,
        report.actor,
        payload,
    )


def make_receipt(
    report: PreparedReport,
    place: Place,
    payload: Mapping[str, Any],
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
        chain=place.standing.chain,
        head=place.standing.head,
        backup=place.standing.backup,
        nearest=() if is_dispatched else tuple(nearest or ()),
        how=place.how.value,
        grid_version=_version(place),
        due_at=report.due_at if is_dispatched else None,
        due_provisional=report.due_provisional and is_dispatched,
        lon=report.lon,
        lat=report.lat,
        is_repeat=False,
        accuracy=payload.get("accuracy"),
        route=place.route,
        position=report.position,
    )


def _version(place: Place) -> dict[str, Any] | None:
    # In the order in which jsonb keeps keys, so that a repeat, which is read back, has the same bytes.
    return {"name": place.version_name, "number": place.version_number} if place.version_id is not None else None
