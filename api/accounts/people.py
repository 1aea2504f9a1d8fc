"""People with an account: made by an administrator, with roles that begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from api.accounts.office_area import words_of
from api.accounts.passwords import check_new_password, hash_password
from api.accounts.roles import ROLES, Role
from api.accounts.sight import EVERYTHING, Sight
from api.audit.trail import Kind, record
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "NewGrant",
    "add_grant",
    "add_person",
    "end_grant",
    "get_person",
    "list_demo_roles",
    "list_people",
    "parse_role",
    "set_password",
]

_COLUMNS: Final[LiteralString] = """
SELECT a.id, a.login, a.person_id, p.name, a.is_demo, a.created_at, a.disabled_at, a.must_change,
       a.password_hash IS NOT NULL AS has_password, a.totp_confirmed_at IS NOT NULL AS has_second_factor,
       a.oidc_subject IS NOT NULL AS has_single_sign_on,
       (SELECT max(s.seen_at) FROM api.session AS s WHERE s.account_id = a.id) AS seen_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                   'id', g.id, 'role', g.role, 'cell', g.cell_code, 'department', g.department_code,
                   'valid_from', g.valid_from, 'valid_until', g.valid_until,
                   'is_active', g.valid_from <= now() AND (g.valid_until IS NULL OR g.valid_until > now()))
                 ORDER BY g.id)
                   FROM api.role_grant AS g WHERE g.account_id = a.id AND g.ended_at IS NULL
                    AND dispatch.area_holds(%(office)s::text[], g.cell_code, g.department_code)), '[]') AS grants,
       NOT dispatch.area_keeps_person(%(office)s::text[], a.person_id) AS is_held_elsewhere
  FROM api.account AS a JOIN dispatch.person AS p ON p.id = a.person_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A role to give. ``valid_from`` None means from now."""

    role: Role
    cell: str | None = None
    department: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def parse_role(name: str) -> Role:
    """Read a role's name.

    Raises
    ------
    BadInputError
        ``accounts.unknown_role``, naming those there are.
    """
    try:
        return Role(name)
    except ValueError:
        known = ", ".join(role.value for role in ROLES)
        raise BadInputError("accounts.unknown_role", pointer="/role", role=name[:40], known=known) from None


async def add_person(
    unit: WriteUnit,
    *,
    jurisdiction: str,
    login: str,
    name: str,
    password: str | None,
    must_change: bool = False,
    person_id: UUID | None = None,
    is_demo: bool = False,
    care: tuple[str | None, str | None] = (None, None),
) -> UUID:
    """Make an account, and the person if it is not one who is there already; return the account's id.

    Parameters
    ----------
    care
        Cell and department in whose care a new person is.

    Raises
    ------
    BadInputError
        ``accounts.bad_login``, ``accounts.password_*``.
    ConflictError
        ``accounts.login_taken``, ``accounts.person_has_account``.
    NotFoundError
        ``accounts.person_unknown``.
    """
    login = clean_login(login)
    if password is not None and not is_demo:
        check_new_password(password, login)
    kept = await hash_password(password) if password is not None else None
    account = uuid4()
    driver = await unit.driver()
    try:
        async with unit.connection.begin_nested():
            if person_id is None:
                person_id = uuid4()
                await driver.execute(
                    "INSERT INTO dispatch.person (id, jurisdiction, name, care_cell, care_department)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    (person_id, jurisdiction, name.strip() or login, *care),
                )
            await driver.execute(
                "INSERT INTO api.account (id, person_id, login, password_hash, must_change, is_demo,"
                " password_changed_at) VALUES (%s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END)",
                (account, person_id, login, kept, must_change, is_demo, kept is not None),
            )
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name == "uq_account_person":
            raise ConflictError("accounts.person_has_account", person=str(person_id)) from error
        raise ConflictError("accounts.login_taken", pointer="/login", login=login) from error
    except psycopg.errors.ForeignKeyViolation as error:
        if error.diag.constraint_name == "fk_person_jurisdiction":
            raise BadInputError("accounts.no_jurisdiction", jurisdiction=jurisdiction) from error
        raise NotFoundError("accounts.person_unknown", person=str(person_id)) from error
    if not is_demo:
        await record(unit, Kind.ACCOUNT_CREATED, login)
    return account


def clean_login(login: str) -> str:
    """Bring a login into the form that is kept.

    Raises
    ------
    BadInputError
        ``accounts.bad_login``.
    """
    cleaned = login.strip().lower()
    if not 2 <= len(cleaned) <= 80 or any(letter.isspace() or not letter.isprintable() for letter in cleaned):
        raise BadInputError("accounts.bad_login", pointer="/login", login=login[:80])
    return cleaned


async def add_grant(unit: WriteUnit, account: UUID, grant: NewGrant, *, jurisdiction: str, by: str) -> int:
    """Give a role.

    Raises
    ------
    BadInputError
        ``accounts.unknown_cell``, ``accounts.unknown_department``, ``accounts.bad_period``.
    """
    driver = await unit.driver()
    if grant.cell is not None:
        row = await (
            await driver.execute(
                "SELECT 1 FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id"
                " WHERE v.jurisdiction = %s AND v.status = 'published' AND c.code = %s LIMIT 1",
                (jurisdiction, grant.cell),
            )
        ).fetchone()
        if row is None:
            raise BadInputError("accounts.unknown_cell", pointer="/cell", cell=grant.cell[:40])
    try:
        async with unit.connection.begin_nested():
            row = await (
                await driver.execute(
                    "INSERT INTO api.role_grant (account_id, role, cell_code, department_code, valid_from, valid_until,"
                    " granted_by) VALUES (%s, %s, %s, %s, coalesce(%s, now()), %s, %s) RETURNING id",
                    (
                        account,
                        grant.role.value,
                        grant.cell,
                        grant.department,
                        grant.valid_from,
                        grant.valid_until,
                        by,
                    ),
                )
            ).fetchone()
    except psycopg.errors.ForeignKeyViolation as error:
        department = (grant.department or "")[:40]
        raise BadInputError("accounts.unknown_department", pointer="/department", department=department) from error
    except psycopg.errors.CheckViolation as error:
        raise BadInputError("accounts.bad_period", pointer="/valid_until") from error
    assert row is not None
    number: int = row[0]
    await record(
        unit,
        Kind.ROLE_GRANTED,
        await _login_of(unit, account),
        role=grant.role.value,
        cell=grant.cell,
        department=grant.department,
        valid_from=grant.valid_from.isoformat() if grant.valid_from else None,
        valid_until=grant.valid_until.isoformat() if grant.valid_until else None,
    )
    return number


async def _login_of(unit: Unit, account: UUID) -> str:
    driver = await unit.driver()
    row = await (await driver.execute("SELECT login FROM api.account WHERE id = %s", (account,))).fetchone()
    return str(row[0]) if row is not None else str(account)


async def end_grant(unit: WriteUnit, account: UUID, grant: int) -> None:
    """Take a role back, from now on.

    Raises
    ------
    NotFoundError
        ``accounts.grant_unknown``.
    ConflictError
        ``accounts.last_administrator``.
    """
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "UPDATE api.role_grant SET ended_at = now() WHERE id = %s AND account_id = %s AND ended_at IS NULL"
            " RETURNING role, cell_code, department_code",
            (grant, account),
        )
    ).fetchone()
    if row is None:
        raise NotFoundError("accounts.grant_unknown", grant=grant)
    if row[0] == Role.ADMINISTRATOR and row[1] is None and row[2] is None:
        await keep_an_administrator(unit)
    await record(unit, Kind.ROLE_ENDED, await _login_of(unit, account), role=row[0], grant=grant)


async def keep_an_administrator(unit: WriteUnit) -> None:
    """Refuse what would leave nobody who can give roles.

    Raises
    ------
    ConflictError
        ``accounts.last_administrator``.
    """
    driver = await unit.driver()
    # Two administrators who take each other's role at once would both see the other's: one waits here.
    await driver.execute("SELECT pg_advisory_xact_lock(hashtext('gridward administrators'))")
    row = await (
        await driver.execute(
            "SELECT 1 FROM api.role_grant AS g JOIN api.account AS a ON a.id = g.account_id"
            " WHERE g.role = 'administrator' AND g.cell_code IS NULL AND g.department_code IS NULL"
            " AND g.ended_at IS NULL AND a.disabled_at IS NULL"
            " AND (g.valid_until IS NULL OR g.valid_until > now()) LIMIT 1"
        )
    ).fetchone()
    if row is None:
        raise ConflictError("accounts.last_administrator")


async def set_password(unit: WriteUnit, account: UUID, login: str, password: str, *, must_change: bool) -> None:
    """Set a password and end all sessions of the account.

    Raises
    ------
    BadInputError
        ``accounts.password_*``.
    """
    check_new_password(password, login)
    kept = await hash_password(password)
    driver = await unit.driver()
    await driver.execute(
        "UPDATE api.account SET password_hash = %s, must_change = %s, password_changed_at = now() WHERE id = %s",
        (kept, must_change, account),
    )
    await driver.execute(
        "UPDATE api.session SET ended_at = now() WHERE account_id = %s AND ended_at IS NULL", (account,)
    )
    await record(unit, Kind.CREDENTIAL_SET, login)


async def set_disabled(unit: WriteUnit, account: UUID, *, disabled: bool) -> None:
    """Close an account, or open it again; closing ends its sessions.

    Raises
    ------
    ConflictError
        ``accounts.last_administrator``.
    """
    driver = await unit.driver()
    await driver.execute(
        "UPDATE api.account SET disabled_at = CASE WHEN %s THEN now() END WHERE id = %s", (disabled, account)
    )
    if disabled:
        await driver.execute(
            "UPDATE api.session SET ended_at = now() WHERE account_id = %s AND ended_at IS NULL", (account,)
        )
        await keep_an_administrator(unit)
    kind = Kind.ACCOUNT_CLOSED if disabled else Kind.ACCOUNT_OPENED
    await record(unit, kind, await _login_of(unit, account))


#: An administrator of an area sees the accounts of whoever belongs there, and of their roles those that lie there.
_IN_AREA: Final[LiteralString] = (
    "(%(office)s::text[] @> '{|}' OR a.person_id = ANY ((SELECT dispatch.people_of_areas(%(office)s::text[]))::uuid[]))"
)


async def list_people(unit: Unit, office: Sight = EVERYTHING) -> Sequence[dict[str, Any]]:
    """The accounts of an area with their roles, by login."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"{_COLUMNS} WHERE {_IN_AREA} ORDER BY a.login", {"office": words_of(office)})
        return await cursor.fetchall()


async def get_person(unit: Unit, login: str, office: Sight = EVERYTHING) -> dict[str, Any]:
    """One account of an area with its roles.

    Raises
    ------
    NotFoundError
        ``accounts.unknown``.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"{_COLUMNS} WHERE a.login = %(login)s AND {_IN_AREA}",
            {"login": login.strip().lower(), "office": words_of(office)},
        )
        row = await cursor.fetchone()
    if row is None:
        raise NotFoundError("accounts.unknown", login=login[:80])
    return row


async def list_demo_roles(unit: Unit, jurisdiction: str) -> Sequence[dict[str, Any]]:
    """The accounts of the demo, in the order they were made, each with its role and the name of its area."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT a.id, g.role, coalesce(c.name_zh, d.name_zh, '') AS area_zh, coalesce(c.name_en, d.name_en, '')"
            " AS area_en FROM api.account AS a JOIN api.role_grant AS g ON g.account_id = a.id AND g.ended_at IS NULL"
            " LEFT JOIN LATERAL geo.valid_version(%(jurisdiction)s, now()) AS v ON true"
            " LEFT JOIN geo.cell AS c ON c.version_id = v.id AND c.code = g.cell_code"
            " LEFT JOIN dispatch.department AS d ON d.code = g.department_code"
            " WHERE a.is_demo AND a.disabled_at IS NULL ORDER BY a.created_at, a.login",
            {"jurisdiction": jurisdiction},
        )
        return await cursor.fetchall()
