"""Reading and writing photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.photos import Photo, PhotoKind
from geo.errors import BadInputError
from geo.storage.uow import Unit, WriteUnit

__all__ = ["MOST_PER_CASE", "find_photo", "list_photos", "store_photos"]

MOST_PER_CASE = 50
_FACTS = """p.id, p.kind, p.width, p.height, p.taken_at, p.added_at, p.added_by, p.digest, p.sent_digest,
  ST_X(p.location) AS lon, ST_Y(p.location) AS lat"""
_STORE = """
INSERT INTO dispatch.case_photo (id, case_id, digest, sent_digest, kind, width, height, taken_at, location, added_by,
                                 image, preview)
VALUES (%(id)s, %(case)s, %(digest)s, %(sent)s, %(kind)s, %(width)s, %(height)s, %(taken)s,
        CASE WHEN %(lon)s::float8 IS NOT NULL THEN ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326) END, %(by)s,
        %(image)s, %(preview)s)
ON CONFLICT ON CONSTRAINT uq_case_photo_once DO NOTHING
"""
_LIST = f"SELECT {_FACTS} FROM dispatch.case_photo AS p WHERE p.case_id = %s ORDER BY p.added_at, p.id"  # noqa: S608
_FIND = """
SELECT CASE WHEN %(small)s THEN p.preview ELSE p.image END AS data, p.digest, c.channel_code
  FROM dispatch.case_photo AS p JOIN dispatch.dispatch_case AS c ON c.id = p.case_id WHERE p.id = %(id)s
"""


async def store_photos(
    unit: WriteUnit, case_id: UUID, photos: Sequence[Photo], kind: PhotoKind, added_by: str
) -> list[dict[str, Any]]:
    """Add photos to a case and return all it has; a file that the case has already is not added again.

    Raises
    ------
    BadInputError
        ``photo.case_full``.
    """
    driver = await unit.driver()
    async with driver.cursor() as cursor:
        for photo in photos:
            await cursor.execute(
                _STORE,
                {
                    "id": photo.id,
                    "case": case_id,
                    "digest": photo.digest,
                    "sent": photo.sent_digest,
                    "kind": kind.value,
                    "width": photo.width,
                    "height": photo.height,
                    "taken": photo.taken_at,
                    "lon": photo.lon,
                    "lat": photo.lat,
                    "by": added_by,
                    "image": photo.image,
                    "preview": photo.preview,
                },
            )
    found = await list_photos(unit, case_id)
    if len(found) > MOST_PER_CASE:
        raise BadInputError("photo.case_full", most=MOST_PER_CASE)
    return found


async def list_photos(unit: Unit, case_id: UUID) -> list[dict[str, Any]]:
    """What is known of a case's photos, the oldest first, without the pictures themselves."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_LIST, (case_id,))
        return await cursor.fetchall()


async def find_photo(unit: Unit, photo_id: UUID, *, small: bool) -> dict[str, Any] | None:
    """The picture with its digest and the channel of its case."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row, binary=True) as cursor:
        await cursor.execute(_FIND, {"id": photo_id, "small": small})
        return await cursor.fetchone()
