"""Moving one leg of joint work: lock the case, then the leg, look, write both and the history (decision 0002)."""

from __future__ import annotations

from datetime import datetime

from dispatch.joint_effects import LegRequest, move_leg_locked
from dispatch.moves import record_event, update_case
from dispatch.queries import database_now
from dispatch.storage.cases import lock_case
from geo.errors import NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["LegRequest", "move_leg"]


async def move_leg(unit: WriteUnit, request: LegRequest, *, at: datetime | None = None) -> None:
    """Make one move on a leg; the one that ends the last open leg lets the case go on (``join``).

    Parameters
    ----------
    at
        When it was made; None is now, by the database's clock. Only histories that are written down later name one.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``, ``dispatch.leg_not_found``.
    ConflictError
        ``dispatch.version_conflict`` when somebody was faster with this leg; other legs do not matter.
        ``dispatch.legs_rest``, ``dispatch.illegal_leg_move``, ``dispatch.leg_guard.*``.
    BadInputError
        ``dispatch.reason_required``, ``dispatch.unknown_department``.
    """
    case = await lock_case(unit, request.ref)
    if case is None or (request.channel is not None and case["channel_code"] != request.channel):
        raise NotFoundError("dispatch.case_not_found", case=request.ref[:80])
    at = at or await database_now(unit)
    done = await move_leg_locked(unit, case, request, at)
    await update_case(unit, case["id"], {**done.changes, "version": case["version"] + 1})
    await record_event(
        unit,
        case_id=case["id"],
        kind=done.kind,
        moves=list(done.moves),
        from_state=case["state"],
        to_state=case["state"],
        at=at,
        actor=request.actor,
        payload=done.payload,
    )
