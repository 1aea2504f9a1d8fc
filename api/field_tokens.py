"""Short-lived tokens for the field page inside a city's own app: in the fragment of its address, never in a cookie.

The app has signed its user in; its server asks with a key of scope ``field:tokens`` for a token of the same person
here. A token is a session without a cookie: it ends by itself within the hour, and with everything that ends sessions.
It is given for people who work out there only, so that such a key can never become a dispatcher or an administrator.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

from api.accounts.callers import Caller
from api.accounts.roles import FIELD_ROLES, Role
from api.accounts.sessions import TOKEN_PREFIX, digest_of
from geo.errors import ForbiddenError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["issue_token"]

_FIND: Final = """
SELECT a.id, a.must_change, coalesce(array_agg(g.role) FILTER (WHERE g.role IS NOT NULL), '{}')
  FROM api.account AS a
  JOIN dispatch.person AS p ON p.id = a.person_id
  LEFT JOIN api.role_grant AS g ON g.account_id = a.id AND g.ended_at IS NULL AND g.valid_from <= now()
        AND (g.valid_until IS NULL OR g.valid_until > now())
 WHERE a.login = lower(%s) AND a.disabled_at IS NULL AND p.is_active
 GROUP BY a.id, a.must_change
"""
_START: Final = """
INSERT INTO api.session (digest, account_id, stage, method, browser, expires_at)
VALUES (%s, %s, 'full', 'app', %s, now() + make_interval(mins => %s)) RETURNING expires_at
"""


async def issue_token(unit: WriteUnit, caller: Caller, login: str, minutes: int) -> tuple[str, datetime]:
    """Make a token for somebody and return its text, which is not kept, and when it ends.

    Raises
    ------
    NotFoundError
        ``field.no_such_login``.
    ForbiddenError
        ``access.area_limited`` when the key itself is limited; ``field.not_for_this_role``.
    """
    if not caller.sight.is_everything and any(area.cell or area.department for area in caller.sight.areas):
        raise ForbiddenError("access.area_limited")
    driver = await unit.driver()
    row = await (await driver.execute(_FIND, (login,))).fetchone()
    if row is None:
        raise NotFoundError("field.no_such_login", login=login[:80])
    account, must_change, roles = row
    if must_change or not roles or not {Role(role) for role in roles} <= FIELD_ROLES:
        raise ForbiddenError("field.not_for_this_role", login=login[:80])
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    done = await (
        await driver.execute(_START, (digest_of(token), account, f"channel {caller.channel}"[:200], minutes))
    ).fetchone()
    assert done is not None
    return token, done[0]
