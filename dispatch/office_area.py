"""What of the office a transaction may write: people, posts, lines of the matrix of an administrator's area.

The policies decide (alembic/sql/0021_office_areas.sql, decision 0040); what is here asks the same rule before, so that
an answer can name the field and the way out. For whoever keeps the whole office everything is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, LiteralString
from uuid import UUID

from geo.errors import BadInputError, ForbiddenError, NotFoundError
from geo.storage.uow import Unit

__all__ = ["cells_near", "check_keeps_person", "check_keeps_post", "check_place"]


async def check_place(unit: Unit, cell: str | None, department: str | None) -> None:
    """Refuse something of a cell or department that lies outside.

    Raises
    ------
    ForbiddenError
        ``access.beyond_area``, at the cell if there is one.
    """
    if not await _holds(unit, "SELECT dispatch.may_keep(%(cell)s, %(department)s)", cell=cell, department=department):
        raise ForbiddenError("access.beyond_area", pointer="/cell" if cell else "/department")


async def check_keeps_person(unit: Unit, person: UUID) -> None:
    """Refuse to change somebody who holds a post or a role elsewhere too.

    Raises
    ------
    ForbiddenError
        ``access.held_elsewhere``.
    """
    if not await _holds(unit, "SELECT dispatch.may_keep_person(%(person)s)", person=person):
        raise ForbiddenError("access.held_elsewhere")


async def check_keeps_post(unit: Unit, jurisdiction: str, post: int, person: UUID) -> None:
    """Refuse a post that lies outside or is not there, and somebody to take it over who is not seen.

    Raises
    ------
    NotFoundError
        ``posts.post_unknown``.
    BadInputError
        ``posts.person_unknown``.
    """
    query: LiteralString = (
        "SELECT dispatch.may_keep(p.cell_code, p.department_code) FROM dispatch.post AS p"
        " WHERE p.id = %(post)s AND p.jurisdiction = %(jurisdiction)s"
    )
    if not await _holds(unit, query, post=post, jurisdiction=jurisdiction):
        raise NotFoundError("posts.post_unknown", post=post)
    if not await _holds(unit, "SELECT true FROM dispatch.person WHERE id = %(person)s", person=person):
        raise BadInputError("posts.person_unknown", pointer="/to_person", person=str(person))


async def cells_near(unit: Unit, areas: Sequence[str], cells: Collection[str]) -> set[str]:
    """Those of some cells that lie in areas, or that areas lie in."""
    driver = await unit.driver()
    found = await driver.execute(
        "SELECT c.code FROM unnest(%(cells)s::text[]) AS c(code)"
        " WHERE dispatch.area_holds(%(areas)s::text[], c.code, NULL)"
        " OR dispatch.area_is_below(%(areas)s::text[], c.code)",
        {"areas": list(areas), "cells": sorted(cells)},
    )
    return {row[0] for row in await found.fetchall()}


async def _holds(unit: Unit, query: LiteralString, **values: Any) -> bool:
    driver = await unit.driver()
    row = await (await driver.execute(query, values)).fetchone()
    return bool(row and row[0])
