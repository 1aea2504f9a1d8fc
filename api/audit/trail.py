"""Write, search and check the trail.

A record is written in the transaction of what it tells of: both are committed, or neither. Records name accounts, keys
and cases, never reporters; free words in them are masked.
"""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from api.accounts.office_area import KEY_IN_AREA
from dispatch.masking import mask_text
from geo.storage.uow import Unit

__all__ = ["Actor", "Finding", "Head", "Kind", "acting", "acts_as", "find_head", "list_records", "record", "verify"]

_START: Final = bytes(32)
_STEP: Final = 5000
_SELECT: Final = (
    "SELECT number, recorded_at, kind, actor_kind, actor_id, subject, detail, content, previous, digest"
    " FROM audit.record"
)


class Kind(StrEnum):
    """What a record tells of."""

    SIGNED_IN = "sign_in.done"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGNED_OUT = "sign_in.ended"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_OPENED = "account.opened"
    ACCOUNT_LINKED = "account.linked"
    CREDENTIAL_SET = "account.password_set"
    SECOND_FACTOR_SET = "account.second_factor_set"
    SECOND_FACTOR_DROPPED = "account.second_factor_dropped"
    ROLE_GRANTED = "role.granted"
    ROLE_ENDED = "role.ended"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    REPORTER_REVEALED = "reporter.revealed"
    REPORTER_ERASED = "reporter.erased"
    RETAINED_ENDED = "retention.done"
    EXPORTED = "export.made"
    IMPORTED = "import.done"
    GRID_ACTIVATED = "grid.activated"
    GRID_CHANGED = "grid.changed"
    SETTINGS_CHANGED = "settings.changed"
    CASE_MOVED = "case.moved_by_administrator"
    BACKED_UP = "backup.made"
    RESTORED = "backup.restored"


#: What concerns an area: who is its alone has done it, or it was done to somebody, a key, a post or a case of it.
_CONCERNS: Final = (
    "((actor_kind = 'person' AND EXISTS (SELECT FROM api.account AS a WHERE a.login = actor_id"
    "   AND dispatch.area_keeps_person(%(office)s::text[], a.person_id)))"
    " OR EXISTS (SELECT FROM api.account AS a WHERE a.login = subject"
    "   AND dispatch.area_sees_person(%(office)s::text[], a.person_id))"
    " OR EXISTS (SELECT FROM api.api_key AS k WHERE k.prefix IN (subject, actor_id) AND <KEY>)"
    " OR EXISTS (SELECT FROM dispatch.person AS p WHERE subject LIKE 'people/%%'"
    "   AND p.id::text = split_part(subject, '/', 2)"
    "   AND dispatch.area_sees_person(%(office)s::text[], p.id))"
    " OR EXISTS (SELECT FROM dispatch.post AS p WHERE subject LIKE 'posts/%%'"
    "   AND p.id::text = split_part(subject, '/', 2)"
    "   AND dispatch.area_holds(%(office)s::text[], p.cell_code, p.department_code))"
    " OR EXISTS (SELECT FROM dispatch.dispatch_case AS c CROSS JOIN unnest(%(office)s::text[]) AS o(pair)"
    "   WHERE c.ref IN (subject, split_part(subject, '/', 2))"
    "   AND (split_part(o.pair, '|', 1) = ''"
    "        OR split_part(o.pair, '|', 1) = ANY (c.cell_path || coalesce(c.owner_path, '{}')))"
    "   AND split_part(o.pair, '|', 2) IN ('', c.department_code)))"
).replace("<KEY>", KEY_IN_AREA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did something: ``person`` and an id, ``key`` and its prefix, ``cli`` and the account of the machine."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest record: whoever keeps it elsewhere notices when records before or after it are gone."""

    number: int
    digest: str

    def __str__(self) -> str:
        """The form in which heads are written down."""
        return f"{self.number}:{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The first broken place: what the check says about which record."""

    code: str
    number: int


_actor: ContextVar[Actor | None] = ContextVar("gridward_actor", default=None)


def acts_as(actor: Actor) -> None:
    """From here on, in this request or command, this is who does things."""
    _actor.set(actor)


def acting() -> Actor:
    """Who does things; at the command line, the account that runs it."""
    actor = _actor.get()
    if actor is not None:
        return actor
    try:
        return Actor(kind="cli", id=getpass.getuser())
    except (KeyError, OSError):
        return Actor(kind="cli", id="?")


async def record(unit: Unit, kind: Kind, subject: str = "", *, actor: Actor | None = None, **detail: Any) -> int:
    """Add a record to the trail, in this transaction; its number.

    Notes
    -----
    From here to the end of the transaction nobody else can add one: it belongs near the end.
    """
    who = actor or acting()
    driver = await unit.driver()
    said = {name: mask_text(value) if isinstance(value, str) else value for name, value in detail.items()}
    row = await (
        await driver.execute(
            "SELECT audit.append(%s, %s, %s, %s, %s)",
            (kind.value, who.kind, who.id, mask_text(subject)[:200], Jsonb(said)),
        )
    ).fetchone()
    assert row is not None
    return int(row[0])


async def find_head(unit: Unit) -> Head | None:
    """The newest record, or None."""
    driver = await unit.driver()
    row = await (
        await driver.execute("SELECT number, digest FROM audit.record ORDER BY number DESC LIMIT 1")
    ).fetchone()
    return Head(number=row[0], digest=bytes(row[1]).hex()) if row is not None else None


async def list_records(
    unit: Unit,
    *,
    office: Sequence[str] | None = None,
    before: int | None = None,
    kind: str | None = None,
    actor: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> Sequence[Mapping[str, Any]]:
    """Records, the newest first. A ``kind`` without a dot stands for all kinds that begin with it.

    Parameters
    ----------
    office
        Only what concerns these areas of an administrator; None: everything.
    """
    where, values = ["true"], dict[str, Any](limit=limit)
    for condition, name, value in (
        (_CONCERNS, "office", list(office) if office is not None else None),
        ("number < %(before)s", "before", before),
        ("(kind = %(kind)s OR kind LIKE %(kind)s || '.%%')", "kind", kind),
        ("actor_id = %(actor)s", "actor", actor),
        ("subject = %(subject)s", "subject", subject),
        ("recorded_at >= %(since)s", "since", since),
        ("recorded_at < %(until)s", "until", until),
    ):
        if value is not None:
            where.append(condition)
            values[name] = value
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        query = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT %(limit)s"
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()


async def verify(unit: Unit, known: Sequence[Head] = ()) -> tuple[int, Finding | None]:
    """Check every record; how many are sound, and the first broken place.

    Parameters
    ----------
    known
        Heads that were written down elsewhere. Only they show that the end of the trail was cut off.

    Notes
    -----
    Nothing of this asks the database's functions: whoever can change records can change those as well.
    """
    expected = {head.number: head.digest for head in known}
    previous, number = _START, 0
    async for row in _rows(unit):
        number += 1
        if row["number"] != number:
            return number - 1, Finding(code="missing", number=number)
        if bytes(row["previous"]) != previous:
            return number - 1, Finding(code="unlinked", number=number)
        digest = hashlib.sha256(previous + row["content"].encode()).digest()
        if digest != bytes(row["digest"]):
            return number - 1, Finding(code="altered", number=number)
        if not _says_the_same(row):
            return number - 1, Finding(code="differs", number=number)
        if expected.get(number, digest.hex()) != digest.hex():
            return number - 1, Finding(code="other_head", number=number)
        previous = digest
    if expected and max(expected) > number:
        return number, Finding(code="cut", number=number + 1)
    driver = await unit.driver()
    guards = await driver.execute(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'audit.record'::regclass AND tgenabled IN ('O', 'A')"
        " AND tgname IN ('chained', 'append_only')"
    )
    found = await guards.fetchone()
    if found is None or found[0] != 2:
        return number, Finding(code="unguarded", number=number)
    return number, None


def _says_the_same(row: Mapping[str, Any]) -> bool:
    said = orjson.loads(row["content"])
    shown = {name: row[name] for name in ("number", "kind", "actor_kind", "actor_id", "subject", "detail")}
    at = row["recorded_at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return bool(said == shown | {"recorded_at": at})


async def _rows(unit: Unit) -> AsyncIterator[Mapping[str, Any]]:
    driver = await unit.driver()
    last = -(2**62)
    async with driver.cursor(row_factory=dict_row) as cursor:
        while True:
            await cursor.execute(f"{_SELECT} WHERE number > %s ORDER BY number LIMIT {_STEP}".encode(), (last,))
            rows = await cursor.fetchall()
            for row in rows:
                yield row
            if len(rows) < _STEP:
                return
            last = rows[-1]["number"]
