"""Opening a reading for somebody: on which drawing, through whose eyes, at which instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.container import Container
from api.drawings import find_drawing, parse_boundaries
from api.drawn_cells import read_shapes
from api.planner_desk import Desk
from api.rates_query import parse_period
from dispatch.queries import database_now
from dispatch.reference import Reference
from geo.errors import Fault
from geo.storage.uow import ReadUnit, Viewer
from maps.facts.keeping import FactKeeper
from maps.i18n import Locale

__all__ = ["desk_of", "open_desk"]


async def open_desk(
    unit: ReadUnit,
    engine: AsyncEngine,
    facts: FactKeeper,
    reference: Reference,
    jurisdiction: str,
    *,
    viewer: Viewer,
    sees_cases: bool,
    locale: Locale,
    given: Mapping[str, Sequence[str]],
) -> Desk:
    """Open a reading for somebody.

    Parameters
    ----------
    given
        The parts of the address: they say on which drawing. What is wrong with them is said when they are read.
    """
    found = reference.jurisdictions.get(jurisdiction)
    zone, as_of = found.time_zone if found else "Asia/Shanghai", await database_now(unit)
    ignored: list[Fault] = []
    words = {name: (given.get(name) or ("",))[-1] for name in ("to", "boundaries")}
    last_day = parse_period(None, words["to"], as_of.astimezone(ZoneInfo(zone)).date(), ignored).to_on
    boundaries = parse_boundaries(words, ignored)
    drawing = await find_drawing(unit, jurisdiction, boundaries, last_day=last_day, zone=zone, now=as_of)
    version = drawing.version if found and drawing else None
    return Desk(
        unit=unit,
        engine=engine,
        facts=facts,
        reference=reference,
        jurisdiction=jurisdiction,
        locale=locale,
        viewer=viewer,
        sees_cases=sees_cases,
        zone=zone,
        place=found.name(locale) if found else "",
        as_of=as_of,
        version=version,
        whole=await read_shapes(unit, engine, version.id) if version else None,
        boundaries=boundaries,
    )


async def desk_of(
    unit: ReadUnit,
    container: Container,
    caller: Caller,
    locale: Locale,
    given: Mapping[str, Sequence[str]],
    *,
    for_cases: bool = False,
) -> Desk:
    """Open a reading for whoever makes a request.

    Parameters
    ----------
    unit
        Of what the caller may count; of what the caller may look at, when ``for_cases``.
    """
    return await open_desk(
        unit,
        container.engine,
        container.facts,
        await container.reference.get(),
        container.settings.jurisdiction,
        viewer=caller.viewer if for_cases else caller.counting_viewer,
        sees_cases=Scope.CASES_READ_ALL in caller.scopes if for_cases else caller.counts_exactly,
        locale=locale,
        given=given,
    )
