"""What somebody did in the field, made true once: moves, parts of joint work, photos, records of what they settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.access import allow_leg_move, allow_move
from api.accounts.callers import Caller
from api.accounts.roles import Scope, makers_of, may_make
from api.container import Container
from api.field_once import CHANNEL, claim_key, ensure_channel, find_answer, keep_answer
from api.field_reading import line_of, moves_for
from api.field_schemas import ActionIn, ActionKind
from api.joint_json import return_json
from dispatch.belonging import Belonging, find_belongings
from dispatch.case_views import CaseView
from dispatch.intake import Report
from dispatch.joint import parse_leg_move
from dispatch.joint_effects import LegRequest
from dispatch.joint_moves import move_leg
from dispatch.making import Actor, GivenPosition, MoveRequest
from dispatch.moves import make_move
from dispatch.photos import Photo, PhotoKind
from dispatch.queries import get_case
from dispatch.storage.legs import list_legs
from dispatch.storage.photos import list_photos, store_photos
from dispatch.storage.returns import list_returns
from dispatch.workflow import Move, parse_move
from geo.coordinates import snap_to_grid, to_wgs84
from geo.errors import (
    BadInputError,
    ConflictError,
    Fault,
    ForbiddenError,
    GridwardError,
    InvalidRequestError,
    NotFoundError,
)
from geo.storage.uow import WriteUnit, act_as_service, read_unit, write_unit
from maps.i18n import Locale

__all__ = ["FieldAct", "perform"]

_KINDS: Final = {Move.REPORT_BACK: PhotoKind.AFTER, Move.REPORT_PHASE: PhotoKind.AFTER}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAct:
    """An act as it was delivered. ``key`` is the person's own, ``fingerprint`` what it was delivered with."""

    key: str
    fingerprint: bytes
    body: ActionIn
    photos: tuple[Photo, ...]
    caller: Caller
    locale: Locale

    @property
    def kept_key(self) -> str:
        """Keys of different people never meet."""
        return f"{self.caller.id}:{self.key}"


async def perform(container: Container, act: FieldAct) -> tuple[Mapping[str, Any], bool]:
    """Make an act true and return the answer, and whether it had happened before.

    Raises
    ------
    InvalidRequestError
        What the kind of act needs and has not, all at once.
    ConflictError
        ``field.other_person``; and whatever the move itself refuses.
    """
    _check(act)
    engine = container.desk.engine
    known = await find_answer(engine, act.kept_key, act.fingerprint)
    if known is not None:
        return known, True
    await ensure_channel(engine)
    try:
        if act.body.kind is ActionKind.SELF_HANDLED:
            return await _record(container, act)
        return await _change(container, act)
    except GridwardError:
        # A twin of this delivery may have made it true meanwhile; and then the case may have left this person's sight.
        known = await find_answer(engine, act.kept_key, act.fingerprint)
        if known is not None:
            return known, True
        raise


def _check(act: FieldAct) -> None:
    body = act.body
    if body.person is not None and str(body.person) != act.caller.id:
        raise ConflictError("field.other_person", name=act.caller.name)
    needed = {
        ActionKind.MOVE: ("case", "seen", "move"),
        ActionKind.LEG: ("case", "seen", "move", "leg"),
        ActionKind.PHOTOS: ("case",),
        ActionKind.SELF_HANDLED: ("category", "text", "position"),
    }[body.kind]
    faults = [
        Fault(code="request.missing", pointer=f"/{name}", params={"field": name})
        for name in needed
        if getattr(body, name) in (None, "")
    ]
    if body.kind is ActionKind.PHOTOS and not act.photos:
        faults.append(Fault(code="photo.none", pointer="/photo", params={}))
    if faults:
        raise InvalidRequestError(faults)


async def _change(container: Container, act: FieldAct) -> tuple[Mapping[str, Any], bool]:
    body, caller = act.body, act.caller
    ref = body.case or ""
    async with write_unit(container.engine, viewer=caller.viewer) as unit:
        if body.kind is ActionKind.MOVE:
            move = parse_move(body.move or "")
            await allow_move(unit, container, caller, move, ref)
        elif body.kind is ActionKind.LEG:
            leg_move = parse_leg_move(body.move or "")
            await allow_leg_move(unit, caller, leg_move, ref, body.leg or 0)
        else:
            if ref not in await find_belongings(unit, [ref]):
                raise NotFoundError("dispatch.case_not_found", case=ref)
            await act_as_service(unit)
        known = await claim_key(unit, act.kept_key, act.fingerprint)
        if known is not None:
            return known, True
        kind = PhotoKind.OTHER
        if body.kind is ActionKind.MOVE:
            kind = _KINDS.get(move, PhotoKind.OTHER)
            await make_move(unit, _move_request(act, move), await container.reference.get())
        elif body.kind is ActionKind.LEG:
            kind = PhotoKind.AFTER
            await move_leg(unit, await _leg_request(unit, act))
        answer = await _answer(unit, container, act, ref, kind)
        await keep_answer(unit, act.kept_key, answer)
    return answer, False


def _move_request(act: FieldAct, move: Move) -> MoveRequest:
    body, given = act.body, act.body.position
    return MoveRequest(
        ref=body.case or "",
        move=move,
        actor=Actor(kind=act.caller.kind, id=act.caller.id),
        seen_version=body.seen or 0,
        reason=body.reason,
        result=body.result,
        until=body.until,
        position=GivenPosition(x=given.lon, y=given.lat, coord_sys=given.coord_sys) if given else None,
        phase=body.phase,
        said_at=body.done_at,
    )


async def _leg_request(unit: WriteUnit, act: FieldAct) -> LegRequest:
    body = act.body
    ids: tuple[str, ...] = ()
    if act.photos:
        # A leg names its evidence: the photos must be there before the move is.
        case = (await get_case(unit, body.case or "")).case
        rows = await store_photos(unit, case.id, act.photos, PhotoKind.AFTER, _by(act))
        digests = {photo.digest for photo in act.photos}
        ids = tuple(str(row["id"]) for row in rows if bytes(row["digest"]) in digests)[:20]
    return LegRequest(
        ref=body.case or "",
        number=body.leg or 0,
        move=parse_leg_move(body.move or ""),
        actor=Actor(kind=act.caller.kind, id=act.caller.id),
        seen_version=body.seen or 0,
        reason=body.reason,
        result=body.result,
        evidence=ids,
        department=None,
        channel=None,
    )


def _by(act: FieldAct) -> str:
    return f"{act.caller.kind}:{act.caller.id}"


async def _answer(unit: WriteUnit, container: Container, act: FieldAct, ref: str, kind: PhotoKind) -> dict[str, Any]:
    detail = await get_case(unit, ref)
    photos = await store_photos(unit, detail.case.id, act.photos, kind, _by(act)) if act.photos else None
    count = len(photos) if photos is not None else len(await list_photos(unit, detail.case.id))
    evidence = None
    if act.body.move == Move.RETURN:
        evidence = return_json((await list_returns(unit, detail.case.id))[-1], ref, act.locale)
    return await _told(unit, container, act, detail.case, count, evidence)


async def _told(
    unit: WriteUnit,
    container: Container,
    act: FieldAct,
    case: CaseView,
    photos: int,
    evidence: Mapping[str, Any] | None,
) -> dict[str, Any]:
    moves = await moves_for(unit, container, act.caller, case)
    return {
        "key": act.key,
        "case": case.ref,
        "version": case.version,
        "status": case.state.value,
        "moves": [move.value for move in moves],
        "photos": photos,
        "leg_version": await _leg_version(unit, act, case),
        "evidence": evidence,
    }


async def _leg_version(unit: WriteUnit, act: FieldAct, case: CaseView) -> int | None:
    if act.body.kind is not ActionKind.LEG:
        return None
    return next((leg.version for leg in await list_legs(unit, case.id) if leg.number == act.body.leg), None)


async def _record(container: Container, act: FieldAct) -> tuple[Mapping[str, Any], bool]:
    """A record of what somebody settled on the spot. Its ticket is the act's key, so the report itself happens once."""
    body, given = act.body, act.body.position
    assert given is not None
    await _check_area(container, act, *to_wgs84(given.lon, given.lat, given.coord_sys))
    report = Report(
        channel=CHANNEL,
        # Short of the whole id, which would be the person's number in every list of tickets.
        ticket=f"{act.caller.id[-6:]}-{act.key}",
        text=body.text,
        category=body.category or "",
        x=given.lon,
        y=given.lat,
        coord_sys=given.coord_sys,
        accuracy_m=body.accuracy_m,
        address=body.address,
        is_self_handled=True,
        actor=act.caller.id,
        said_at=body.done_at.isoformat(timespec="seconds") if body.done_at else None,
    )
    receipt = await container.desk.take(report)
    async with write_unit(container.desk.engine) as unit:
        known = await claim_key(unit, act.kept_key, act.fingerprint)
        if known is not None:
            return known, True
        answer = await _answer(unit, container, act, receipt.ref, PhotoKind.AFTER)
        await keep_answer(unit, act.kept_key, answer)
    return answer, receipt.is_repeat


async def _check_area(container: Container, act: FieldAct, lon: float, lat: float) -> None:
    """Whoever settles something does so where their role holds; elsewhere it is somebody else's to record."""
    jurisdiction = container.settings.jurisdiction
    async with read_unit(container.desk.engine) as unit:
        driver = await unit.driver()
        row = await (
            await driver.execute(
                "SELECT c.path, c.name_zh, c.name_en FROM geo.valid_version(%s, now()) AS v"
                " CROSS JOIN LATERAL geo.covering_cell(v.id, ST_SetSRID(ST_MakePoint(%s, %s), 4326)) AS f"
                " JOIN geo.cell AS c ON c.version_id = v.id AND c.code = f.code",
                (jurisdiction, snap_to_grid(lon), snap_to_grid(lat)),
            )
        ).fetchone()
    there = Belonging(cells=tuple(row[0]) if row else (), departments=(), channel=CHANNEL)
    line = await line_of(container, there.cells)
    if may_make(act.caller.roles_for(there), Move.SELF_HANDLE, line):
        return
    if not may_make(act.caller.roles, Move.SELF_HANDLE, line):
        roles = [role.value for role in makers_of(Move.SELF_HANDLE)]
        raise ForbiddenError("access.move_not_yours", move=Move.SELF_HANDLE.value, roles=roles)
    raise BadInputError(
        "field.not_your_area", pointer="/position", cell=(row[2] if act.locale == "en" else row[1]) if row else "–"
    )


def check_field_person(caller: Caller) -> None:
    """Let people pass who work out there.

    Raises
    ------
    ForbiddenError
        ``access.person_needed``, ``access.scope_missing``.
    """
    if caller.kind == "operator":
        # This very machine may look without signing in; but an act out there is somebody's.
        raise BadInputError("access.key_required")
    if caller.kind != "person":
        raise ForbiddenError("access.person_needed")
    if Scope.CASES_MOVE not in caller.scopes:
        raise ForbiddenError("access.scope_missing", scope=Scope.CASES_MOVE.value)
