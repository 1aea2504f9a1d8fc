"""Grid versions in the database: make a draft, fill it, activate it, find the one valid at an instant (decision 0019).

Lock order everywhere: the jurisdiction, then its version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from geo.cells import GridVersionId, VersionStatus
from geo.codes import get_code_system
from geo.errors import ConflictError, NotFoundError
from geo.storage.taking_effect import find_beginning, may_be_withdrawn
from geo.storage.uow import ReadUnit, WriteUnit

_COPY = (
    "COPY geo.cell (id, version_id, level, code, name_zh, name_en, kind, parent_id, path, population, households,"
    " area_m2, boundary, label_point) FROM STDIN"
)
# What a version is at this moment: only draft or published is stored, the rest is the clock's.
_COLUMNS = """
id, jurisdiction, number, name, code_system, source, valid_from, valid_until, created_at, revision, based_on,
CASE WHEN status = 'draft' THEN 'draft' WHEN valid_from > clock_timestamp() THEN 'scheduled'
     WHEN valid_until <= clock_timestamp() THEN 'retired' ELSE 'active' END AS status
"""
#: Tells every process that the version valid now, or the next one, has changed. Payload: the jurisdiction.
GRID_CHANNEL = "gridward_grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class GridVersion:
    """One drawing of a jurisdiction's grid. Zone: instants are UTC; ``valid_until`` is exclusive."""

    id: GridVersionId
    jurisdiction: str
    number: int
    name: str
    status: VersionStatus
    valid_from: datetime | None
    valid_until: datetime | None
    code_system: str = "free"
    source: str = ""
    created_at: datetime | None = None
    revision: int = 0
    based_on: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecord:
    """A cell as COPY wants it. Shape: EWKB in hexadecimal, SRID 4326; parents come before their children."""

    level: int
    code: str
    name_zh: str
    name_en: str
    kind: str
    parent: str | None
    path: Sequence[str]
    population: int | None
    households: int | None
    area_m2: float
    boundary: str
    label_point: str


async def ensure_jurisdiction(unit: WriteUnit, code: str, *, time_zone: str, metric_srid: int) -> bool:
    """Add a jurisdiction unless it is there; what is there is not changed.

    Returns
    -------
    bool
        Whether it was added.
    """
    added = await unit.connection.execute(
        text(
            "INSERT INTO geo.jurisdiction (code, time_zone, metric_srid) VALUES (:code, :time_zone, :metric_srid)"
            " ON CONFLICT (code) DO NOTHING"
        ),
        {"code": code, "time_zone": time_zone, "metric_srid": metric_srid},
    )
    return added.rowcount == 1


async def create_draft(
    unit: WriteUnit, jurisdiction: str, *, name: str, code_system: str, source: str, based_on: int | None = None
) -> GridVersion:
    """Open the next draft version of a jurisdiction.

    Parameters
    ----------
    based_on
        Id of the version whose cells it will start from, if any.

    Raises
    ------
    NotFoundError
        ``geo.jurisdiction_unknown``.
    BadInputError
        ``geo.code_system_unknown``: a name nobody knows would check no code.
    """
    get_code_system(code_system)
    # Lock, then look: two imports at once would otherwise both take the same next number.
    await _lock_jurisdiction(unit, jurisdiction)
    row = await unit.connection.execute(
        text(
            "INSERT INTO geo.grid_version (jurisdiction, number, name, code_system, source, based_on)"  # noqa: S608
            " SELECT :jurisdiction, coalesce(max(number), 0) + 1, :name, :code_system, :source, :based_on"
            f" FROM geo.grid_version WHERE jurisdiction = :jurisdiction RETURNING {_COLUMNS}"
        ),
        {
            "jurisdiction": jurisdiction,
            "name": name,
            "code_system": code_system,
            "source": source,
            "based_on": based_on,
        },
    )
    return _version(row.one())


async def copy_cells(unit: WriteUnit, version: GridVersionId, cells: Iterable[CellRecord], *, count: int) -> int:
    """Write the cells of a draft with COPY.

    Ids are drawn first, so that a child can name its parent in the same stream.
    Cost: one round trip for the ids and one stream; about 25,000 cells a second.

    Returns
    -------
    int
        How many were written.
    """
    drawn = await unit.connection.execute(
        text("SELECT nextval(pg_get_serial_sequence('geo.cell', 'id')) FROM generate_series(1, :count)"),
        {"count": count},
    )
    ids = iter(drawn.scalars().all())
    driver = await unit.driver()
    id_of: dict[str, int] = {}
    async with driver.cursor() as cursor, cursor.copy(_COPY) as stream:
        for cell in cells:
            own = id_of[cell.code] = next(ids)
            await stream.write_row(
                (
                    own,
                    version,
                    cell.level,
                    cell.code,
                    cell.name_zh,
                    cell.name_en,
                    cell.kind,
                    None if cell.parent is None else id_of[cell.parent],
                    list(cell.path),
                    cell.population,
                    cell.households,
                    cell.area_m2,
                    cell.boundary,
                    cell.label_point,
                )
            )
    return len(id_of)


async def activate(unit: WriteUnit, version: GridVersionId, *, at: datetime | None = None) -> GridVersion:
    """Make a draft valid from an instant on, up to where the version it displaces would have ended.

    The versions of a jurisdiction stay a row without gap or overlap: the one valid at that instant ends there, and a
    version that was scheduled for later keeps its beginning. Readers are told on `GRID_CHANNEL` at commit.

    Parameters
    ----------
    at
        From when; as soon as possible if left out, which is `taking_effect.HEADWAY` from now when another version is
        valid until then. An instant sooner than that is moved there. Whether a past one may be named is the
        caller's rule.

    Raises
    ------
    ConflictError
        ``geo.version_not_draft``; ``geo.version_overlaps`` when another version begins at that very instant.
    """
    jurisdiction, number = await _lock_version(unit, version)
    since = await find_beginning(unit, jurisdiction, at)
    try:
        displaced = await unit.connection.execute(
            text(
                "UPDATE geo.grid_version AS v SET valid_until = :since FROM geo.grid_version AS old"
                " WHERE old.id = v.id AND v.jurisdiction = :jurisdiction AND v.status = 'published'"
                " AND v.valid_from < :since AND (v.valid_until IS NULL OR v.valid_until > :since)"
                " RETURNING old.valid_until"
            ),
            {"since": since, "jurisdiction": jurisdiction},
        )
        former = displaced.one_or_none()
        row = await unit.connection.execute(
            text(
                "UPDATE geo.grid_version SET status = 'published', valid_from = :since,"  # noqa: S608 - constants only
                " took_effect_at = CASE WHEN :since <= clock_timestamp() THEN clock_timestamp() END, valid_until ="
                " CASE WHEN :displaced THEN CAST(:until AS timestamptz) ELSE (SELECT min(v.valid_from)"
                " FROM geo.grid_version AS v WHERE v.jurisdiction = :jurisdiction AND v.status = 'published'"
                f" AND v.valid_from > :since) END WHERE id = :id RETURNING {_COLUMNS}"
            ),
            {
                "since": since,
                "id": version,
                "jurisdiction": jurisdiction,
                "displaced": former is not None,
                "until": former[0] if former else None,
            },
        )
    except IntegrityError as clash:
        if _constraint(clash) in ("ex_grid_version_validity", "ck_grid_version_validity_order"):
            raise ConflictError("geo.version_overlaps", number=number) from clash
        raise
    await _tell(unit, jurisdiction)
    return _version(row.one())


async def withdraw(unit: WriteUnit, jurisdiction: str, number: int) -> GridVersion:
    """Make a scheduled version a draft again; the one before it goes on to where the withdrawn one would have ended.

    Raises
    ------
    ConflictError
        ``geo.version_not_scheduled``; ``geo.version_begins`` when that is less than `taking_effect.HEADWAY` ahead.
    """
    await _lock_jurisdiction(unit, jurisdiction)
    version = await get_version(unit, jurisdiction, number)
    if version.status is not VersionStatus.SCHEDULED:
        raise ConflictError("geo.version_not_scheduled", number=number)
    if not await may_be_withdrawn(unit, version.valid_from):
        raise ConflictError("geo.version_begins", number=number)
    row = await unit.connection.execute(
        text(
            "UPDATE geo.grid_version SET status = 'draft', valid_from = NULL, valid_until = NULL,"  # noqa: S608
            f" revision = revision + 1 WHERE id = :id AND valid_from > now() RETURNING {_COLUMNS}"
        ),
        {"id": version.id},
    )
    # It may be drawn anew: what tiles had been drawn of it must not outlive that.
    await unit.connection.execute(text("DELETE FROM geo.tile_band WHERE version_id = :id"), {"id": version.id})
    await unit.connection.execute(
        text(
            "UPDATE geo.grid_version SET valid_until = :until"
            " WHERE jurisdiction = :jurisdiction AND status = 'published' AND valid_until = :since"
        ),
        {"until": version.valid_until, "since": version.valid_from, "jurisdiction": jurisdiction},
    )
    await _tell(unit, jurisdiction)
    return _version(row.one())


async def announce_effective(unit: WriteUnit) -> int:
    """Tell the readers of versions whose instant has come since the last look; return how many there were."""
    rows = await unit.connection.execute(
        text(
            "UPDATE geo.grid_version SET took_effect_at = now()"
            " WHERE status = 'published' AND took_effect_at IS NULL AND valid_from <= now() RETURNING jurisdiction"
        )
    )
    found = rows.scalars().all()
    for jurisdiction in found:
        await _tell(unit, jurisdiction)
    return len(found)


async def _tell(unit: WriteUnit, jurisdiction: str) -> None:
    await unit.connection.execute(
        text("SELECT pg_notify(:channel, :jurisdiction)"), {"channel": GRID_CHANNEL, "jurisdiction": jurisdiction}
    )


async def find_active(unit: ReadUnit | WriteUnit, jurisdiction: str, at: datetime | None = None) -> GridVersion | None:
    """Return the version of a jurisdiction valid at an instant (now if left out), or None."""
    row = await unit.connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM geo.grid_version WHERE id ="  # noqa: S608 - constants only
            " (SELECT id FROM geo.valid_version(:jurisdiction, coalesce(CAST(:at AS timestamptz), now())))"
        ),
        {"jurisdiction": jurisdiction, "at": at},
    )
    found = row.one_or_none()
    return None if found is None else _version(found)


async def list_versions(unit: ReadUnit | WriteUnit, jurisdiction: str) -> list[GridVersion]:
    """Return all versions of a jurisdiction, newest number first."""
    rows = await unit.connection.execute(
        text(f"SELECT {_COLUMNS} FROM geo.grid_version WHERE jurisdiction = :code ORDER BY number DESC"),  # noqa: S608
        {"code": jurisdiction},
    )
    return [_version(row) for row in rows]


async def get_version(unit: ReadUnit | WriteUnit, jurisdiction: str, number: int) -> GridVersion:
    """Return a version by its number.

    Raises
    ------
    NotFoundError
        ``geo.version_unknown``.
    """
    row = await unit.connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM geo.grid_version"  # noqa: S608 - constants only
            " WHERE jurisdiction = :jurisdiction AND number = :number"
        ),
        {"jurisdiction": jurisdiction, "number": number},
    )
    found = row.one_or_none()
    if found is None:
        raise NotFoundError("geo.version_unknown", jurisdiction=jurisdiction, number=number)
    return _version(found)


async def _lock_jurisdiction(unit: WriteUnit, code: str) -> None:
    # NO KEY: a report's foreign key must not wait for an import or a proof that runs for seconds.
    locked = await unit.connection.scalar(
        text("SELECT code FROM geo.jurisdiction WHERE code = :code FOR NO KEY UPDATE"), {"code": code}
    )
    if locked is None:
        raise NotFoundError("geo.jurisdiction_unknown", jurisdiction=code)


async def _lock_version(unit: WriteUnit, version: GridVersionId) -> tuple[str, int]:
    """Lock a draft, after its jurisdiction; return jurisdiction and number."""
    await _lock_jurisdiction(
        unit,
        await unit.connection.scalar(text("SELECT jurisdiction FROM geo.grid_version WHERE id = :id"), {"id": version}),
    )
    found = await unit.connection.execute(
        text("SELECT jurisdiction, number, status FROM geo.grid_version WHERE id = :id FOR NO KEY UPDATE"),
        {"id": version},
    )
    jurisdiction, number, status = found.one()
    if status != VersionStatus.DRAFT:
        raise ConflictError("geo.version_not_draft", number=number)
    return jurisdiction, number


def _version(row: Any) -> GridVersion:
    return GridVersion(
        id=GridVersionId(row.id),
        jurisdiction=row.jurisdiction,
        number=row.number,
        name=row.name,
        status=VersionStatus(row.status),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        code_system=row.code_system,
        source=row.source,
        created_at=row.created_at,
        revision=row.revision,
        based_on=row.based_on,
    )


def _constraint(error: IntegrityError) -> str | None:
    return error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
