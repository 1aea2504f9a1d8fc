"""Read and write the store of reporters. Every statement here takes on the store's own role, and gives it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import astuple
from psycopg.rows import class_row

from dispatch.reporters import SealedReporter
from dispatch.states import FINAL_STATES
from geo.storage.uow import Unit, WriteUnit

__all__ = ["Identity", "add_reporters", "find_identity", "forget_identities", "list_expired", "list_with_contact"]

_TAKE_ON = "SET LOCAL ROLE gridward_reporter"
_GIVE_BACK = "SET LOCAL ROLE NONE"


class Identity(Struct, frozen=True, kw_only=True):
    """Who reported a case, as it is kept."""

    case_id: UUID
    channel_code: str
    sealed: bytes | None
    key_id: bytes
    name_masked: str
    phone_masked: str
    email_masked: str
    is_anonymous: bool
    wants_follow_up: bool
    received_at: datetime
    erased_at: datetime | None
    erased_why: str | None


async def add_reporters(unit: WriteUnit, rows: Iterable[tuple[UUID, str, SealedReporter]]) -> None:
    """Write the reporters of cases written in the same transaction: case, channel, identity."""
    driver = await unit.driver()
    await driver.execute(_TAKE_ON)
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO reporter.identity (case_id, channel_code, sealed, key_id, name_masked, phone_masked,"
            " email_masked, is_anonymous, wants_follow_up) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            # All but the last field: the key that tells voices apart stands with the case.
            [(case_id, channel, *astuple(reporter)[:-1]) for case_id, channel, reporter in rows],
        )
    await driver.execute(_GIVE_BACK)


async def find_identity(unit: Unit, case_id: UUID) -> Identity | None:
    """Who reported a case; whether the asker may see that case was looked at before, with the asker's own rights."""
    driver = await unit.driver()
    await driver.execute(_TAKE_ON)
    async with driver.cursor(row_factory=class_row(Identity)) as cursor:
        await cursor.execute(
            "SELECT case_id, channel_code, sealed, key_id, name_masked, phone_masked, email_masked, is_anonymous,"
            " wants_follow_up, received_at, erased_at, erased_why FROM reporter.identity WHERE case_id = %s",
            (case_id,),
        )
        found = await cursor.fetchone()
    await driver.execute(_GIVE_BACK)
    return found


async def forget_identities(unit: WriteUnit, cases: Sequence[UUID], why: str) -> int:
    """Empty identities and the keys that tell voices apart; says how many were not empty yet."""
    driver = await unit.driver()
    await driver.execute(_TAKE_ON)
    forgotten = await driver.execute(
        "UPDATE reporter.identity SET sealed = NULL, name_masked = '', phone_masked = '', email_masked = '',"
        " wants_follow_up = false, erased_at = now(), erased_why = %s WHERE case_id = ANY (%s) AND erased_at IS NULL",
        (why, list(cases)),
    )
    await driver.execute(_GIVE_BACK)
    await driver.execute(
        "UPDATE dispatch.dispatch_case SET reporter_key = NULL WHERE id = ANY (%s) AND reporter_key IS NOT NULL",
        (list(cases),),
    )
    return forgotten.rowcount


async def list_expired(unit: Unit, before: datetime, most: int) -> list[UUID]:
    """Cases that ended before an instant and whose reporters are still known."""
    driver = await unit.driver()
    await driver.execute(_TAKE_ON)
    kept = await driver.execute(
        "SELECT case_id FROM reporter.identity WHERE erased_at IS NULL AND received_at < %s", (before,)
    )
    known = [row[0] for row in await kept.fetchall()]
    await driver.execute(_GIVE_BACK)
    ended = await driver.execute(
        "SELECT id FROM dispatch.dispatch_case AS c WHERE id = ANY (%s) AND state = ANY (%s) AND coalesce(closed_at,"
        " (SELECT max(e.occurred_at) FROM dispatch.case_event AS e WHERE e.case_id = c.id)) < %s LIMIT %s",
        (known, sorted(FINAL_STATES), before, most),
    )
    return [row[0] for row in await ended.fetchall()]


async def list_with_contact(unit: Unit, contact_key: bytes) -> list[tuple[UUID, str]]:
    """Cases with this key of a reporter, and their numbers: what somebody who asks to be forgotten has reported."""
    driver = await unit.driver()
    rows = await driver.execute("SELECT id, ref FROM dispatch.dispatch_case WHERE reporter_key = %s", (contact_key,))
    return [(row[0], row[1]) for row in await rows.fetchall()]
