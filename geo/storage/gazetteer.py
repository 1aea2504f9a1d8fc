"""Reading and writing the gazetteer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import dict_row

from geo.gazetteer.addresses import parse_address, terms
from geo.gazetteer.importing import PlaceRecord
from geo.gazetteer.places import Candidate, Place, PlaceKind, keys_of, rank
from geo.storage.uow import Unit, WriteUnit

__all__ = ["count_places", "delete_place", "find_place", "search_places", "store_places"]

_MOST_LOOKED_AT = 200
_MOST_OF_QUESTION = 60
# The index finds every row that shares a pair of characters; those that share most are looked at closely.
_SEARCH = """
SELECT id, source_id, kind, name_zh, name_en, aliases, keys, ST_X(location) AS lon, ST_Y(location) AS lat, radius_m
  FROM geo.place
 WHERE jurisdiction = %(jurisdiction)s AND terms && %(terms)s::text[]
 ORDER BY terms && %(whole)s::text[] DESC,
          (SELECT count(*) FROM unnest(terms) AS t WHERE t = ANY (%(terms)s::text[])) DESC, cardinality(terms), id
 LIMIT %(most)s
"""
_FIND = """
SELECT id, source_id, kind, name_zh, name_en, aliases, keys, ST_X(location) AS lon, ST_Y(location) AS lat, radius_m
  FROM geo.place
 WHERE jurisdiction = %(jurisdiction)s AND (source_id = %(given)s OR id::text = %(given)s)
 ORDER BY source_id = %(given)s DESC LIMIT 1
"""
_STORE = """
INSERT INTO geo.place (jurisdiction, source_id, kind, name_zh, name_en, aliases, keys, terms, location, radius_m)
VALUES (%(jurisdiction)s, %(source_id)s, %(kind)s, %(name_zh)s, %(name_en)s, %(aliases)s, %(keys)s, %(terms)s,
        ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326), %(radius_m)s)
ON CONFLICT ON CONSTRAINT uq_place_source DO UPDATE
   SET (kind, name_zh, name_en, aliases, keys, terms, location, radius_m, updated_at)
     = (excluded.kind, excluded.name_zh, excluded.name_en, excluded.aliases, excluded.keys, excluded.terms,
        excluded.location, excluded.radius_m, now())
"""


async def search_places(unit: Unit, jurisdiction: str, text: str, *, most: int = 10) -> list[Candidate]:
    """The places that words may mean, the likeliest first; empty when nothing is like them."""
    address = parse_address(text)
    if not address.key:
        return []
    body = address.key[:_MOST_OF_QUESTION]
    # Parts of the question may be whole names: 建设路锦绣小区3号楼 also asks for 锦绣小区.
    whole = [f"={body[start:end]}" for start in range(len(body)) for end in range(start + 2, len(body) + 1)]
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            _SEARCH,
            {
                "jurisdiction": jurisdiction,
                "terms": terms(body),
                "whole": [f"={body}"] if address.is_crossing else whole,
                "most": _MOST_LOOKED_AT,
            },
        )
        places = [_place(row) for row in await cursor.fetchall()]
    return rank(address, places)[:most]


async def find_place(unit: Unit, jurisdiction: str, given: str) -> Place | None:
    """A place by the id of its source, or else by its own number."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_FIND, {"jurisdiction": jurisdiction, "given": given})
        row = await cursor.fetchone()
    return _place(row) if row is not None else None


async def store_places(
    unit: WriteUnit, jurisdiction: str, records: Sequence[PlaceRecord], *, replace: bool = False
) -> tuple[int, int]:
    """Write places: a known id is written anew, others are added.

    Parameters
    ----------
    replace
        Places that the file does not have go away.

    Returns
    -------
    tuple
        How many were written, and how many went away.
    """
    driver = await unit.driver()
    async with driver.cursor() as cursor:
        removed = 0
        if replace:
            await cursor.execute(
                "DELETE FROM geo.place WHERE jurisdiction = %s AND NOT source_id = ANY (%s)",
                (jurisdiction, [record.source_id for record in records]),
            )
            removed = cursor.rowcount
        await cursor.executemany(_STORE, [_row(jurisdiction, record) for record in records])
    return len(records), removed


async def delete_place(unit: WriteUnit, jurisdiction: str, place_id: int) -> bool:
    """Remove one place; False when there is no such place."""
    driver = await unit.driver()
    done = await driver.execute("DELETE FROM geo.place WHERE jurisdiction = %s AND id = %s", (jurisdiction, place_id))
    return done.rowcount == 1


async def count_places(unit: Unit, jurisdiction: str) -> int:
    """How many places there are."""
    driver = await unit.driver()
    row = await (
        await driver.execute("SELECT count(*) FROM geo.place WHERE jurisdiction = %s", (jurisdiction,))
    ).fetchone()
    return int(row[0]) if row else 0


def _row(jurisdiction: str, record: PlaceRecord) -> dict[str, Any]:
    keys = keys_of([record.name_zh, record.name_en, *record.aliases])
    found = dict.fromkeys(term for key in keys for term in terms(key))
    return {
        "jurisdiction": jurisdiction,
        "source_id": record.source_id,
        "kind": record.kind.value,
        "name_zh": record.name_zh,
        "name_en": record.name_en,
        "aliases": list(record.aliases),
        "keys": list(keys),
        "terms": list(found),
        "lon": record.lon,
        "lat": record.lat,
        "radius_m": record.radius_m,
    }


def _place(row: dict[str, Any]) -> Place:
    return Place(
        id=row["id"],
        source_id=row["source_id"],
        kind=PlaceKind(row["kind"]),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        aliases=tuple(row["aliases"]),
        keys=tuple(row["keys"]),
        lon=row["lon"],
        lat=row["lat"],
        radius_m=row["radius_m"],
    )
