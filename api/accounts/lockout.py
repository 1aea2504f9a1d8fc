"""Guessing gets slower, nobody is shut out for good: a delay per (account, address) that grows and has an end.

An attempt is counted before the password is looked at, so that a hundred at once are a hundred attempts. What is kept
is a digest: neither names nor addresses stand in the table.
"""

from __future__ import annotations

import hashlib
from typing import Final

from geo.errors import BadInputError
from geo.storage.uow import WriteUnit

__all__ = ["LONGEST_S", "allow_attempt", "forget_attempts"]

#: Wrong passwords without any delay: for one account from one address; for one address, which may be a whole office.
_FREE: Final = (5, 30)
#: The longest delay. Units: seconds.
LONGEST_S: Final = 300

_ATTEMPT: Final = """
INSERT INTO api.sign_in_failure AS f (digest, failures, last_at, next_at) VALUES (%(digest)s, 1, now(), now())
ON CONFLICT (digest) DO UPDATE
   SET failures = CASE WHEN f.last_at < now() - interval '1 day' THEN 1 ELSE f.failures + 1 END,
       last_at = now(),
       next_at = CASE WHEN f.failures + 1 < %(free)s OR f.last_at < now() - interval '1 day' THEN now()
                      ELSE now() + make_interval(secs => least(%(longest)s, 2.0 ^ least(f.failures + 1 - %(free)s, 20)))
                 END
 WHERE f.next_at <= clock_timestamp()
RETURNING 1
"""


async def allow_attempt(unit: WriteUnit, login: str, address: str) -> None:
    """Count an attempt, or refuse it because its time has not come.

    Raises
    ------
    BadInputError
        ``access.sign_in_wait`` with the seconds to wait.
    """
    driver = await unit.driver()
    for digest, free in zip(_digests(login, address), _FREE, strict=True):
        values = {"digest": digest, "free": free, "longest": LONGEST_S}
        if await (await driver.execute(_ATTEMPT, values)).fetchone() is None:
            row = await (
                await driver.execute(
                    "SELECT ceil(extract(epoch FROM next_at - now()))::int FROM api.sign_in_failure WHERE digest = %s",
                    (digest,),
                )
            ).fetchone()
            raise BadInputError("access.sign_in_wait", seconds=max(1, row[0] if row else 1))


async def forget_attempts(unit: WriteUnit, login: str, address: str) -> None:
    """After the right password: this account's attempts from here are forgotten, the address gets its one back."""
    pair, alone = _digests(login, address)
    driver = await unit.driver()
    await driver.execute("DELETE FROM api.sign_in_failure WHERE digest = %s", (pair,))
    await driver.execute(
        "UPDATE api.sign_in_failure SET failures = greatest(failures - 1, 0) WHERE digest = %s", (alone,)
    )
    await driver.execute("DELETE FROM api.sign_in_failure WHERE last_at < now() - interval '2 days'")


def _digests(login: str, address: str) -> tuple[bytes, bytes]:
    return (
        hashlib.sha256(f"pair\0{login}\0{address}".encode()).digest(),
        hashlib.sha256(f"address\0{address}".encode()).digest(),
    )
