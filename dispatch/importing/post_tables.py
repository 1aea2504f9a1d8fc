"""An office's tables of departments, people, posts and the matrix → rows in use: all of a table, or none of it.

Every line is tried by the same functions that the interface uses, so what is refused there is refused here; all faults
are found in one run, each with its row. A dry run writes everything and takes it back: its report is what will happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.departments import Gap, NewRule, add_department, add_rule, change_department, find_gaps, list_rules
from dispatch.importing.instants import Clock, TimeFault
from dispatch.importing.sheets import Sheet, SheetFault, find_columns, read_sheet
from dispatch.posts_keeping import NewPost, add_person, add_post, appoint, change_person, end_appointment
from dispatch.queries import database_now
from dispatch.routing import Mode
from dispatch.storage.posts import read_rows
from geo.errors import BadInputError, GridwardError, NotFoundError
from geo.storage.uow import WriteUnit, write_unit

__all__ = ["Outcome", "TableImport", "TableKind", "TablesRefusedError", "import_table"]


class TableKind(StrEnum):
    """What a table is about."""

    DEPARTMENTS = "departments"
    PEOPLE = "people"
    POSTS = "posts"
    MATRIX = "matrix"


class Outcome(StrEnum):
    """What became of a row."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"


COLUMNS: Final[Mapping[TableKind, Mapping[str, Sequence[str]]]] = {
    TableKind.DEPARTMENTS: {
        "code": ("code", "代码", "部门代码", "编码"),
        "name_zh": ("name_zh", "名称", "部门名称", "name"),
        "name_en": ("name_en", "英文名称"),
    },
    TableKind.PEOPLE: {
        "name": ("name", "姓名"),
        "staff_number": ("staff_number", "工号", "编号"),
        "phone": ("phone", "电话", "手机", "联系电话"),
    },
    TableKind.POSTS: {
        "kind": ("kind", "岗位类型", "类型"),
        "title_zh": ("title_zh", "岗位名称", "名称", "title"),
        "title_en": ("title_en", "英文名称"),
        "rank": ("rank", "岗别", "A/B岗", "AB岗"),
        "cell": ("cell", "网格", "网格编码", "cell_code"),
        "department": ("department", "部门", "部门代码"),
        "holder": ("holder", "任职人", "工号", "姓名"),
        "shared": ("shared", "共用", "多人"),
        "valid_from": ("valid_from", "生效", "开始"),
        "valid_until": ("valid_until", "失效", "结束"),
    },
    TableKind.MATRIX: {
        "department": ("department", "部门", "部门代码"),
        "cell": ("cell", "网格", "网格编码"),
        "category": ("category", "类别", "类别编码"),
        "mode": ("mode", "方式", "主办/协办"),
        "valid_from": ("valid_from", "生效", "开始"),
        "valid_until": ("valid_until", "失效", "结束"),
        "note": ("note", "备注"),
    },
}
_REQUIRED: Final = {
    TableKind.DEPARTMENTS: ("code", "name_zh"),
    TableKind.PEOPLE: ("name",),
    TableKind.POSTS: ("kind", "title_zh"),
    TableKind.MATRIX: ("department",),
}
_YES: Final = frozenset({"yes", "y", "true", "1", "是", "√"})
_NO: Final = frozenset({"", "no", "n", "false", "0", "否"})
_LONGEST: Final = 120


class TablesRefusedError(GridwardError):
    """Rows of a table cannot be taken; nothing is written."""

    def __init__(self, file: str, faults: Sequence[SheetFault]) -> None:
        super().__init__("posts.table_refused", file=file, count=len(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableImport:
    """What a table did, or would do. ``gaps`` are those that the matrix leaves afterwards."""

    kind: TableKind
    rows: int
    counts: Mapping[Outcome, int]
    is_written: bool
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What a row is read with. ``words`` are labels of kinds and modes in the office's own language."""

    unit: WriteUnit
    jurisdiction: str
    clock: Clock
    now: datetime
    words: Mapping[str, str]


class _TakenBackError(Exception):
    """Ends a unit of work without writing."""


@dataclass(slots=True)
class _Run:
    counts: Counter[Outcome] = field(default_factory=Counter)
    faults: list[SheetFault] = field(default_factory=list)
    gaps: tuple[Gap, ...] = ()


async def import_table(
    engine: AsyncEngine,
    kind: TableKind,
    path: Path,
    *,
    jurisdiction: str,
    dry_run: bool = False,
    columns: str = "",
    words: Mapping[str, str] | None = None,
) -> TableImport:
    """Import one table.

    Parameters
    ----------
    columns
        Names of columns that are not the usual ones: ``cell=单元网格,…``.
    words
        Labels → codes of kinds of posts and modes, for tables that use an office's own words.

    Raises
    ------
    TablesRefusedError
        Every fault with its row; nothing is written.
    BadInputError
        The file cannot be read, a column is missing, the jurisdiction is not set up.
    """
    sheet = read_sheet(path)
    places = find_columns(sheet, "--map", columns, COLUMNS[kind], _REQUIRED[kind])
    run = _Run(faults=list(sheet.faults))
    try:
        async with write_unit(engine) as unit:
            await _take(unit, kind, sheet, places, run, jurisdiction, words or {})
            if run.faults or dry_run:
                raise _TakenBackError
    except _TakenBackError:
        pass
    if run.faults:
        raise TablesRefusedError(sheet.file, sorted(run.faults, key=lambda fault: fault.row or 0))
    return TableImport(kind=kind, rows=len(sheet.rows), counts=run.counts, is_written=not dry_run, gaps=run.gaps)


async def _take(
    unit: WriteUnit,
    kind: TableKind,
    sheet: Sheet,
    places: Mapping[str, int],
    run: _Run,
    jurisdiction: str,
    words: Mapping[str, str],
) -> None:
    driver = await unit.driver()
    zone = await (
        await driver.execute("SELECT time_zone FROM geo.jurisdiction WHERE code = %s", (jurisdiction,))
    ).fetchone()
    if zone is None:
        raise BadInputError("dispatch.no_jurisdiction", jurisdiction=jurisdiction)
    table = _Table(
        unit=unit,
        jurisdiction=jurisdiction,
        clock=Clock(zone=ZoneInfo(zone[0])),
        now=await database_now(unit),
        words=words,
    )
    for number, values in sheet.rows:
        row = {name: values[place] if place < len(values) else "" for name, place in places.items()}
        try:
            # A savepoint: one bad row must not hide what is wrong with the next.
            async with driver.transaction():
                run.counts[await _ROWS[kind](table, row)] += 1
        except GridwardError as error:
            run.faults.append(SheetFault(file=sheet.file, row=number, code=error.code, params=error.params))
    if kind is TableKind.MATRIX and not run.faults:
        run.gaps = tuple(await find_gaps(unit, jurisdiction, table.now))


def _text(row: Mapping[str, str], name: str, *, needed: bool = False) -> str:
    value = row.get(name, "")
    if needed and not value:
        raise BadInputError("request.missing", field=name)
    if len(value) > _LONGEST:
        raise BadInputError("request.too_long", field=name, most=_LONGEST)
    return value


def _instant(table: _Table, row: Mapping[str, str], name: str) -> datetime | None:
    text = _text(row, name)
    if not text:
        return None
    found = table.clock.read(text)
    if isinstance(found, TimeFault):
        raise BadInputError("posts.bad_time", field=name, value=text)
    return found


async def _department(table: _Table, row: Mapping[str, str]) -> Outcome:
    code, name_zh = _text(row, "code", needed=True), _text(row, "name_zh", needed=True)
    name_en = _text(row, "name_en") or name_zh
    old = await read_rows(table.unit, "department", "code = %(code)s", {"code": code}, order="code")
    if not old:
        await add_department(table.unit, code=code, name_zh=name_zh, name_en=name_en)
        return Outcome.ADDED
    changes = {"name_zh": name_zh, "name_en": _text(row, "name_en") or old[0]["name_en"], "is_active": True}
    changes = {name: value for name, value in changes.items() if old[0][name] != value}
    await change_department(table.unit, table.jurisdiction, code, changes, at=table.now)
    return Outcome.CHANGED if changes else Outcome.SAME


async def _person(table: _Table, row: Mapping[str, str]) -> Outcome:
    name, number = _text(row, "name", needed=True), _text(row, "staff_number") or None
    phone = _text(row, "phone") or None
    if number is not None:
        old = await _people(table, "staff_number = %(word)s", number)
    else:
        old = await _people(table, "name = %(word)s AND is_active", name)
        if len(old) > 1:
            raise BadInputError("posts.person_ambiguous", name=name, count=len(old))
    if not old:
        await add_person(table.unit, table.jurisdiction, name=name, staff_number=number, phone=phone)
        return Outcome.ADDED
    wanted = {"name": name, "phone": phone or old[0]["phone"], "is_active": True}
    changes = {field: value for field, value in wanted.items() if old[0][field] != value}
    await change_person(table.unit, table.jurisdiction, old[0]["id"], changes)
    return Outcome.CHANGED if changes else Outcome.SAME


async def _post(table: _Table, row: Mapping[str, str]) -> Outcome:
    kind = _text(row, "kind", needed=True)
    rank = (_text(row, "rank") or "A").upper().removesuffix("岗")
    shared = _text(row, "shared").lower()
    if rank not in {"A", "B"} or shared not in _YES | _NO:
        field = "rank" if rank not in {"A", "B"} else "shared"
        raise BadInputError("posts.bad_word", field=field, value=_text(row, field))
    new = NewPost(
        kind=table.words.get(kind, kind),
        title_zh=_text(row, "title_zh", needed=True),
        title_en=_text(row, "title_en"),
        rank=rank,
        cell=_text(row, "cell") or None,
        department=_text(row, "department") or None,
        is_shared=shared in _YES,
        valid_from=_instant(table, row, "valid_from"),
        valid_until=_instant(table, row, "valid_until"),
    )
    holder = await _holder(table, _text(row, "holder"))
    old = await read_rows(
        table.unit,
        "post",
        "jurisdiction = %(jurisdiction)s AND kind = %(kind)s AND rank = %(rank)s"
        " AND cell_code IS NOT DISTINCT FROM %(cell)s AND department_code IS NOT DISTINCT FROM %(department)s"
        # A cell has one head's post of a rank whatever it is called; of other kinds it may have several.
        " AND (kind = 'grid_head' OR title_zh = %(title)s)"
        " AND valid_from <= %(now)s AND (valid_until IS NULL OR valid_until > %(now)s)",
        {
            "jurisdiction": table.jurisdiction,
            "kind": new.kind,
            "rank": rank,
            "cell": new.cell,
            "department": new.department,
            "title": new.title_zh,
            "now": table.now,
        },
    )
    if not old:
        made = await add_post(table.unit, table.jurisdiction, new, now=table.now)
        if holder is not None:
            since, until = made["valid_from"], made["valid_until"]
            await appoint(table.unit, table.jurisdiction, made["id"], holder, since=since, until=until)
        return Outcome.ADDED
    return await _hold(table, old[0], holder)


async def _hold(table: _Table, post: Mapping[str, Any], holder: UUID | None) -> Outcome:
    """Let somebody hold a post that exists, from now on; an empty holder leaves it as it is."""
    held = await read_rows(
        table.unit,
        "appointment",
        "post_id = %(post)s AND valid_from <= %(now)s AND (valid_until IS NULL OR valid_until > %(now)s)",
        {"post": post["id"], "now": table.now},
    )
    if holder is None or holder in [row["person_id"] for row in held]:
        return Outcome.SAME
    if not post["is_shared"]:
        for row in held:
            await end_appointment(table.unit, table.jurisdiction, post["id"], row["id"], table.now)
    await appoint(table.unit, table.jurisdiction, post["id"], holder, since=table.now, until=post["valid_until"])
    return Outcome.CHANGED


async def _holder(table: _Table, word: str) -> UUID | None:
    if not word:
        return None
    found = await _people(table, "staff_number = %(word)s", word)
    found = found or await _people(table, "name = %(word)s AND is_active", word)
    if not found:
        raise NotFoundError("posts.holder_unknown", holder=word)
    if len(found) > 1:
        raise BadInputError("posts.person_ambiguous", name=word, count=len(found))
    person: UUID = found[0]["id"]
    return person


async def _people(table: _Table, where: Any, word: str) -> list[dict[str, Any]]:
    values = {"jurisdiction": table.jurisdiction, "word": word}
    return await read_rows(table.unit, "person", "jurisdiction = %(jurisdiction)s AND " + where, values)


async def _rule(table: _Table, row: Mapping[str, str]) -> Outcome:
    word = _text(row, "mode") or Mode.LEAD.value
    mode = table.words.get(word, word)
    if mode not in list(Mode):
        raise BadInputError("posts.bad_word", field="mode", value=word)
    new = NewRule(
        department=_text(row, "department", needed=True),
        cell=_text(row, "cell"),
        category=_text(row, "category"),
        mode=Mode(mode),
        note=_text(row, "note"),
        valid_from=_instant(table, row, "valid_from"),
        valid_until=_instant(table, row, "valid_until"),
    )
    begins = new.valid_from or table.now
    old = [
        rule
        for rule in await list_rules(
            table.unit, table.jurisdiction, max(begins, table.now), cell=new.cell, category=new.category
        )
        if (rule["mode"] == Mode.FALLBACK) == (new.mode is Mode.FALLBACK)
    ]
    if old and (old[0]["department_code"], old[0]["mode"], old[0]["valid_until"]) == (
        new.department,
        new.mode,
        new.valid_until,
    ):
        return Outcome.SAME
    if old and begins < table.now:
        # What has held until now is history; the new line goes on from here.
        new = NewRule(**{**{name: getattr(new, name) for name in NewRule.__slots__}, "valid_from": table.now})
    await add_rule(table.unit, table.jurisdiction, new, now=table.now, replace=True)
    return Outcome.CHANGED if old else Outcome.ADDED


_ROWS: Final[Mapping[TableKind, Callable[[_Table, Mapping[str, str]], Awaitable[Outcome]]]] = {
    TableKind.DEPARTMENTS: _department,
    TableKind.PEOPLE: _person,
    TableKind.POSTS: _post,
    TableKind.MATRIX: _rule,
}
