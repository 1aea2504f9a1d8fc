"""The demo's gazetteer: its estates, and the house numbers from which open cases were reported."""

from __future__ import annotations

from collections import Counter
from typing import Final

from api.demo.places import JURISDICTION
from dispatch.states import OPEN_STATES
from geo.gazetteer.importing import PlaceRecord
from geo.gazetteer.places import RADIUS_M, PlaceKind
from geo.storage.gazetteer import store_places
from geo.storage.uow import WriteUnit

__all__ = ["write_gazetteer"]

_ESTATES: Final = """
SELECT c.code, c.name_zh, c.name_en, top.name_zh, ST_X(c.label_point), ST_Y(c.label_point)
  FROM geo.cell AS c
  JOIN geo.cell AS top ON top.version_id = c.version_id AND top.code = c.path[1]
 WHERE c.version_id = %s AND c.level = 3 ORDER BY c.code
"""
#: "桐柏路123号附近" was said by somebody who stood beside the number.
_NUMBERS: Final = """
SELECT DISTINCT ON (c.address) c.ref, regexp_replace(c.address, '附近$', ''), ST_X(c.location), ST_Y(c.location)
  FROM dispatch.dispatch_case AS c
 WHERE c.origin = 'demo' AND c.state = ANY (%s) AND c.located_how = 'covers' AND c.address ~ '[0-9]号(附近)?$'
 ORDER BY c.address, c.ref
"""


async def write_gazetteer(unit: WriteUnit, version_id: int) -> None:
    """Write places by which the addresses of the demo are found."""
    driver = await unit.driver()
    estates = await (await driver.execute(_ESTATES, (version_id,))).fetchall()
    # A cell is called by its number and its estate.
    often = Counter(name.split(" ")[-1] for _, name, *_ in estates)
    records = []
    for code, name, name_en, top, lon, lat in estates:
        estate = name.split(" ")[-1]
        full = f"{top}{estate}"
        is_common = often[estate] > 1
        records.append(
            PlaceRecord(
                source_id=f"cell-{code}",
                kind=PlaceKind.ESTATE,
                name_zh=full if is_common else estate,
                name_en=name_en,
                aliases=(estate if is_common else full,),
                lon=lon,
                lat=lat,
                radius_m=RADIUS_M[PlaceKind.ESTATE],
            )
        )
    for ref, address, lon, lat in await (await driver.execute(_NUMBERS, (sorted(OPEN_STATES),))).fetchall():
        records.append(
            PlaceRecord(
                source_id=f"number-{ref}",
                kind=PlaceKind.NUMBER,
                name_zh=address,
                name_en="",
                aliases=(),
                lon=lon,
                lat=lat,
                radius_m=RADIUS_M[PlaceKind.NUMBER],
            )
        )
    await store_places(unit, JURISDICTION, records)
