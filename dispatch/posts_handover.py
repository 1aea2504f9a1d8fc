"""Handing a post over: who gave what to whom, when, and when it was acknowledged. A recorded fact, never rewritten.

Two kinds share the record. A change of holder ends one appointment and begins the next at the same instant; the relief
of a shift changes no appointment, because both hold the post. Either way the open cases of the one who goes are listed
as they are then, belong to the one who comes, and say so in their history.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from dispatch.making import Actor
from dispatch.moves import record_event
from dispatch.posts_keeping import appoint, check_interval, end_appointment, person_of, post_of
from dispatch.states import OPEN_STATES
from dispatch.storage.posts import change_row, insert_row, lock_row, open_cases_of, read_rows
from dispatch.storage.standings import KEPT_LADDER
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["acknowledge_hand_over", "hand_post_over"]

EVENT = "case.handed_over.v1"


async def hand_post_over(
    unit: WriteUnit,
    jurisdiction: str,
    post_id: int,
    *,
    to_person: UUID,
    from_person: UUID | None,
    notes: str,
    actor: Actor,
    now: datetime,
) -> dict[str, Any]:
    """Hand a post over now.

    Parameters
    ----------
    from_person
        Whoever goes. None is the only holder; a vacant post is taken over from nobody.

    Raises
    ------
    BadInputError
        ``posts.person_unknown``, ``posts.person_gone``, ``posts.hand_over_to_self``, ``posts.not_holder``,
        ``posts.which_holder`` when several hold it and none is named.
    """
    post = await post_of(unit, jurisdiction, post_id)
    check_interval(post["valid_from"], now, "/handed_at")
    comes = await person_of(unit, jurisdiction, to_person, "/to_person")
    if not comes["is_active"]:
        raise BadInputError("posts.person_gone", pointer="/to_person", name=comes["name"])
    held = await read_rows(
        unit,
        "appointment",
        "post_id = %(post)s AND valid_from <= %(now)s AND (valid_until IS NULL OR valid_until > %(now)s)",
        {"post": post_id, "now": now},
    )
    goes = _goer([row["person_id"] for row in held], from_person)
    if goes == to_person:
        raise BadInputError("posts.hand_over_to_self", pointer="/to_person", name=comes["name"])
    if to_person not in [row["person_id"] for row in held]:
        until = None
        for row in held:
            if row["person_id"] == goes:
                until = row["valid_until"]
                await end_appointment(unit, jurisdiction, post_id, row["id"], now)
        await appoint(unit, jurisdiction, post_id, to_person, since=now, until=until or post["valid_until"])
    cases = [] if goes is None else await open_cases_of(unit, post_id, goes, sorted(OPEN_STATES))
    for case in cases:
        await _give(unit, case["id"], post, comes, actor, now)
    return await insert_row(
        unit,
        "post_hand_over",
        {
            "post_id": post_id,
            "from_person_id": goes,
            "to_person_id": to_person,
            "handed_at": now,
            "notes": notes,
            "cases": [case["ref"] for case in cases],
            "made_by": actor.name,
        },
    )


async def acknowledge_hand_over(
    unit: WriteUnit, jurisdiction: str, post_id: int, hand_over_id: int, *, actor: Actor, now: datetime
) -> dict[str, Any]:
    """Say that the one who came has read it.

    Raises
    ------
    NotFoundError
        ``posts.hand_over_unknown``.
    ConflictError
        ``posts.already_acknowledged``.
    """
    await post_of(unit, jurisdiction, post_id)
    row = await lock_row(unit, "post_hand_over", hand_over_id)
    if row is None or row["post_id"] != post_id:
        raise NotFoundError("posts.hand_over_unknown", hand_over=hand_over_id)
    if row["acknowledged_at"] is not None:
        raise ConflictError(
            "posts.already_acknowledged", at=row["acknowledged_at"].isoformat(), by=row["acknowledged_by"]
        )
    return await change_row(
        unit, "post_hand_over", hand_over_id, {"acknowledged_at": now, "acknowledged_by": actor.name}
    )


def _goer(holders: list[UUID], named: UUID | None) -> UUID | None:
    if named is not None:
        if named not in holders:
            raise BadInputError("posts.not_holder", pointer="/from_person", person=str(named))
        return named
    if len(holders) > 1:
        raise BadInputError("posts.which_holder", pointer="/from_person")
    return holders[0] if holders else None


async def _give(
    unit: WriteUnit, case_id: UUID, post: dict[str, Any], comes: dict[str, Any], actor: Actor, now: datetime
) -> None:
    driver = await unit.driver()
    # The look before took no lock: a case that has moved on meanwhile stays with whoever has it now.
    row = await (
        await driver.execute(
            "UPDATE dispatch.dispatch_case AS c SET owner_person_id = %(person)s, version = version + 1,"  # noqa: S608
            # Why it is this post stays as decided; who stands on its rung is the one who came.
            " owner_ladder = (SELECT jsonb_agg(CASE WHEN (r ->> 'post_id')::bigint = %(post)s AND"
            " r ->> 'person_id' = owner_person_id::text THEN r || jsonb_build_object("
            "'person_id', %(person)s::text, 'person_name', %(name)s::text) ELSE r END ORDER BY place)"
            f" FROM jsonb_array_elements({KEPT_LADDER}) WITH ORDINALITY AS l (r, place))"
            " WHERE id = %(case)s AND owner_post_id = %(post)s RETURNING state",
            {"person": comes["id"], "name": comes["name"], "post": post["id"], "case": case_id},
        )
    ).fetchone()
    if row is None:
        return
    await record_event(
        unit,
        case_id=case_id,
        kind=EVENT,
        moves=["hand_over"],
        from_state=row[0],
        to_state=row[0],
        at=now,
        actor=actor,
        payload={
            "told_post_id": post["id"],
            "told_zh": post["title_zh"],
            "told_en": post["title_en"],
            "told_person_id": str(comes["id"]),
            "from_post_id": post["id"],
        },
    )
