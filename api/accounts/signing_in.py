"""Signing in: a password, then the second factor where somebody has one, then a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.lockout import allow_attempt, forget_attempts
from api.accounts.passwords import verify_password
from api.accounts.second_factor import use_code
from api.accounts.sessions import digest_of, start_session
from api.audit.trail import Actor, Kind, record
from geo.errors import BadInputError
from geo.storage.uow import WriteUnit, read_unit, write_unit

__all__ = ["Browser", "SignInDesk", "SignedIn"]

log = structlog.get_logger("gridward.access")
_ACCOUNT: Final = (
    "SELECT a.id, a.login, a.password_hash, a.totp_confirmed_at FROM api.account AS a"
    " JOIN dispatch.person AS p ON p.id = a.person_id WHERE a.disabled_at IS NULL AND p.is_active AND "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Where somebody signs in from: the address decides delays, the name is shown in the list of sessions."""

    address: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session: the text of its cookie, and whether the second factor is still owed."""

    token: str
    owes_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDesk:
    """Checks who somebody is. ``engine`` has the service's own rights."""

    engine: AsyncEngine
    session_hours: int

    async def by_password(self, login: str, password: str, browser: Browser) -> SignedIn:
        """Sign in with login and password.

        Raises
        ------
        BadInputError
            ``access.sign_in_failed``, the same for an unknown login; ``access.sign_in_wait``.
        """
        # No name holds a NUL, which the database refuses with an error of its own.
        login = login.replace("\0", "").strip().lower()[:80]
        # Committed before the password is looked at: a caller who hangs up has used up the attempt all the same.
        async with write_unit(self.engine) as unit:
            await allow_attempt(unit, login, browser.address)
        account = await self._find("a.login = %(login)s", {"login": login})
        is_right, fresh = await verify_password(password, account["password_hash"] if account else None)
        if account is None or not is_right:
            log.info("sign_in_failed", account=str(account["id"]) if account else None)
            if account is not None:
                # What was typed for an unknown login stays out: people type passwords into that field.
                await self._failed(account["login"], "password", browser)
            raise BadInputError("access.sign_in_failed")
        async with write_unit(self.engine) as unit:
            await forget_attempts(unit, login, browser.address)
            if fresh is not None:
                driver = await unit.driver()
                await driver.execute(
                    "UPDATE api.account SET password_hash = %s WHERE id = %s AND password_hash = %s",
                    (fresh, account["id"], account["password_hash"]),
                )
            return await self._start(unit, account, "password", browser)

    async def by_code(self, token: str, code: str, browser: Browser) -> SignedIn:
        """Give the second factor; the half session ends and a full one begins.

        Raises
        ------
        BadInputError
            ``access.code_wrong``, ``access.sign_in_wait``; ``access.sign_in_again`` when the password was too long ago.
        """
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(
                    "SELECT s.id, s.account_id, s.method, a.login FROM api.session AS s"
                    " JOIN api.account AS a ON a.id = s.account_id WHERE s.digest = %s AND s.stage = 'password'"
                    " AND s.ended_at IS NULL AND s.expires_at > now() AND a.disabled_at IS NULL",
                    (digest_of(token),),
                )
                half = await cursor.fetchone()
            if half is None:
                raise BadInputError("access.sign_in_again")
            await allow_attempt(unit, f"code\0{half['login']}", browser.address)
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            if await use_code(unit, half["account_id"], code):
                await forget_attempts(unit, f"code\0{half['login']}", browser.address)
                await driver.execute("UPDATE api.session SET ended_at = now() WHERE id = %s", (half["id"],))
                account = {"id": half["account_id"], "login": half["login"]}
                return await self._start(unit, account, half["method"], browser, is_full=True)
        log.info("code_wrong", account=str(half["account_id"]))
        await self._failed(half["login"], "code", browser)
        raise BadInputError("access.code_wrong")

    async def as_demo(self, account: UUID, browser: Browser) -> SignedIn:
        """Take a role of the demo. Who may is decided at the door: somebody at this very machine.

        Raises
        ------
        BadInputError
            ``access.sign_in_failed``: no such account, or it is not the demo's.
        """
        found = await self._find("a.id = %(id)s AND a.is_demo", {"id": account})
        if found is None:
            raise BadInputError("access.sign_in_failed")
        async with write_unit(self.engine) as unit:
            return await self._start(unit, found, "demo", browser, is_full=True)

    async def by_identity(self, issuer: str, subject: str, login: str | None, browser: Browser) -> SignedIn:
        """Sign in with what a provider of single sign-on says; the first time the login links the two for good.

        Raises
        ------
        BadInputError
            ``access.identity_unknown``: nobody has made an account for this person.
        """
        values = {"issuer": issuer, "subject": subject, "login": (login or "").strip().lower()}
        account = await self._find("a.oidc_issuer = %(issuer)s AND a.oidc_subject = %(subject)s", values)
        async with write_unit(self.engine) as unit:
            if account is None and login:
                driver = await unit.driver()
                done = await driver.execute(
                    "UPDATE api.account SET oidc_issuer = %(issuer)s, oidc_subject = %(subject)s"
                    " WHERE login = %(login)s AND oidc_subject IS NULL AND disabled_at IS NULL AND NOT is_demo"
                    " RETURNING id, login, totp_confirmed_at",
                    values,
                )
                row = await done.fetchone()
                account = {"id": row[0], "login": row[1], "totp_confirmed_at": row[2]} if row else None
                if account is not None:
                    who = Actor(kind="person", id=account["login"])
                    await record(unit, Kind.ACCOUNT_LINKED, account["login"], actor=who, issuer=issuer)
            if account is None:
                raise BadInputError("access.identity_unknown", login=values["login"] or "–")
            # The provider has asked for whatever it asks for; a second factor of ours comes on top if there is one.
            return await self._start(unit, account, "oidc", browser)

    async def _find(self, condition: str, values: dict[str, Any]) -> dict[str, Any] | None:
        async with read_unit(self.engine) as unit:
            driver = await unit.driver()
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute((_ACCOUNT + condition).encode(), values)
                return await cursor.fetchone()

    async def _failed(self, login: str, what: str, browser: Browser) -> None:
        async with write_unit(self.engine) as unit:
            who = Actor(kind="address", id=browser.address)
            await record(unit, Kind.SIGN_IN_FAILED, login, actor=who, what=what)

    async def _start(
        self, unit: WriteUnit, account: dict[str, Any], method: str, browser: Browser, *, is_full: bool = False
    ) -> SignedIn:
        owes = not is_full and account["totp_confirmed_at"] is not None
        token = await start_session(
            unit, account["id"], method=method, is_full=not owes, browser=browser.name, hours=self.session_hours
        )
        if not owes:
            who = Actor(kind="person", id=account["login"])
            await record(unit, Kind.SIGNED_IN, account["login"], actor=who, method=method, address=browser.address)
        log.info("signed_in" if not owes else "code_asked", account=str(account["id"]), method=method)
        return SignedIn(token=token, owes_code=owes)
