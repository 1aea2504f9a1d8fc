"""Unmasking a reporter: who may, how often, and what is written down about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from api.accounts.callers import Caller
from api.accounts.roles import Scope, scopes_of
from api.audit.trail import Kind, record
from api.container import Container
from dispatch.belonging import Belonging, find_belongings
from dispatch.reporters import Reporter
from dispatch.storage.reporters import Identity, find_identity
from geo.errors import BadInputError, ForbiddenError, NotFoundError
from geo.storage.uow import Unit, write_unit

__all__ = ["Seen", "find_seen", "identity_json", "may_reveal", "reveal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A case that the asker sees."""

    id: UUID
    ref: str
    belonging: Belonging


async def find_seen(unit: Unit, caller: Caller, ref: str) -> Seen:
    """The case, looked at with the caller's own eyes.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``.
    """
    belonging = (await find_belongings(unit, [ref])).get(ref)
    driver = await unit.driver()
    row = await (await driver.execute("SELECT id FROM dispatch.dispatch_case WHERE ref = %s", (ref,))).fetchone()
    if belonging is None or row is None or caller.sees_channel not in {None, belonging.channel}:
        raise NotFoundError("dispatch.case_not_found", case=ref[:80])
    return Seen(id=row[0], ref=ref, belonging=belonging)


def may_reveal(caller: Caller, seen: Seen) -> bool:
    """Whether the caller may unmask this reporter: a person by a role that covers the case, a key by its scope."""
    if caller.kind != "person":
        return Scope.REPORTERS_REVEAL in caller.scopes
    return Scope.REPORTERS_REVEAL in scopes_of(caller.roles_for(seen.belonging))


async def reveal(container: Container, caller: Caller, seen: Seen, reason: str) -> dict[str, Any]:
    """Open an identity; the record of it is committed before anything is shown.

    Raises
    ------
    ForbiddenError
        ``reporter.not_yours``.
    NotFoundError
        ``reporter.unknown``.
    BadInputError
        ``reporter.too_many``: within the hour; 429.
    """
    if not may_reveal(caller, seen):
        raise ForbiddenError("reporter.not_yours", case=seen.ref)
    most = container.settings.reveals_per_hour
    async with write_unit(container.control) as unit:
        identity = await find_identity(unit, seen.id)
        if identity is None or identity.sealed is None:
            raise NotFoundError("reporter.unknown", case=seen.ref)
        # Two requests at once must not both be the last one; committed with the record that the next one counts.
        count, again_s = await _count(unit, caller.actor.id)
        if count >= most:
            raise BadInputError("reporter.too_many", most=most, seconds=again_s)
        reporter = container.vault.keys.open(seen.id, identity.sealed, identity.key_id)
        number = await record(
            unit, Kind.REPORTER_REVEALED, seen.ref, actor=caller.actor, reason=_without(reason, reporter)
        )
    return {
        "case": seen.ref,
        "name": reporter.name,
        "phone": reporter.phone,
        "email": reporter.email,
        "record": number,
        "left": most - count - 1,
    }


async def _count(unit: Unit, actor: str) -> tuple[int, int]:
    driver = await unit.driver()
    await driver.execute("SELECT pg_advisory_xact_lock(hashtext('gridward reveal'), hashtext(%s))", (actor,))
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT count(*) AS n,"
            " coalesce(ceil(extract(epoch FROM min(recorded_at) + interval '1 hour' - now())), 3600) AS again_s"
            " FROM audit.record WHERE kind = %s AND actor_id = %s AND recorded_at > now() - interval '1 hour'",
            (Kind.REPORTER_REVEALED.value, actor),
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"]), max(1, int(row["again_s"]))


def _without(reason: str, reporter: Reporter) -> str:
    """The reason without what was unmasked: it is typed with the number before one's eyes."""
    for word in (reporter.name, reporter.phone, reporter.email):
        if word:
            reason = reason.replace(word, "***")
    return reason


def identity_json(ref: str, identity: Identity | None, *, may: bool) -> dict[str, Any]:
    """An identity as it is shown without asking why."""

    def at(instant: datetime | None) -> str | None:
        return instant.isoformat() if instant is not None else None

    return {
        "case": ref,
        "known": identity is not None and identity.sealed is not None,
        "name": identity.name_masked if identity else "",
        "phone": identity.phone_masked if identity else "",
        "email": identity.email_masked if identity else "",
        "anonymous": identity.is_anonymous if identity else False,
        "follow_up": identity.wants_follow_up if identity else False,
        "received_at": at(identity.received_at) if identity else None,
        "erased_at": at(identity.erased_at) if identity else None,
        "erased_why": identity.erased_why if identity else None,
        "may_reveal": may and identity is not None and identity.sealed is not None,
    }
