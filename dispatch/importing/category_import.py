"""Import a city's table of categories, conditions and limits: all of it in one transaction, or nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.deadlines import Limit, LimitUnit
from dispatch.importing.category_changes import Change, ChangeKind, StoredCategory, check_tree, find_changes
from dispatch.importing.category_rows import CategoryTable, NewCategory, NewCondition, ReadingRules, read_categories
from dispatch.importing.sheets import SheetFault, read_sheet
from geo.errors import BadInputError, Fault, json_pointer
from geo.storage.uow import ReadUnit, WriteUnit, read_unit, write_unit

#: Faults that an answer lists; whoever has more mends these first.
_MOST_TOLD = 200
_STORED = "SELECT code, kind, parent, name_zh, name_en, code_system, is_active FROM dispatch.category"
_CONDITIONS = (
    "SELECT category_code, number, name_zh, name_en, limit_value, limit_unit, is_default"
    " FROM dispatch.category_condition"
)
_USED = (
    "SELECT DISTINCT category_code, condition_number FROM dispatch.dispatch_case"
    " WHERE condition_number IS NOT NULL AND category_code = ANY (%s)"
)
# One statement: the foreign key on the parent is checked at its end, so the order of the rows does not matter.
_WRITE = """
INSERT INTO dispatch.category (code, code_system, kind, parent, name_zh, name_en, is_active)
SELECT r.code, r.code_system, r.kind, r.parent, r.name_zh, r.name_en, true
  FROM jsonb_to_recordset(%s::jsonb)
    AS r (code text, code_system text, kind text, parent text, name_zh text, name_en text)
    ON CONFLICT (code) DO UPDATE
   SET code_system = excluded.code_system, kind = excluded.kind, parent = excluded.parent,
       name_zh = excluded.name_zh, name_en = excluded.name_en, is_active = true
"""
_NO_DEFAULT = "UPDATE dispatch.category_condition SET is_default = false WHERE category_code = ANY (%s) AND is_default"
_REMOVE = """
DELETE FROM dispatch.category_condition AS c USING jsonb_to_recordset(%s::jsonb) AS r (code text, number int)
 WHERE c.category_code = r.code AND c.number = r.number
"""
_WRITE_CONDITIONS = """
INSERT INTO dispatch.category_condition (category_code, number, name_zh, name_en, limit_value, limit_unit, is_default)
SELECT r.code, r.number, r.name_zh, r.name_en, r.value, r.unit, r.is_default
  FROM jsonb_to_recordset(%s::jsonb) AS r (code text, number int, name_zh text, name_en text, value numeric, unit text,
                                           is_default boolean)
    ON CONFLICT (category_code, number) DO UPDATE
   SET name_zh = excluded.name_zh, name_en = excluded.name_en, limit_value = excluded.limit_value,
       limit_unit = excluded.limit_unit, is_default = excluded.is_default
"""
_DEACTIVATE = "UPDATE dispatch.category SET is_active = false WHERE code = ANY (%s)"


class CategoriesRefusedError(BadInputError):
    """The tables have faults; nothing was written. The first of them are its causes, each with its row."""

    def __init__(self, file: str, faults: list[SheetFault]) -> None:
        super().__init__("category.table_refused", file=file, count=len(faults))
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file != file, fault.row or 0)))
        self.causes = tuple(
            Fault(
                code=fault.code,
                pointer=json_pointer(
                    "table" if fault.file == file else "conditions",
                    *(part for part in (fault.row, fault.column) if part),
                ),
                params={**fault.params, "at_row": fault.row or 0, "at_column": fault.column},
            )
            for fault in self.faults[:_MOST_TOLD]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryImportOptions:
    """What is to be read and how."""

    conditions: Path | None = None
    rules: ReadingRules = field(default_factory=ReadingRules)
    deactivate_missing: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryImport:
    """What an import changed, or would change. ``in_doubt`` are classes whose reports wait for a condition."""

    file: str
    categories: int
    conditions: int
    untouched: int
    in_doubt: tuple[str, ...]
    changes: tuple[Change, ...]
    is_written: bool

    def counts(self) -> Counter[ChangeKind]:
        """How many changes of each kind."""
        return Counter(change.kind for change in self.changes)


async def import_categories(engine: AsyncEngine, path: Path, options: CategoryImportOptions) -> CategoryImport:
    """Bring categories, conditions and limits to what the tables say.

    Raises
    ------
    BadInputError
        A file cannot be read, a column is missing, an option is wrong.
    CategoriesRefusedError
        Rows are wrong; the error has all of them.
    """
    table = read_tables(path, options)
    if options.dry_run:
        async with read_unit(engine) as reading:
            return await plan_import(reading, path.name, table, options)
    async with write_unit(engine) as writing:
        return await apply_import(writing, path.name, table, options)


def read_tables(path: Path, options: CategoryImportOptions) -> CategoryTable:
    """Read the tables; what is wrong with single rows is kept in them.

    Raises
    ------
    BadInputError
        A file cannot be read, a column is missing, an option is wrong.
    """
    conditions = read_sheet(options.conditions) if options.conditions else None
    return read_categories(read_sheet(path), conditions, options.rules)


async def apply_import(
    unit: WriteUnit, file: str, table: CategoryTable, options: CategoryImportOptions
) -> CategoryImport:
    """Write what the tables say, in somebody's transaction, and tell what that changed.

    Raises
    ------
    CategoriesRefusedError
        Rows are wrong; nothing is written.
    """
    driver = await unit.driver()
    # Two imports at once must not mix; reports go on being read against the old table meanwhile.
    await driver.execute("LOCK TABLE dispatch.category IN SHARE ROW EXCLUSIVE MODE")
    found = await plan_import(unit, file, table, options)
    await _write(unit, table.categories, found.changes)
    return found


async def plan_import(
    unit: ReadUnit | WriteUnit, file: str, table: CategoryTable, options: CategoryImportOptions
) -> CategoryImport:
    """Say what an import would change.

    Raises
    ------
    CategoriesRefusedError
        Rows are wrong; the error has all of them.
    """
    stored = await _load(unit, list(table.categories))
    faults = [*table.faults, *check_tree(file, table.categories, stored)]
    if faults:
        raise CategoriesRefusedError(file, faults)
    changes = find_changes(table.categories, stored, deactivate_missing=options.deactivate_missing)
    touched = {change.code for change in changes}
    given = {code: each.conditions or {} for code, each in table.categories.items()}
    return CategoryImport(
        file=file,
        categories=len(given),
        conditions=sum(map(len, given.values())),
        untouched=sum(code not in touched for code in given),
        in_doubt=tuple(
            code for code, each in given.items() if each and not any(one.is_default for one in each.values())
        ),
        changes=tuple(changes),
        is_written=not options.dry_run,
    )


async def _load(unit: ReadUnit | WriteUnit, codes: list[str]) -> dict[str, StoredCategory]:
    driver = await unit.driver()
    conditions: dict[str, dict[int, NewCondition]] = defaultdict(dict)
    used: dict[str, set[int]] = defaultdict(set)
    async with driver.cursor(row_factory=dict_row) as cursor:
        for row in await (await cursor.execute(_CONDITIONS)).fetchall():
            conditions[row["category_code"]][row["number"]] = NewCondition(
                number=row["number"],
                name_zh=row["name_zh"],
                name_en=row["name_en"],
                limit=Limit(value=row["limit_value"], unit=LimitUnit(row["limit_unit"])),
                is_default=row["is_default"],
            )
        for row in await (await cursor.execute(_USED, (codes,))).fetchall():
            used[row["category_code"]].add(row["condition_number"])
        return {
            row["code"]: StoredCategory(
                **row, conditions=conditions.get(row["code"], {}), used=frozenset(used[row["code"]])
            )
            for row in await (await cursor.execute(_STORED)).fetchall()
        }


async def _write(unit: WriteUnit, categories: Mapping[str, NewCategory], changes: tuple[Change, ...]) -> None:
    driver = await unit.driver()
    rows = [
        {name: getattr(each, name) for name in ("code", "code_system", "kind", "parent", "name_zh", "name_en")}
        for each in categories.values()
    ]
    await driver.execute(_WRITE, (_json(rows),))
    stated = {code: each.conditions for code, each in categories.items() if each.conditions is not None}
    await driver.execute(_NO_DEFAULT, (list(stated),))
    removed = [
        {"code": each.code, "number": each.number} for each in changes if each.kind is ChangeKind.CONDITION_REMOVED
    ]
    await driver.execute(_REMOVE, (_json(removed),))
    await driver.execute(
        _WRITE_CONDITIONS,
        (
            _json(
                [
                    {
                        "code": code,
                        "number": each.number,
                        "name_zh": each.name_zh,
                        "name_en": each.name_en,
                        "value": str(each.limit.value),
                        "unit": each.limit.unit.value,
                        "is_default": each.is_default,
                    }
                    for code, conditions in stated.items()
                    for each in conditions.values()
                ]
            ),
        ),
    )
    gone = [each.code for each in changes if each.kind is ChangeKind.DEACTIVATED]
    await driver.execute(_DEACTIVATE, (gone,))


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()
