"""Shared maps: what a link shows is frozen when it is made; the link ends by itself and can be ended before."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.accounts.tables import SCHEMA
from api.planner_desk import Desk
from geo.errors import NotFoundError
from geo.storage.base import Base
from geo.storage.tables import INSTANT
from geo.storage.uow import DESK_ROLE, ReadUnit, Viewer, WriteUnit
from maps.i18n import Locale

__all__ = ["MAX_DAYS", "Share", "ShareScope", "create_share", "end_share", "list_shares", "may_open", "open_share"]

#: Longest life of a link. Units: days.
MAX_DAYS: Final = 366
_LISTED: Final = 200
#: Between the documents of two maps: a sign that no HTML document holds.
_BETWEEN: Final = "\0"


class ShareScope(StrEnum):
    """Who may open a link."""

    OFFICE = "office"
    """Who is signed in, reads maps, and sees at least what its maker saw."""
    LINK = "link"
    """Whoever has the link. Its numbers come in steps of five, whoever made it."""


class MapShareRow(Base):
    """A frozen map behind a link. The link itself is not kept, only its hash; the pages are compressed."""

    __tablename__ = "map_share"
    __table_args__ = (
        CheckConstraint("scope IN ('office', 'link')", name="scope"),
        CheckConstraint("expires_at > created_at", name="expiry"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    kind: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    sight: Mapped[Any] = mapped_column(JSONB)
    as_of: Mapped[datetime] = mapped_column(INSTANT)
    page: Mapped[bytes] = mapped_column(LargeBinary)
    frame: Mapped[bytes] = mapped_column(LargeBinary)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(INSTANT)
    ended_at: Mapped[datetime | None] = mapped_column(INSTANT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A frozen map. ``page`` and the one or two ``frames`` are documents, empty in lists."""

    id: UUID
    kind: str
    query: str
    title: str
    locale: Locale
    scope: ShareScope
    sight: Mapping[str, Any]
    as_of: datetime
    created_by: str
    created_at: datetime
    expires_at: datetime
    page: str = ""
    frames: tuple[str, ...] = ()


_INSERT = text("""
    INSERT INTO api.map_share (id, token_hash, jurisdiction, kind, query, title, locale, scope, sight, as_of,
                               page, frame, created_by, created_at, expires_at)
    VALUES (:id, :token_hash, :jurisdiction, :kind, :query, :title, :locale, :scope, CAST(:sight AS jsonb), :as_of,
            :page, :frame, :created_by, now(), now() + :life)
    RETURNING created_at, expires_at
""")
_FIND = text("""
    SELECT id, kind, query, title, locale, scope, sight, as_of, created_by, created_at, expires_at, page, frame
    FROM api.map_share
    WHERE token_hash = :token_hash AND ended_at IS NULL AND expires_at > now()
""")
_LIST = text("""
    SELECT id, kind, query, title, locale, scope, sight, as_of, created_by, created_at, expires_at
    FROM api.map_share
    WHERE jurisdiction = :jurisdiction AND ended_at IS NULL AND expires_at > now()
      AND (CAST(:created_by AS text) IS NULL OR created_by = :created_by)
    ORDER BY created_at DESC LIMIT :most
""")
# Ended for good: the pages go, what remains says that there was a link and who made it.
_END = text("""
    UPDATE api.map_share SET ended_at = now(), page = '', frame = ''
    WHERE id = :id AND jurisdiction = :jurisdiction AND ended_at IS NULL
      AND (CAST(:created_by AS text) IS NULL OR created_by = :created_by)
    RETURNING id
""")
_FORGET = text("UPDATE api.map_share SET page = '', frame = '' WHERE expires_at < now() AND page <> ''")


def maker_of(caller: Caller) -> str:
    """Return who makes a link, as it is written down."""
    return f"{caller.kind}:{caller.id}"


def sight_of(viewer: Viewer, *, sees_cases: bool) -> dict[str, Any]:
    """Return what somebody saw when a map was frozen."""
    return {
        "everything": viewer.role == DESK_ROLE,
        "settings": {name: list(words) for name, words in sorted(viewer.settings.items())},
        "cases": sees_cases,
    }


def may_open(share: Share, caller: Caller | None) -> bool:
    """Whether somebody may open a link: never more is shown than they could see by themselves."""
    if share.scope is ShareScope.LINK:
        return True
    if caller is None or caller.scopes.isdisjoint({Scope.MAPS_READ, Scope.CASES_READ_ALL}):
        return False
    mine = sight_of(caller.counting_viewer, sees_cases=caller.counts_exactly)
    if share.sight["cases"] and not mine["cases"]:
        return False
    return bool(mine["everything"]) or (mine["settings"] == share.sight["settings"] and not share.sight["everything"])


async def create_share(
    unit: WriteUnit,
    desk: Desk,
    caller: Caller,
    *,
    kind: str,
    query: str,
    title: str,
    scope: ShareScope,
    days: int,
    page: str,
    frames: Sequence[str],
) -> tuple[str, datetime]:
    """Freeze a map and return its link's secret part and its end. What has expired is emptied on the way."""
    secret = secrets.token_urlsafe(24)
    await unit.connection.execute(_FORGET)
    made = await unit.connection.execute(
        _INSERT,
        {
            "id": uuid4(),
            "token_hash": _hash(secret),
            "jurisdiction": desk.jurisdiction,
            "kind": kind,
            "query": query,
            "title": title,
            "locale": desk.locale,
            "scope": scope.value,
            "sight": json.dumps(sight_of(desk.viewer, sees_cases=desk.sees_cases)),
            "as_of": desk.as_of,
            "page": gzip.compress(page.encode(), 6, mtime=0),
            "frame": gzip.compress(_BETWEEN.join(frames).encode(), 6, mtime=0),
            "created_by": maker_of(caller),
            "life": timedelta(days=days),
        },
    )
    return secret, made.one().expires_at


async def open_share(unit: ReadUnit, secret: str) -> Share:
    """Return the map behind a link.

    Raises
    ------
    NotFoundError
        ``maps.share_not_found``: never made, ended, or expired; nobody is told which.
    """
    found = (await unit.connection.execute(_FIND, {"token_hash": _hash(secret)})).mappings().first()
    if found is None:
        raise NotFoundError("maps.share_not_found")
    row = dict(found)
    frames = tuple(gzip.decompress(row.pop("frame")).decode().split(_BETWEEN))
    row |= {"page": gzip.decompress(row["page"]).decode(), "frames": frames, "scope": ShareScope(row["scope"])}
    return Share(**row)


async def list_shares(unit: ReadUnit, jurisdiction: str, *, created_by: str | None) -> Sequence[Share]:
    """Return the links that work, newest first; of one maker, or of all."""
    asked = {"jurisdiction": jurisdiction, "created_by": created_by, "most": _LISTED}
    rows = (await unit.connection.execute(_LIST, asked)).mappings()
    return [Share(**{**row, "scope": ShareScope(row["scope"])}) for row in rows]


async def end_share(unit: WriteUnit, jurisdiction: str, share: UUID, *, created_by: str | None) -> None:
    """End a link now.

    Raises
    ------
    NotFoundError
        ``maps.share_not_found``.
    """
    asked = {"id": share, "jurisdiction": jurisdiction, "created_by": created_by}
    if (await unit.connection.execute(_END, asked)).first() is None:
        raise NotFoundError("maps.share_not_found")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
