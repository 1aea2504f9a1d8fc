"""An act and its idempotency key in one transaction: delivered ten times, in two places at once, it happens once.

Unlike `api.idempotency.answer_once`, which keeps no transaction open while it works, the key is written by the very
transaction that makes the move. A server that dies between the two cannot exist: both are there, or neither is.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.errors import BadInputError
from geo.storage.uow import Unit, WriteUnit, read_unit

__all__ = ["CHANNEL", "claim_key", "ensure_channel", "find_answer", "keep_answer"]

#: The channel of what people in the field write themselves.
CHANNEL: Final = "field"
_ENSURE = """
INSERT INTO dispatch.channel (code, name_zh, name_en) VALUES (%s, '网格员现场', 'Field staff') ON CONFLICT DO NOTHING
"""
# A second delivery at the same moment waits here for the first one to commit or to fail.
_CLAIM = """
INSERT INTO api.idempotency_key (channel_code, key, fingerprint) VALUES (%(channel)s, %(key)s, %(fingerprint)s)
ON CONFLICT (channel_code, key) DO NOTHING RETURNING true
"""
_KEEP = """
UPDATE api.idempotency_key SET status = 200, headers = '{}', body = %(body)s
 WHERE channel_code = %(channel)s AND key = %(key)s
"""
_FIND = """
SELECT fingerprint = %(fingerprint)s, body FROM api.idempotency_key
 WHERE channel_code = %(channel)s AND key = %(key)s AND status IS NOT NULL
"""


async def ensure_channel(engine: AsyncEngine) -> None:
    """Let the channel be there; in a transaction of its own, so that nobody waits for an act to end."""
    async with engine.begin() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(_ENSURE, (CHANNEL,))  # type: ignore[union-attr]


async def find_answer(engine: AsyncEngine, key: str, fingerprint: bytes) -> Mapping[str, Any] | None:
    """The answer of an act that has happened, or None.

    Raises
    ------
    BadInputError
        ``idempotency.other_request``: the key belongs to another act.
    """
    async with read_unit(engine) as unit:
        return await _find(unit, key, fingerprint)


async def _find(unit: Unit, key: str, fingerprint: bytes) -> Mapping[str, Any] | None:
    driver = await unit.driver()
    row = await (await driver.execute(_FIND, {"channel": CHANNEL, "key": key, "fingerprint": fingerprint})).fetchone()
    if row is None:
        return None
    if not row[0]:
        raise BadInputError("idempotency.other_request")
    answer: dict[str, Any] = orjson.loads(zlib.decompress(row[1]))
    return answer


async def claim_key(unit: WriteUnit, key: str, fingerprint: bytes) -> Mapping[str, Any] | None:
    """Take the key for this transaction; the answer of the delivery that was faster, if there is one."""
    driver = await unit.driver()
    values = {"channel": CHANNEL, "key": key, "fingerprint": fingerprint}
    if await (await driver.execute(_CLAIM, values)).fetchone() is not None:
        return None
    return await _find(unit, key, fingerprint)


async def keep_answer(unit: WriteUnit, key: str, answer: Mapping[str, Any]) -> None:
    """Keep what every later delivery is told."""
    driver = await unit.driver()
    await driver.execute(_KEEP, {"channel": CHANNEL, "key": key, "body": zlib.compress(orjson.dumps(answer), 1)})
