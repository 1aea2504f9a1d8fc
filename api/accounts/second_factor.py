"""The second factor: six digits that change every half minute, and codes for the day the phone is lost.

Source: TOTP, RFC 6238, with the defaults that every authenticator knows: SHA-1, six digits, 30 seconds.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

import pyotp
import segno

from api.audit.trail import Kind, record
from geo.errors import BadInputError, ConflictError
from geo.storage.uow import Unit, WriteUnit

__all__ = ["begin_totp", "confirm_totp", "count_recovery_codes", "drop_totp", "qr_svg", "use_code"]

STEP_S: Final = 30
CODES: Final = 10
ISSUER: Final = "Gridward"
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


def qr_svg(secret: str, login: str) -> str:
    """The secret as a QR code to be photographed: a data address, made here and never by another host."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)
    out = io.BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", scale=5, border=2, dark="#1b2328", light="#ffffff")
    return out.getvalue().decode()


async def begin_totp(unit: WriteUnit, account: UUID) -> str:
    """Make a secret that counts only after one of its codes was typed; return it.

    Raises
    ------
    ConflictError
        ``accounts.second_factor_on``.
    """
    secret = pyotp.random_base32()
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "UPDATE api.account SET totp_secret = %s, totp_step = 0 WHERE id = %s AND totp_confirmed_at IS NULL"
            " RETURNING 1",
            (secret, account),
        )
    ).fetchone()
    if row is None:
        raise ConflictError("accounts.second_factor_on")
    return secret


async def confirm_totp(unit: WriteUnit, account: UUID, code: str) -> list[str]:
    """Switch the second factor on with a first code; return the recovery codes, which are not kept.

    Raises
    ------
    BadInputError
        ``access.code_wrong``.
    """
    if not await _use_totp(unit, account, code, confirmed=False):
        raise BadInputError("access.code_wrong", pointer="/code")
    driver = await unit.driver()
    await driver.execute("UPDATE api.account SET totp_confirmed_at = now() WHERE id = %s", (account,))
    codes = ["-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(2)) for _ in range(CODES)]
    await driver.execute("DELETE FROM api.recovery_code WHERE account_id = %s", (account,))
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO api.recovery_code (account_id, digest) VALUES (%s, %s)",
            [(account, _digest(one)) for one in codes],
        )
    await record(unit, Kind.SECOND_FACTOR_SET, str(account))
    return codes


async def drop_totp(unit: WriteUnit, account: UUID) -> None:
    """Switch the second factor off."""
    driver = await unit.driver()
    await driver.execute("DELETE FROM api.recovery_code WHERE account_id = %s", (account,))
    await driver.execute(
        "UPDATE api.account SET totp_secret = NULL, totp_confirmed_at = NULL, totp_step = 0 WHERE id = %s", (account,)
    )
    await record(unit, Kind.SECOND_FACTOR_DROPPED, str(account))


async def count_recovery_codes(unit: Unit, account: UUID) -> int:
    """How many recovery codes are left."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT count(*) FROM api.recovery_code WHERE account_id = %s AND used_at IS NULL", (account,)
        )
    ).fetchone()
    assert row is not None
    return int(row[0])


async def use_code(unit: WriteUnit, account: UUID, code: str) -> bool:
    """Use six digits, or a recovery code; each counts once."""
    cleaned = code.strip().lower().replace(" ", "")
    if cleaned.isascii() and cleaned.isdecimal():
        return await _use_totp(unit, account, cleaned, confirmed=True)
    driver = await unit.driver()
    done = await driver.execute(
        "UPDATE api.recovery_code SET used_at = now() WHERE account_id = %s AND digest = %s AND used_at IS NULL",
        (account, _digest(cleaned)),
    )
    return done.rowcount == 1


async def _use_totp(unit: WriteUnit, account: UUID, code: str, *, confirmed: bool) -> bool:
    driver = await unit.driver()
    row = await (
        await driver.execute(
            # Locked, so that the same code in two requests at once is used by one of them only.
            "SELECT totp_secret, totp_step, totp_confirmed_at IS NOT NULL, now() FROM api.account"
            " WHERE id = %s FOR UPDATE",
            (account,),
        )
    ).fetchone()
    if row is None or row[0] is None or row[2] is not confirmed:
        return False
    step = _step_of(row[0], code.strip(), row[3])
    if step is None or step <= row[1]:
        return False
    await driver.execute("UPDATE api.account SET totp_step = %s WHERE id = %s", (step, account))
    return True


def _step_of(secret: str, code: str, at: datetime) -> int | None:
    """The time step that a code belongs to: the present one, or one to either side, for clocks that differ."""
    if not (len(code) == 6 and code.isascii() and code.isdecimal()):
        return None
    totp = pyotp.TOTP(secret)
    present = int(at.timestamp()) // STEP_S
    for step in (present, present - 1, present + 1):
        if secrets.compare_digest(totp.at(step * STEP_S), code):
            return step
    return None


def _digest(code: str) -> bytes:
    # 49 random bits behind the delays of signing in; a slow hash would add nothing that the delays do not.
    return hashlib.sha256(code.replace("-", "").encode()).digest()
