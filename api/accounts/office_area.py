"""Which accounts and keys an administrator keeps: the rule of the database's policies, asked in words.

Accounts and keys are read with the service's rights, never with a caller's (docs/access.md), so no policy stands before
them. Both sides ask the same functions (alembic/sql/0021_office_areas.sql, decision 0040).
"""

from __future__ import annotations

from typing import Any, Final, LiteralString
from uuid import UUID

from api.accounts.roles import DEFAULT_SCOPES, Scope
from api.accounts.sight import Sight
from geo.errors import BadInputError, ForbiddenError, NotFoundError
from geo.storage.uow import Unit

__all__ = [
    "KEY_IN_AREA",
    "KEY_SCOPES_IN_AREA",
    "check_channel",
    "check_keeps",
    "check_key_area",
    "check_place",
    "check_sees",
    "words_of",
]

#: What a key may ask for that an administrator of an area makes: nothing that keeps an office or speaks for people.
KEY_SCOPES_IN_AREA: Final = frozenset(
    {
        *DEFAULT_SCOPES,
        Scope.CASES_READ_ALL,
        Scope.CASES_MOVE,
        Scope.MAPS_READ,
        Scope.GRID_READ,
        Scope.POSTS_READ,
        Scope.WEBHOOKS_MANAGE,
        Scope.WALL_READ,
    }
)
#: A key, or a webhook, is an area's when it is limited and every one of its limits lies inside.
KEY_IN_AREA: Final[LiteralString] = (
    "(%(office)s::text[] @> '{|}' OR (cells || departments <> '{}'"
    " AND NOT EXISTS (SELECT FROM unnest(cells) AS c WHERE NOT dispatch.area_holds(%(office)s, c, NULL))"
    " AND NOT EXISTS (SELECT FROM unnest(departments) AS d WHERE NOT dispatch.area_holds(%(office)s, NULL, d))))"
)


def words_of(office: Sight) -> list[str]:
    """An administrator's areas as the database reads them."""
    return list(office.office_words())


async def check_place(unit: Unit, office: Sight, cell: str | None, department: str | None, at: str = "") -> None:
    """Refuse what lies outside: nobody gives more than they have.

    Raises
    ------
    ForbiddenError
        ``access.beyond_area``, at the cell or department under ``at``.
    """
    if office.is_everything or await _holds(
        unit,
        "SELECT dispatch.area_holds(%(office)s, %(cell)s, %(department)s)",
        office=words_of(office),
        cell=cell,
        department=department,
    ):
        return
    is_department = cell is None and all(area.cell is None for area in office.areas)
    raise ForbiddenError("access.beyond_area", pointer=f"{at}/{'department' if is_department else 'cell'}")


async def check_keeps(unit: Unit, office: Sight, person: UUID) -> None:
    """Refuse to change the account of somebody who holds a post or a role elsewhere too.

    Raises
    ------
    ForbiddenError
        ``access.held_elsewhere``.
    """
    if not office.is_everything and not await _holds(
        unit,
        "SELECT dispatch.area_keeps_person(%(office)s, %(person)s)",
        office=words_of(office),
        person=person,
    ):
        raise ForbiddenError("access.held_elsewhere")


async def check_sees(unit: Unit, office: Sight, person: UUID) -> None:
    """Refuse somebody who is not in the area.

    Raises
    ------
    NotFoundError
        ``accounts.person_unknown``: word for word as for nobody.
    """
    if not office.is_everything and not await _holds(
        unit, "SELECT dispatch.area_sees_person(%(office)s, %(person)s)", office=words_of(office), person=person
    ):
        raise NotFoundError("accounts.person_unknown", pointer="/person", person=str(person))


def check_key_area(office: Sight, scopes: tuple[Scope, ...], *, is_limited: bool) -> None:
    """Refuse a key whose rights go beyond an area.

    Raises
    ------
    BadInputError
        ``access.key_without_area``.
    ForbiddenError
        ``access.scopes_beyond_area``, naming them; ``access.area_of_both`` to whoever keeps nothing but departments
        inside cells: no limit of a key says "both", and either alone would be more than they have.
    """
    if office.areas and not office.is_everything and all(area.cell and area.department for area in office.areas):
        raise ForbiddenError("access.area_of_both")
    beyond = [] if office.is_everything else sorted({scope.value for scope in scopes} - KEY_SCOPES_IN_AREA)
    if is_limited and Scope.GRID_WRITE in scopes:
        beyond = [Scope.GRID_WRITE.value]
    if beyond:
        raise ForbiddenError("access.scopes_beyond_area", pointer="/scopes", scopes=beyond)
    if not is_limited and not office.is_everything:
        raise BadInputError("access.key_without_area", pointer="/cells")


async def check_channel(unit: Unit, office: Sight, channel: str) -> None:
    """Refuse to speak for a channel that others use: its reports would be believed to be theirs.

    Raises
    ------
    ForbiddenError
        ``access.channel_of_others``.
    """
    if office.is_everything:
        return
    query = (
        "SELECT NOT EXISTS (SELECT FROM dispatch.channel WHERE code = %(channel)s) OR (EXISTS (SELECT FROM api.api_key"
        " WHERE channel_code = %(channel)s) AND NOT EXISTS (SELECT FROM api.api_key WHERE channel_code = %(channel)s"
        " AND NOT <KEY>))"
    ).replace("<KEY>", KEY_IN_AREA)
    if not await _holds(unit, query, channel=channel, office=words_of(office)):
        raise ForbiddenError("access.channel_of_others", pointer="/channel", channel=channel[:40])


async def _holds(unit: Unit, query: LiteralString, **values: Any) -> bool:
    driver = await unit.driver()
    row = await (await driver.execute(query, values)).fetchone()
    return bool(row and row[0])
