"""What an office decides about its own work: how a subdistrict works, what a repeat is, from when a channel counts.

All of it is data that the rules read afresh; nothing here changes a case under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row

from dispatch.storage.returns import find_valid_cell
from geo.errors import BadInputError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "PROFILE_DEFAULTS",
    "ProfileEdit",
    "RepeatRuleEdit",
    "change_channel",
    "drop_profile",
    "drop_repeat_rule",
    "list_profiles",
    "list_repeat_rules",
    "write_ledger",
    "write_profile",
    "write_repeat_rule",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileEdit:
    """How a subdistrict works. Units: minutes of natural time."""

    line: str = "short"
    dispatches_itself: bool = True
    accept_minutes: int = 15
    verify_minutes: int = 30
    dispatch_minutes: int = 15
    acknowledge_minutes: int = 30
    check_minutes: int = 30
    supervision_minutes: int = 1440


#: What holds where nobody has written anything; the same as `dispatch.profiles.DEFAULT_PROFILE`.
PROFILE_DEFAULTS: Final = ProfileEdit()
_PROFILE: Final = tuple(ProfileEdit.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRuleEdit:
    """What is a duplicate, a repeat site, a report after a close. Units: radius_m metres."""

    radius_m: int = 50
    window_hours: int = 72
    with_siblings: bool = True
    site_count: int = 3
    site_days: int = 90
    look_back_days: int = 30


_REPEAT: Final = tuple(RepeatRuleEdit.__dataclass_fields__)


async def list_profiles(unit: Unit, jurisdiction: str) -> list[dict[str, Any]]:
    """The profiles somebody has written; ``cell_code`` is empty for the whole jurisdiction."""
    return await _rows(
        unit,
        f"SELECT cell_code, {', '.join(_PROFILE)} FROM dispatch.profile"  # noqa: S608 - names of columns only
        " WHERE jurisdiction = %(jurisdiction)s ORDER BY cell_code",
        {"jurisdiction": jurisdiction},
    )


async def write_profile(unit: WriteUnit, jurisdiction: str, cell: str, edit: ProfileEdit, at: datetime) -> None:
    """Write the profile of a subdistrict, or of the jurisdiction (empty cell). Stages under way keep their limits.

    Raises
    ------
    NotFoundError
        ``office.no_subdistrict`` when no cell of level 1 has this code now.
    """
    if cell:
        found = await find_valid_cell(unit, jurisdiction, cell, at)
        if found is None or len(found[1]) != 1:
            raise NotFoundError("office.no_subdistrict", cell=cell)
    values = {name: getattr(edit, name) for name in _PROFILE}
    await _upsert(unit, "profile", {"jurisdiction": jurisdiction, "cell_code": cell}, values)


async def drop_profile(unit: WriteUnit, jurisdiction: str, cell: str) -> None:
    """Take a profile back: what holds for the jurisdiction, or the default, holds again.

    Raises
    ------
    NotFoundError
        ``office.no_profile``.
    """
    if not await _delete(unit, "profile", {"jurisdiction": jurisdiction, "cell_code": cell}):
        raise NotFoundError("office.no_profile", cell=cell or "all")


async def list_repeat_rules(unit: Unit) -> list[dict[str, Any]]:
    """The rules; ``category_code`` is empty for every class that has none of its own."""
    columns = ", ".join(f"r.{name}" for name in _REPEAT)
    return await _rows(
        unit,
        f"SELECT r.category_code, k.name_zh, k.name_en, {columns} FROM dispatch.repeat_rule AS r"  # noqa: S608
        " LEFT JOIN dispatch.category AS k ON k.code = r.category_code ORDER BY r.category_code",
        {},
    )


async def write_repeat_rule(unit: WriteUnit, category: str, edit: RepeatRuleEdit) -> None:
    """Write the rule of a class, or of all (empty).

    Raises
    ------
    NotFoundError
        ``office.no_category``.
    """
    if category and not await _rows(unit, "SELECT code FROM dispatch.category WHERE code = %(c)s", {"c": category}):
        raise NotFoundError("office.no_category", category=category)
    await _upsert(unit, "repeat_rule", {"category_code": category}, {name: getattr(edit, name) for name in _REPEAT})


async def drop_repeat_rule(unit: WriteUnit, category: str) -> None:
    """Take the rule of a class back; the one for all stays, for there must be one.

    Raises
    ------
    NotFoundError
        ``office.no_repeat_rule``.
    BadInputError
        ``office.repeat_rule_for_all``.
    """
    if not category:
        raise BadInputError("office.repeat_rule_for_all", pointer="/category")
    if not await _delete(unit, "repeat_rule", {"category_code": category}):
        raise NotFoundError("office.no_repeat_rule", category=category)


async def change_channel(unit: WriteUnit, code: str, changes: dict[str, str]) -> None:
    """Change a channel's names or the rule from when its cases count.

    Raises
    ------
    NotFoundError
        ``office.no_channel``.
    """
    found = await _rows(unit, "SELECT code FROM dispatch.channel WHERE code = %(c)s FOR UPDATE", {"c": code})
    if not found:
        raise NotFoundError("office.no_channel", channel=code)
    if changes:
        driver = await unit.driver()
        columns = ", ".join(f"{name} = %({name})s" for name in ("name_zh", "name_en", "start_rule") if name in changes)
        await driver.execute(f"UPDATE dispatch.channel SET {columns} WHERE code = %(code)s", {**changes, "code": code})  # noqa: S608


async def write_ledger(unit: WriteUnit, code: str, name_zh: str, name_en: str, *, is_active: bool) -> None:
    """Write a ledger. One out of use stays on its cases and takes no new ones."""
    await _upsert(unit, "ledger", {"code": code}, {"name_zh": name_zh, "name_en": name_en, "is_active": is_active})


async def _rows(unit: Unit, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def _upsert(unit: WriteUnit, table: str, key: dict[str, Any], values: dict[str, Any]) -> None:
    names = [*key, *values]
    driver = await unit.driver()
    await driver.execute(
        f"INSERT INTO dispatch.{table} ({', '.join(names)}) VALUES ({', '.join(f'%({name})s' for name in names)})"  # noqa: S608
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in values)}",
        {**key, **values},
    )


async def _delete(unit: WriteUnit, table: str, key: dict[str, Any]) -> bool:
    driver = await unit.driver()
    where = " AND ".join(f"{name} = %({name})s" for name in key)
    cursor = await driver.execute(f"DELETE FROM dispatch.{table} WHERE {where}", key)  # noqa: S608
    return cursor.rowcount > 0
