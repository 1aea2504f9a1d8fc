"""Keeping departments and the matrix from (cell, category) to department; where the matrix leaves gaps.

How the matrix is read is rule "route-1" in `dispatch.routing`; here is what may be written into it. A line that has
been valid ends; only one that never was is taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from dispatch.office_area import check_place
from dispatch.posts_keeping import check_cell, check_department, check_interval, refusing
from dispatch.routing import Mode
from dispatch.storage.posts import change_row, fetch, insert_row, lock_row, read_rows
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "MATRIX_COLUMNS",
    "Gap",
    "NewRule",
    "add_department",
    "add_rule",
    "change_department",
    "end_rule",
    "find_gaps",
    "list_departments",
    "list_rules",
    "matrix_row",
]

#: Columns of the matrix as a table.
MATRIX_COLUMNS: Final = ("cell", "category", "department", "mode", "valid_from", "valid_until", "note")

_DEPARTMENTS: Final[LiteralString] = """
SELECT d.code, d.name_zh, d.name_en, d.is_active,
       (SELECT count(*) FROM dispatch.routing AS r WHERE r.department_code = d.code
           AND r.jurisdiction = %(jurisdiction)s AND (r.valid_until IS NULL OR r.valid_until > %(at)s)) AS rules,
       (SELECT count(*) FROM dispatch.post AS p WHERE p.department_code = d.code
           AND p.jurisdiction = %(jurisdiction)s AND (p.valid_until IS NULL OR p.valid_until > %(at)s)) AS posts
  FROM dispatch.department AS d
 WHERE %(code)s::text IS NULL OR d.code = %(code)s
 ORDER BY d.code
"""
_RULES: Final[LiteralString] = """
SELECT r.id, r.cell_code, r.category_code, r.department_code, r.mode, r.note, r.valid_from, r.valid_until,
       d.name_zh AS department_zh, d.name_en AS department_en, d.is_active AS department_is_active,
       k.name_zh AS category_zh, k.name_en AS category_en, c.name_zh AS cell_zh, c.name_en AS cell_en
  FROM dispatch.routing AS r
  JOIN dispatch.department AS d ON d.code = r.department_code
  LEFT JOIN dispatch.category AS k ON k.code = r.category_code
  LEFT JOIN LATERAL geo.valid_version(r.jurisdiction, %(at)s) AS v ON r.cell_code <> ''
  LEFT JOIN geo.cell AS c ON c.version_id = v.id AND c.code = r.cell_code
 WHERE r.jurisdiction = %(jurisdiction)s
   AND (%(ended)s OR (r.valid_from <= %(at)s AND (r.valid_until IS NULL OR r.valid_until > %(at)s)))
   AND (%(department)s::text IS NULL OR r.department_code = %(department)s)
   AND (%(cell)s::text IS NULL OR r.cell_code = %(cell)s)
   AND (%(category)s::text IS NULL OR r.category_code = %(category)s)
   AND r.id > %(after)s
 ORDER BY r.id
 LIMIT %(limit)s
"""
_CELLS: Final[LiteralString] = """
SELECT c.code, c.path, c.name_zh, c.name_en
  FROM geo.valid_version(%(jurisdiction)s, %(at)s) AS v JOIN geo.cell AS c ON c.version_id = v.id
 ORDER BY c.level, c.code COLLATE "C"
"""
_CATEGORIES: Final[LiteralString] = """
SELECT k.code, k.parent, k.name_zh, k.name_en,
       k.is_active AND EXISTS (SELECT FROM dispatch.category_condition AS n WHERE n.category_code = k.code) AS is_minor
  FROM dispatch.category AS k ORDER BY k.code
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """A line of the matrix as asked for. An empty cell means everywhere, an empty category any."""

    department: str
    cell: str = ""
    category: str = ""
    mode: Mode = Mode.LEAD
    note: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A class that no line of the matrix speaks of in a cell's whole subtree, and who is left for it.

    ``fallback`` is the code of the territorial fallback owner; None means that the grid heads are alone with it.
    """

    category: str
    category_zh: str
    category_en: str
    cell: str
    cell_zh: str
    cell_en: str
    leaves: int
    fallback: str | None


async def list_departments(
    unit: Unit, jurisdiction: str, at: datetime, code: str | None = None
) -> list[dict[str, Any]]:
    """Departments with how many lines of the matrix and posts they have now or later."""
    return await fetch(unit, _DEPARTMENTS, {"jurisdiction": jurisdiction, "at": at, "code": code})


async def add_department(unit: WriteUnit, *, code: str, name_zh: str, name_en: str = "") -> dict[str, Any]:
    """Add a department.

    Raises
    ------
    ConflictError
        ``posts.department_exists``.
    """
    await check_place(unit, None, code)
    async with refusing(unit, "/code", department=code):
        return await insert_row(unit, "department", {"code": code, "name_zh": name_zh, "name_en": name_en or name_zh})


async def change_department(
    unit: WriteUnit, jurisdiction: str, code: str, changes: Mapping[str, Any], *, at: datetime
) -> dict[str, Any]:
    """Rename a department, or take it out of use.

    Raises
    ------
    NotFoundError
        ``posts.department_missing``.
    ConflictError
        ``posts.department_in_use``: its lines of the matrix would silently stop to hold.
    """
    row = await lock_row(unit, "department", code)
    if row is None:
        raise NotFoundError("posts.department_missing", department=code)
    await check_place(unit, None, code)
    if changes.get("is_active") is False and row["is_active"]:
        (found,) = await list_departments(unit, jurisdiction, at, code)
        if found["rules"] or found["posts"]:
            raise ConflictError(
                "posts.department_in_use",
                pointer="/is_active",
                department=code,
                rules=found["rules"],
                posts=found["posts"],
            )
    return await change_row(unit, "department", code, changes) if changes else row


async def list_rules(
    unit: Unit,
    jurisdiction: str,
    at: datetime,
    *,
    department: str | None = None,
    cell: str | None = None,
    category: str | None = None,
    ended: bool = False,
    after: int = 0,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Lines of the matrix valid at an instant, or all of them; an empty cell or category asks for just that."""
    values = {
        "jurisdiction": jurisdiction,
        "at": at,
        "department": department,
        "cell": cell,
        "category": category,
        "ended": ended,
        "after": after,
        "limit": limit,
    }
    return await fetch(unit, _RULES, values)


async def add_rule(
    unit: WriteUnit, jurisdiction: str, new: NewRule, *, now: datetime, replace: bool = False
) -> dict[str, Any]:
    """Add a line to the matrix.

    Parameters
    ----------
    replace
        End the line for the same cell and category that is valid when this one begins, instead of refusing.

    Raises
    ------
    BadInputError
        ``posts.cell_unknown``, ``posts.department_unknown``, ``posts.category_unknown``, ``posts.bad_interval``,
        ``posts.fallback_has_no_category``.
    ConflictError
        ``posts.rule_exists``, ``posts.fallback_exists``.
    """
    since = new.valid_from or now
    check_interval(since, new.valid_until)
    await check_department(unit, new.department)
    await check_cell(unit, jurisdiction, new.cell)
    if new.mode is Mode.FALLBACK and new.category:
        raise BadInputError("posts.fallback_has_no_category", pointer="/category")
    if new.category and not await read_rows(unit, "category", "code = %(code)s", {"code": new.category}, order="code"):
        raise BadInputError("posts.category_unknown", pointer="/category", category=new.category)
    await check_place(unit, new.cell or None, new.department)
    if replace:
        await _make_room(unit, jurisdiction, new, since)
    async with refusing(unit, "/category", cell=new.cell or "–", category=new.category or "–"):
        return await insert_row(
            unit,
            "routing",
            {
                "jurisdiction": jurisdiction,
                "cell_code": new.cell,
                "category_code": new.category,
                "department_code": new.department,
                "mode": new.mode.value,
                "note": new.note,
                "valid_from": since,
                "valid_until": new.valid_until,
            },
        )


async def _make_room(unit: WriteUnit, jurisdiction: str, new: NewRule, since: datetime) -> None:
    driver = await unit.driver()
    values = {
        "jurisdiction": jurisdiction,
        "cell": new.cell,
        "category": new.category,
        "fallback": new.mode is Mode.FALLBACK,
        "since": since,
    }
    same = (
        " WHERE jurisdiction = %(jurisdiction)s AND cell_code = %(cell)s AND category_code = %(category)s"
        " AND (mode = 'fallback') = %(fallback)s"
    )
    await driver.execute(
        f"UPDATE dispatch.routing SET valid_until = %(since)s {same}"  # noqa: S608 - constants only
        " AND valid_from < %(since)s AND (valid_until IS NULL OR valid_until > %(since)s)",
        values,
    )
    # One that was to begin at the same moment never does; one that has begun is history and stays in the way.
    await driver.execute(
        f"DELETE FROM dispatch.routing {same} AND valid_from = %(since)s AND valid_from >= now()",  # noqa: S608
        values,
    )


async def end_rule(unit: WriteUnit, jurisdiction: str, rule_id: int, at: datetime) -> dict[str, Any] | None:
    """End a line of the matrix; one that would end before it begins never was, and None is returned.

    Raises
    ------
    NotFoundError
        ``posts.rule_unknown``.
    ConflictError
        ``posts.already_ended``.
    """
    row = await lock_row(unit, "routing", rule_id)
    if row is None or row["jurisdiction"] != jurisdiction:
        raise NotFoundError("posts.rule_unknown", rule=rule_id)
    await check_place(unit, row["cell_code"] or None, row["department_code"])
    if row["valid_until"] is not None and row["valid_until"] <= at:
        raise ConflictError("posts.already_ended", pointer="/valid_until", until=row["valid_until"].isoformat())
    if at <= row["valid_from"]:
        driver = await unit.driver()
        await driver.execute("DELETE FROM dispatch.routing WHERE id = %s", (rule_id,))
        return None
    check_interval(row["valid_from"], at)
    return await change_row(unit, "routing", rule_id, {"valid_until": at})


def matrix_row(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """A line of the matrix as a row of a table, in the order of `MATRIX_COLUMNS`."""
    until = rule["valid_until"]
    return (
        rule["cell_code"],
        rule["category_code"],
        rule["department_code"],
        rule["mode"],
        rule["valid_from"].isoformat(),
        until.isoformat() if until else "",
        rule["note"],
    )


async def find_gaps(unit: Unit, jurisdiction: str, at: datetime) -> list[Gap]:
    """Say which (cell, category) has only the fallback owner, or nobody, at an instant.

    A gap is named by the highest cell whose whole subtree it covers, so that a class without any rule is one line for
    each subdistrict and not one for each of its cells.

    Notes
    -----
    Cost: classes × cells that have a rule, not classes × cells.
    """
    rules = await list_rules(unit, jurisdiction, at, limit=1_000_000)
    cells = await fetch(unit, _CELLS, {"jurisdiction": jurisdiction, "at": at})
    categories = await fetch(unit, _CATEGORIES, {})
    return gaps_of([rule for rule in rules if rule["department_is_active"]], cells, categories)


def gaps_of(
    rules: Iterable[Mapping[str, Any]], cells: Sequence[Mapping[str, Any]], categories: Sequence[Mapping[str, Any]]
) -> list[Gap]:
    """The gaps that a matrix leaves in a tree of cells (parents first) and classes."""
    parents = {row["code"]: row["parent"] for row in categories}
    placed: dict[str, set[str]] = {}
    fallbacks: dict[str, str] = {}
    for rule in rules:
        if rule["mode"] == Mode.FALLBACK:
            fallbacks[rule["cell_code"]] = rule["department_code"]
        else:
            placed.setdefault(rule["category_code"], set()).add(rule["cell_code"])
    tree = _Tree(cells)
    # A fallback owner of part of a cell splits the gap there, or the answer would be wrong for the rest.
    seams = set(fallbacks)
    found = []
    for row in categories:
        if not row["is_minor"]:
            continue
        covered = set(placed.get("", ())).union(*(placed.get(code, ()) for code in _up(parents, row["code"])))
        if "" in covered:
            continue
        for cell in tree.uncovered(covered, seams):
            path = tree.rows[cell]["path"]
            fallback = next((fallbacks[code] for code in (*reversed(path), "") if code in fallbacks), None)
            found.append(
                Gap(
                    category=row["code"],
                    category_zh=row["name_zh"],
                    category_en=row["name_en"],
                    cell=cell,
                    cell_zh=tree.rows[cell]["name_zh"],
                    cell_en=tree.rows[cell]["name_en"],
                    leaves=tree.leaves[cell],
                    fallback=fallback,
                )
            )
    return found


class _Tree:
    def __init__(self, cells: Sequence[Mapping[str, Any]]) -> None:
        self.rows = {row["code"]: row for row in cells}
        self.roots = [row["code"] for row in cells if len(row["path"]) == 1]
        self.children: dict[str, list[str]] = {}
        for row in cells:
            if len(row["path"]) > 1:
                self.children.setdefault(row["path"][-2], []).append(row["code"])
        self.leaves: dict[str, int] = {}
        for row in reversed(cells):
            code = row["code"]
            self.leaves[code] = sum(self.leaves[child] for child in self.children.get(code, ())) or 1

    def uncovered(self, covered: set[str], seams: set[str]) -> list[str]:
        """The highest cells that have no covered cell in or above them; a seam below one divides it."""
        broken = {above for code in covered | seams if code in self.rows for above in self.rows[code]["path"][:-1]}
        found, waiting = [], list(reversed(self.roots))
        while waiting:
            cell = waiting.pop()
            if cell in covered:
                continue
            if cell in broken:
                waiting += reversed(self.children.get(cell, []))
            else:
                found.append(cell)
        return found


def _up(parents: Mapping[str, str | None], code: str) -> list[str]:
    found: list[str] = []
    name: str | None = code
    while name is not None and len(found) < 8:
        found.append(name)
        name = parents.get(name)
    return found
