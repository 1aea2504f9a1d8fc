"""Sessions: rows on the server, found by a random cookie; ending one ends it at once, everywhere."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.callers import Caller
from api.accounts.roles import Role, Scope, granted_scopes, scopes_of
from api.accounts.sight import Area, Grant, Sight
from geo.storage.uow import Unit, WriteUnit, read_unit, write_unit

__all__ = [
    "HOST_COOKIE",
    "PLAIN_COOKIE",
    "TOKEN_PREFIX",
    "SessionRing",
    "end_sessions",
    "list_sessions",
    "start_session",
]

#: The prefix makes browsers refuse the cookie unless it came over https, for this host only and for all of it.
HOST_COOKIE: Final = "__Host-gridward"
#: Without https there can be no such prefix: on this very machine, or where the office has decided for plain http.
PLAIN_COOKIE: Final = "gridward_session"
#: Of sessions that travel in a header: short-lived tokens for a city's app (`api/field_tokens.py`).
TOKEN_PREFIX: Final = "gwf_"  # noqa: S105 - names a kind of token, is none

_CALLER = """
SELECT s.id, s.digest, s.stage, s.account_id, a.login, a.must_change, a.is_demo, a.person_id, p.name,
       s.seen_at < now() - interval '1 minute' AS is_stale,
       coalesce((SELECT jsonb_agg(jsonb_build_array(g.role, g.cell_code, g.department_code, g.valid_until)
                                   ORDER BY g.id)
                   FROM api.role_grant AS g
                  WHERE g.account_id = a.id AND g.ended_at IS NULL AND g.valid_from <= now()
                    AND (g.valid_until IS NULL OR g.valid_until > now())), '[]') AS grants
  FROM api.session AS s
  JOIN api.account AS a ON a.id = s.account_id
  JOIN dispatch.person AS p ON p.id = a.person_id
 WHERE s.ended_at IS NULL AND s.expires_at > now() AND s.seen_at > now() - make_interval(hours => %(idle)s)
   AND a.disabled_at IS NULL AND p.is_active
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A session as read: who it is, and whether the second factor is still owed."""

    caller: Caller
    is_full: bool
    read_at: float


class SessionRing:
    """Find the person behind a cookie, remembering each for half a second.

    The half second is also how long an ended session still passes.
    """

    _REMEMBER_S = 0.5
    _MOST = 10_000

    def __init__(self, engine: AsyncEngine, *, idle_h: int) -> None:
        self._engine = engine
        self._idle_h = idle_h
        self._known: dict[bytes, Found] = {}

    async def find(self, token: str) -> Found | None:
        """The session of a cookie, or None."""
        if not (20 <= len(token) <= 100 and token.isascii()):
            return None
        digest = digest_of(token)
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known.read_at <= self._REMEMBER_S:
            return known
        self._known.pop(digest, None)
        rows = await self._read("AND s.digest = %(digest)s", {"digest": digest})
        if not rows:
            return None
        found = _found(rows[0])
        if len(self._known) >= self._MOST:
            self._known.clear()
        self._known[digest] = found
        if rows[0]["is_stale"]:
            async with write_unit(self._engine) as unit:
                driver = await unit.driver()
                await driver.execute("UPDATE api.session SET seen_at = now() WHERE id = %s", (rows[0]["id"],))
        return found

    async def find_many(self, ids: Iterable[int]) -> Mapping[int, Caller]:
        """The callers of sessions that still hold."""
        rows = await self._read("AND s.id = ANY (%(ids)s) AND s.stage = 'full'", {"ids": list(ids)})
        return {row["id"]: _found(row).caller for row in rows}

    def forget(self, token: str) -> None:
        """Look again at the next request: something about this session was changed here."""
        self._known.pop(digest_of(token), None)

    def forget_all(self) -> None:
        """Look again at every session."""
        self._known.clear()

    async def _read(self, condition: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        async with read_unit(self._engine) as unit:
            driver = await unit.driver()
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute((_CALLER + condition).encode(), {**values, "idle": self._idle_h})
                return await cursor.fetchall()


def digest_of(token: str) -> bytes:
    """What is kept of a cookie: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def _found(row: Mapping[str, Any]) -> Found:
    known = {role.value for role in Role}
    grants = tuple(
        Grant(
            role=Role(role),
            area=Area(cell=cell, department=department),
            until=datetime.fromisoformat(until) if until else None,
        )
        for role, cell, department, until in row["grants"]
        if role in known
    )
    caller = Caller(
        kind="person",
        id=str(row["person_id"]),
        channel=None,
        scopes=frozenset[Scope]().union(
            *(granted_scopes(grant.role, is_limited=not grant.area.is_everything) for grant in grants)
        ),
        # A role shows cases in its own area only: a planner's is counted, even if another role reads cases elsewhere.
        sight=_areas_of(grant for grant in grants if Scope.CASES_READ in scopes_of([grant.role])),
        counted=_areas_of(grants),
        office=_areas_of(grant for grant in grants if grant.role is Role.ADMINISTRATOR),
        grants=grants,
        account=row["account_id"],
        session=row["id"],
        login=row["login"],
        name=row["name"],
        must_change=row["must_change"],
        is_demo=row["is_demo"],
    )
    return Found(caller, row["stage"] == "full", time.monotonic())


def _areas_of(grants: Iterable[Grant]) -> Sight:
    return Sight(areas=tuple(dict.fromkeys(grant.area for grant in grants)))


async def start_session(unit: WriteUnit, account: UUID, *, method: str, is_full: bool, browser: str, hours: int) -> str:
    """Make a session and return its cookie's text, which is not kept. It is always a new one: nothing is fixated."""
    token = secrets.token_urlsafe(32)
    driver = await unit.driver()
    await driver.execute(
        "INSERT INTO api.session (digest, account_id, stage, method, browser, expires_at)"
        # Whoever owes the second factor has ten minutes to find the phone.
        " VALUES (%s, %s, %s, %s, %s, now() + CASE WHEN %s THEN make_interval(hours => %s) ELSE interval '10 min' END)",
        (digest_of(token), account, "full" if is_full else "password", method, browser[:200], is_full, hours),
    )
    # Sessions that ended long ago tell nothing any more.
    await driver.execute("DELETE FROM api.session WHERE expires_at < now() - interval '200 days'")
    return token


async def end_sessions(
    unit: WriteUnit, *, token: str | None = None, account: UUID | None = None, session: int | None = None
) -> int:
    """End the session of a cookie, all of an account, or one of an account; return how many ended."""
    driver = await unit.driver()
    done = await driver.execute(
        "UPDATE api.session SET ended_at = now() WHERE ended_at IS NULL"
        " AND (%(digest)s::bytea IS NULL OR digest = %(digest)s)"
        " AND (%(account)s::uuid IS NULL OR account_id = %(account)s)"
        " AND (%(session)s::bigint IS NULL OR id = %(session)s)"
        " AND num_nonnulls(%(digest)s::bytea, %(account)s::uuid) > 0",
        {"digest": digest_of(token) if token else None, "account": account, "session": session},
    )
    return done.rowcount


async def list_sessions(unit: Unit, account: UUID) -> list[dict[str, Any]]:
    """The sessions of an account that hold, the newest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, method, browser, created_at, seen_at, expires_at FROM api.session"
            " WHERE account_id = %s AND ended_at IS NULL AND expires_at > now() AND stage = 'full' ORDER BY id DESC",
            (account,),
        )
        return await cursor.fetchall()
