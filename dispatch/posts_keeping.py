"""Keeping persons, posts, appointments and leave: what may be written, and why something may not.

Intervals are half open and in UTC. What has been valid is not deleted: it ends. Who is looked at first is decided by
the ladder (`dispatch.responsible`), not here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from dispatch.office_area import check_keeps_person, check_place
from dispatch.storage.posts import change_row, insert_row, lock_row, read_rows
from dispatch.storage.tables import POST_KINDS
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "NewPost",
    "add_leave",
    "add_person",
    "add_post",
    "appoint",
    "change_person",
    "check_cell",
    "check_department",
    "check_interval",
    "end_appointment",
    "end_leave",
    "end_post",
    "person_of",
    "post_of",
    "refusing",
]

_CONFLICTS: Final = {
    "ex_post_one_head": "posts.second_head",
    "ex_appointment_one_holder": "posts.already_held",
    "ex_appointment_once": "posts.held_twice",
    "uq_person_staff_number": "posts.staff_number_taken",
    "ex_routing_one_rule": "posts.rule_exists",
    "ex_routing_one_fallback": "posts.fallback_exists",
    "pk_department": "posts.department_exists",
}
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPost:
    """A post as asked for."""

    kind: str
    title_zh: str
    title_en: str = ""
    rank: str = "A"
    cell: str | None = None
    department: str | None = None
    is_shared: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@asynccontextmanager
async def refusing(unit: WriteUnit, pointer: str, **facts: Any) -> AsyncIterator[None]:
    """Turn what the database's constraints refuse into our errors; the transaction goes on."""
    driver = await unit.driver()
    try:
        async with driver.transaction():
            yield
    except psycopg.errors.IntegrityError as error:
        code = _CONFLICTS.get(error.diag.constraint_name or "")
        if code is None:
            raise
        raise ConflictError(code, pointer=pointer, **facts) from error


def check_interval(since: datetime, until: datetime | None, pointer: str = "/valid_until") -> None:
    """Refuse an end that is not after its start, and instants that nobody can mean.

    Raises
    ------
    BadInputError
        ``posts.bad_interval``, ``posts.bad_instant``.
    """
    for at, where in ((since, pointer.replace("until", "from").replace("ends", "starts")), (until, pointer)):
        if at is not None and not _EARLIEST <= at < _LATEST:
            raise BadInputError("posts.bad_instant", pointer=where, at=at.isoformat())
    if until is not None and until <= since:
        raise BadInputError("posts.bad_interval", pointer=pointer, since=since.isoformat(), until=until.isoformat())


async def person_of(unit: WriteUnit, jurisdiction: str, person_id: UUID, pointer: str = "") -> dict[str, Any]:
    """Lock a person.

    Raises
    ------
    NotFoundError
        ``posts.person_unknown``; with a pointer, a `BadInputError` of the same code.
    """
    row = await lock_row(unit, "person", person_id)
    if row is None or row["jurisdiction"] != jurisdiction:
        if pointer:
            raise BadInputError("posts.person_unknown", pointer=pointer, person=str(person_id))
        raise NotFoundError("posts.person_unknown", person=str(person_id))
    return row


async def post_of(unit: WriteUnit, jurisdiction: str, post_id: int) -> dict[str, Any]:
    """Lock a post.

    Raises
    ------
    NotFoundError
        ``posts.post_unknown``.
    """
    row = await lock_row(unit, "post", post_id)
    if row is None or row["jurisdiction"] != jurisdiction:
        raise NotFoundError("posts.post_unknown", post=post_id)
    return row


async def add_person(
    unit: WriteUnit,
    jurisdiction: str,
    *,
    name: str,
    staff_number: str | None = None,
    phone: str | None = None,
    care: tuple[str | None, str | None] = (None, None),
) -> dict[str, Any]:
    """Add somebody who can hold posts, in the care of a cell and department until they hold one.

    Raises
    ------
    ConflictError
        ``posts.staff_number_taken``.
    """
    async with refusing(unit, "/staff_number", staff_number=staff_number):
        return await insert_row(
            unit,
            "person",
            {"id": uuid7(), "jurisdiction": jurisdiction, "name": name, "staff_number": staff_number, "phone": phone}
            | {"care_cell": care[0], "care_department": care[1]},
        )


async def change_person(unit: WriteUnit, jurisdiction: str, person_id: UUID, changes: dict[str, Any]) -> dict[str, Any]:
    """Change name, number or phone, or say that somebody has left (``is_active``): their posts are vacant then."""
    row = await person_of(unit, jurisdiction, person_id)
    await check_keeps_person(unit, person_id)
    if not changes:
        return row
    async with refusing(unit, "/staff_number", staff_number=changes.get("staff_number")):
        return await change_row(unit, "person", person_id, changes)


async def add_post(unit: WriteUnit, jurisdiction: str, new: NewPost, *, now: datetime) -> dict[str, Any]:
    """Add a post of a cell or a department.

    Raises
    ------
    BadInputError
        ``posts.unknown_kind``, ``posts.needs_cell``, ``posts.needs_department``, ``posts.cell_unknown``,
        ``posts.department_unknown``, ``posts.bad_interval``, ``posts.head_not_shared``.
    ConflictError
        ``posts.second_head``: two primary heads of one cell would mean that nobody is.
    """
    since = new.valid_from or now
    check_interval(since, new.valid_until)
    if new.kind not in POST_KINDS:
        raise BadInputError("posts.unknown_kind", pointer="/kind", kind=new.kind, known=", ".join(POST_KINDS))
    if new.kind == "grid_head" and new.cell is None:
        raise BadInputError("posts.needs_cell", pointer="/cell")
    if new.kind == "department_handler" and new.department is None:
        raise BadInputError("posts.needs_department", pointer="/department")
    await check_cell(unit, jurisdiction, new.cell)
    await check_department(unit, new.department)
    await check_place(unit, new.cell, new.department)
    async with refusing(unit, "/rank", cell=new.cell, rank=new.rank):
        return await insert_row(
            unit,
            "post",
            {
                "jurisdiction": jurisdiction,
                "kind": new.kind,
                "rank": new.rank,
                "cell_code": new.cell,
                "department_code": new.department,
                "title_zh": new.title_zh,
                "title_en": new.title_en or new.title_zh,
                "is_shared": new.is_shared,
                "valid_from": since,
                "valid_until": new.valid_until,
            },
        )


async def check_cell(unit: Unit, jurisdiction: str, code: str | None, pointer: str = "/cell") -> None:
    """Refuse a cell that no version of the grid knows; one of a version to come is as good as one of today.

    Raises
    ------
    BadInputError
        ``posts.cell_unknown``.
    """
    if not code:
        return
    driver = await unit.driver()
    found = await driver.execute(
        "SELECT FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id"
        " WHERE v.jurisdiction = %s AND c.code = %s LIMIT 1",
        (jurisdiction, code),
    )
    if found.rowcount == 0:
        raise BadInputError("posts.cell_unknown", pointer=pointer, cell=code)


async def check_department(unit: Unit, code: str | None, pointer: str = "/department") -> None:
    """Refuse a department that does not exist or is no longer active.

    Raises
    ------
    BadInputError
        ``posts.department_unknown``.
    """
    if code is None:
        return
    if not await read_rows(unit, "department", "code = %(code)s AND is_active", {"code": code}, order="code"):
        raise BadInputError("posts.department_unknown", pointer=pointer, department=code)


async def end_post(unit: WriteUnit, jurisdiction: str, post_id: int, at: datetime) -> dict[str, Any]:
    """End a post, and with it whoever holds it.

    Raises
    ------
    ConflictError
        ``posts.already_ended``.
    """
    post = await post_of(unit, jurisdiction, post_id)
    check_interval(post["valid_from"], at)
    if post["valid_until"] is not None and post["valid_until"] <= at:
        raise ConflictError("posts.already_ended", pointer="/valid_until", until=post["valid_until"].isoformat())
    driver = await unit.driver()
    # One who was to begin later never does: an appointment without a moment of validity is no appointment.
    await driver.execute("DELETE FROM dispatch.appointment WHERE post_id = %s AND valid_from >= %s", (post_id, at))
    await driver.execute(
        "UPDATE dispatch.appointment SET valid_until = %(at)s"
        " WHERE post_id = %(post)s AND (valid_until IS NULL OR valid_until > %(at)s)",
        {"at": at, "post": post_id},
    )
    return await change_row(unit, "post", post_id, {"valid_until": at})


async def appoint(
    unit: WriteUnit,
    jurisdiction: str,
    post_id: int,
    person_id: UUID,
    *,
    since: datetime,
    until: datetime | None = None,
) -> dict[str, Any]:
    """Give a post to somebody.

    Raises
    ------
    BadInputError
        ``posts.person_unknown``, ``posts.person_gone``, ``posts.bad_interval``, ``posts.outside_validity``.
    ConflictError
        ``posts.already_held`` by somebody else at that time, with who and until when; ``posts.held_twice``.
    """
    post = await post_of(unit, jurisdiction, post_id)
    person = await person_of(unit, jurisdiction, person_id, "/person")
    if not person["is_active"]:
        raise BadInputError("posts.person_gone", pointer="/person", name=person["name"])
    check_interval(since, until)
    ends = post["valid_until"]
    if since < post["valid_from"] or (ends is not None and (until is None or until > ends)):
        raise BadInputError(
            "posts.outside_validity",
            pointer="/valid_from" if since < post["valid_from"] else "/valid_until",
            since=post["valid_from"].isoformat(),
            until=ends.isoformat() if ends else "–",
        )
    overlapping = await read_rows(
        unit,
        "appointment",
        "post_id = %(post)s AND tstzrange(valid_from, valid_until) && tstzrange(%(since)s, %(until)s)",
        {"post": post_id, "since": since, "until": until},
    )
    for other in overlapping:
        if not post["is_shared"] or other["person_id"] == person_id:
            holder = await person_of(unit, jurisdiction, other["person_id"])
            raise ConflictError(
                "posts.held_twice" if other["person_id"] == person_id else "posts.already_held",
                pointer="/valid_from",
                name=holder["name"],
                since=other["valid_from"].isoformat(),
                until=other["valid_until"].isoformat() if other["valid_until"] else "–",
            )
    async with refusing(unit, "/valid_from", name="–", since="–", until="–"):
        return await insert_row(
            unit,
            "appointment",
            {
                "post_id": post_id,
                "person_id": person_id,
                "valid_from": since,
                "valid_until": until,
                "is_shared": post["is_shared"],
            },
        )


async def end_appointment(
    unit: WriteUnit, jurisdiction: str, post_id: int, appointment_id: int, at: datetime
) -> dict[str, Any]:
    """End an appointment at an instant.

    Raises
    ------
    NotFoundError
        ``posts.appointment_unknown``.
    ConflictError
        ``posts.already_ended``.
    """
    await post_of(unit, jurisdiction, post_id)
    row = await lock_row(unit, "appointment", appointment_id)
    if row is None or row["post_id"] != post_id:
        raise NotFoundError("posts.appointment_unknown", appointment=appointment_id)
    check_interval(row["valid_from"], at)
    if row["valid_until"] is not None and row["valid_until"] <= at:
        raise ConflictError("posts.already_ended", pointer="/valid_until", until=row["valid_until"].isoformat())
    return await change_row(unit, "appointment", appointment_id, {"valid_until": at})


async def add_leave(
    unit: WriteUnit, jurisdiction: str, person_id: UUID, *, starts: datetime, ends: datetime, reason: str = ""
) -> dict[str, Any]:
    """Send somebody on leave.

    Raises
    ------
    BadInputError
        ``posts.bad_interval``.
    ConflictError
        ``posts.leave_overlaps`` another leave of the same person.
    """
    await person_of(unit, jurisdiction, person_id)
    await check_keeps_person(unit, person_id)
    check_interval(starts, ends, "/ends_at")
    for other in await read_rows(
        unit,
        "leave",
        "person_id = %(person)s AND starts_at < %(ends)s AND ends_at > %(starts)s",
        {"person": person_id, "starts": starts, "ends": ends},
    ):
        raise ConflictError(
            "posts.leave_overlaps",
            pointer="/starts_at",
            since=other["starts_at"].isoformat(),
            until=other["ends_at"].isoformat(),
        )
    return await insert_row(
        unit, "leave", {"person_id": person_id, "starts_at": starts, "ends_at": ends, "reason": reason}
    )


async def end_leave(
    unit: WriteUnit, jurisdiction: str, person_id: UUID, leave_id: int, at: datetime
) -> dict[str, Any] | None:
    """Let a leave end at another instant; one that would end before it begins never was, and None is returned.

    Raises
    ------
    NotFoundError
        ``posts.leave_unknown``.
    """
    await person_of(unit, jurisdiction, person_id)
    row = await lock_row(unit, "leave", leave_id)
    if row is None or row["person_id"] != person_id:
        raise NotFoundError("posts.leave_unknown", leave=leave_id)
    await check_keeps_person(unit, person_id)
    if at <= row["starts_at"]:
        driver = await unit.driver()
        await driver.execute("DELETE FROM dispatch.leave WHERE id = %s", (leave_id,))
        return None
    check_interval(row["starts_at"], at, "/ends_at")
    return await change_row(unit, "leave", leave_id, {"ends_at": at})
