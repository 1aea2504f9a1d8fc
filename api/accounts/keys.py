"""Keys of channels: made once, shown once, kept as a digest.

A key is 256 random bits, so one SHA-256 is enough to keep it: argon2id is for passwords, which people choose.
Source: OWASP ASVS 5.0, secret storage for high-entropy tokens.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NewType

from psycopg.rows import dict_row
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert

from api.accounts.callers import Caller
from api.accounts.office_area import KEY_IN_AREA, words_of
from api.accounts.rates import parse_rate
from api.accounts.roles import DEFAULT_SCOPES, Scope
from api.accounts.sight import EVERYTHING, Sight
from api.accounts.tables import ApiKeyRow
from api.audit.trail import Kind, record
from dispatch.storage.tables import ChannelRow
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "DEFAULT_SCOPES",
    "OVERLAP_S",
    "Caller",
    "KeyText",
    "NewKey",
    "Scope",
    "create_key",
    "digest_of",
    "get_key",
    "issue_key",
    "list_keys",
    "parse_scopes",
    "revoke_key",
    "rotate_key",
]

KeyText = NewType("KeyText", str)

#: Keys with the same rights that live at the same time: one in use, and the one that takes over.
MOST_LIVE: Final = 2
#: A key that was rotated goes on for a day, unless said otherwise. Units: seconds.
OVERLAP_S: Final = 86_400
CHANNEL_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def parse_scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """Read scope names.

    Raises
    ------
    BadInputError
        ``access.unknown_scope``.
    """
    known = {scope.value: scope for scope in Scope}
    found = []
    for name in names:
        if name not in known:
            raise BadInputError("access.unknown_scope", scope=name, known=", ".join(known))
        found.append(known[name])
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to make. ``cells`` and ``departments`` limit what it sees; ``rate`` is like ``100/second``."""

    channel: str
    scopes: tuple[Scope, ...] = DEFAULT_SCOPES
    label: str = ""
    cells: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    rate: str | None = None
    expires_at: datetime | None = None


async def create_key(unit: WriteUnit, channel: str, scopes: Iterable[Scope] = DEFAULT_SCOPES) -> KeyText:
    """Make a key for a channel, creating the channel if it is new; return its text, which is not kept."""
    return await issue_key(unit, NewKey(channel=channel, scopes=tuple(scopes)), by="cli")


async def issue_key(unit: WriteUnit, new: NewKey, *, by: str) -> KeyText:
    """Make a key, and its channel if that is new; return its text, which is not kept.

    Raises
    ------
    BadInputError
        ``accounts.unknown_cell``, ``accounts.unknown_department``, ``access.bad_rate``, ``access.bad_channel``.
    """
    if not CHANNEL_CODE.fullmatch(new.channel):
        raise BadInputError("access.bad_channel", pointer="/channel", channel=new.channel[:40])
    if new.rate is not None:
        parse_rate(new.rate)
    await _check_places(unit, new)
    await unit.connection.execute(
        upsert(ChannelRow).values(code=new.channel, name_zh=new.channel, name_en=new.channel).on_conflict_do_nothing()
    )
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    await unit.connection.execute(
        insert(ApiKeyRow).values(
            channel_code=new.channel,
            prefix=prefix,
            digest=digest_of(secret),
            scopes=[scope.value for scope in new.scopes],
            label=new.label.strip()[:80],
            cells=list(new.cells),
            departments=list(new.departments),
            rate=new.rate,
            expires_at=new.expires_at,
            created_by=by,
        )
    )
    await record(
        unit,
        Kind.KEY_CREATED,
        prefix,
        channel=new.channel,
        scopes=[scope.value for scope in new.scopes],
        cells=list(new.cells),
        departments=list(new.departments),
    )
    return KeyText(f"gw_{prefix}_{secret}")


async def _check_places(unit: WriteUnit, new: NewKey) -> None:
    driver = await unit.driver()
    for field, codes, query in (
        ("cell", new.cells, "SELECT 1 FROM geo.cell WHERE code = %s LIMIT 1"),
        ("department", new.departments, "SELECT 1 FROM dispatch.department WHERE code = %s"),
    ):
        for code in codes:
            if await (await driver.execute(query.encode(), (code,))).fetchone() is None:
                raise BadInputError(f"accounts.unknown_{field}", pointer=f"/{field}s", **{field: code[:40]})


async def rotate_key(unit: WriteUnit, prefix: str, *, overlap_s: int, by: str) -> KeyText:
    """Make a second key with the same rights; the first goes on for a while, so that nobody has to stop for it.

    Raises
    ------
    NotFoundError
        ``access.key_not_found``.
    ConflictError
        ``access.too_many_keys``: two are alive already.
    """
    old = await get_key(unit, prefix)
    if old["revoked_at"] is not None or (old["expires_at"] is not None and old["is_over"]):
        raise NotFoundError("access.key_not_found", key=prefix[:20])
    driver = await unit.driver()
    # Two rotations at once must not leave three keys.
    await driver.execute("SELECT 1 FROM dispatch.channel WHERE code = %s FOR UPDATE", (old["channel"],))
    row = await (
        await driver.execute(
            "SELECT count(*) FROM api.api_key WHERE channel_code = %s AND label = %s AND scopes = %s"
            " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
            (old["channel"], old["label"], old["scopes"]),
        )
    ).fetchone()
    assert row is not None
    if row[0] >= MOST_LIVE:
        raise ConflictError("access.too_many_keys", channel=old["channel"], most=MOST_LIVE)
    await driver.execute(
        "UPDATE api.api_key SET expires_at = least(expires_at, now() + make_interval(secs => %s)) WHERE prefix = %s",
        (overlap_s, prefix),
    )
    new = NewKey(
        channel=old["channel"],
        scopes=parse_scopes(old["scopes"]),
        label=old["label"],
        cells=tuple(old["cells"]),
        departments=tuple(old["departments"]),
        rate=old["rate"],
    )
    await record(unit, Kind.KEY_ROTATED, prefix, channel=old["channel"], overlap_s=overlap_s)
    return await issue_key(unit, new, by=by)


_SHOWN: Final[LiteralString] = (
    "SELECT prefix, channel_code AS channel, label, scopes, cells, departments, rate, created_at, created_by,"
    " last_used_at, expires_at, revoked_at, expires_at <= now() AS is_over FROM api.api_key"
)


async def list_keys(unit: Unit, channel: str | None = None, office: Sight = EVERYTHING) -> list[dict[str, Any]]:
    """Keys of an area without their secrets, the newest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"{_SHOWN} WHERE (%(channel)s::text IS NULL OR channel_code = %(channel)s) AND {KEY_IN_AREA}"
            " ORDER BY id DESC",
            {"channel": channel, "office": words_of(office)},
        )
        return await cursor.fetchall()


async def get_key(unit: Unit, prefix: str, office: Sight = EVERYTHING) -> dict[str, Any]:
    """One key of an area without its secret.

    Raises
    ------
    NotFoundError
        ``access.key_not_found``.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"{_SHOWN} WHERE prefix = %(prefix)s AND {KEY_IN_AREA}", {"prefix": prefix, "office": words_of(office)}
        )
        row = await cursor.fetchone()
    if row is None:
        raise NotFoundError("access.key_not_found", key=prefix[:20])
    return row


async def revoke_key(unit: WriteUnit, prefix: str) -> None:
    """End a key, at once; ending it again changes nothing.

    Raises
    ------
    NotFoundError
        ``access.key_not_found``.
    """
    driver = await unit.driver()
    done = await driver.execute(
        "UPDATE api.api_key SET revoked_at = coalesce(revoked_at, now()) WHERE prefix = %s", (prefix,)
    )
    if not done.rowcount:
        raise NotFoundError("access.key_not_found", key=prefix[:20])
    await record(unit, Kind.KEY_REVOKED, prefix)


def digest_of(secret: str) -> bytes:
    """What is kept of a key's secret."""
    return hashlib.sha256(secret.encode()).digest()
