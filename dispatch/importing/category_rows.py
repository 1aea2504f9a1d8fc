"""Rows of a city's table of categories → checked classes and conditions, every fault by row and name. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from dispatch.deadlines import Limit, LimitUnit
from dispatch.importing.limits import LimitFault, LimitText, read_limit
from dispatch.importing.sheets import Sheet, SheetFault, find_columns

CATEGORY_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "code": ("code", "编码", "代码", "小类代码", "类别编码"),
    "parent": ("parent", "上级", "上级编码", "大类代码"),
    "kind": ("kind", "类型", "部件/事件"),
    "name_zh": ("name_zh", "名称", "小类名称", "类别名称", "name"),
    "name_en": ("name_en", "英文名称"),
    "limit": ("limit", "limit_value", "default_limit", "处置时限", "时限"),
    "unit": ("unit", "limit_unit", "时限单位", "单位"),
    "code_system": ("code_system", "编码体系"),
}
CONDITION_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "category": ("category", "code", "编码", "小类代码", "类别编码"),
    "number": ("number", "condition_no", "序号", "立案条件序号"),
    "name_zh": ("name_zh", "立案条件", "condition", "condition_class"),
    "name_en": ("name_en", "condition_class"),
    "limit": ("limit", "limit_value", "处置时限", "时限"),
    "unit": ("unit", "limit_unit", "时限单位", "单位"),
    "is_default": ("is_default", "默认"),
}
GENERAL: Final = ("一般情形", "General")
"""Name of the one condition of a class whose table gives a limit and no conditions."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_MADE = re.compile(r"X\d{4,8}")
_LETTERS = {"part": "P", "event": "E", "social": "S"}
_KINDS = {
    **dict.fromkeys(("part", "部件", "p"), "part"),
    **dict.fromkeys(("event", "事件", "e"), "event"),
    **dict.fromkeys(("social", "社会", "社会治理", "s"), "social"),
}
_YES = frozenset({"yes", "y", "true", "1", "是", "默认", "√"})
_NO = frozenset({"", "no", "n", "false", "0", "否"})
_LONGEST_NAME = 200


class InDoubt(StrEnum):
    """What to do with a class of several conditions with different limits, none marked as the default."""

    ASK = "ask"
    STRICTEST = "strictest"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCondition:
    """A filing condition as it shall be."""

    number: int
    name_zh: str
    name_en: str
    limit: Limit
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCategory:
    """A class as it shall be. ``conditions`` is None where the table says nothing about them."""

    row: int
    code: str
    kind: str
    parent: str | None
    name_zh: str
    name_en: str
    code_system: str
    own_limit: Limit | None = None
    conditions: Mapping[int, NewCondition] | None = None


@dataclass(slots=True, kw_only=True)
class CategoryTable:
    """What was read, with everything that is wrong with it."""

    categories: dict[str, NewCategory] = field(default_factory=dict)
    faults: list[SheetFault] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Codes of rows that are faults already: what hangs on them is not told once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """What the user declares about the tables."""

    columns: str = ""
    condition_columns: str = ""
    code_system: str | None = None
    units: Mapping[str, LimitUnit] = field(default_factory=dict)
    in_doubt: InDoubt = InDoubt.ASK


class _RefusedError(Exception):
    """What is wrong with a row, and in which of our columns."""

    def __init__(self, code: str, *columns: str, **params: str | int) -> None:
        super().__init__(code)
        self.code, self.columns, self.params = code, columns, params


@dataclass(frozen=True, slots=True)
class _Row:
    place: int
    values: Sequence[str]
    columns: Mapping[str, int]

    def get(self, name: str) -> str:
        return self.values[self.columns[name]] if name in self.columns else ""

    def plain(self, name: str) -> str:
        """A code, number or mark: full-width letters and digits are the same ones."""
        return unicodedata.normalize("NFKC", self.get(name)).strip()

    def name(self) -> tuple[str, str]:
        zh, en = self.get("name_zh"), self.get("name_en")
        # A table in one language is shown in that language rather than with a gap.
        zh, en = (zh or en).replace("_", " "), (en or zh).replace("_", " ")
        if any(len(name) > _LONGEST_NAME or not name.isprintable() for name in (zh, en)):
            raise _RefusedError("category.name_unusable", "name_zh", "name_en", value=zh[:40])
        return zh, en

    def limit(self, units: Mapping[str, LimitUnit]) -> LimitText | None:
        amount, unit = self.get("limit"), self.get("unit")
        if not amount:
            return None
        found = read_limit(amount, unit, units)
        if isinstance(found, LimitText):
            return found
        column = "limit" if found is LimitFault.UNREADABLE or not unit else "unit"
        raise _RefusedError(found.value, column, value=f"{amount}{unit}"[:40])


def read_categories(sheet: Sheet, conditions: Sheet | None, rules: ReadingRules) -> CategoryTable:
    """Read both tables; a row with a fault yields nothing but its fault.

    Raises
    ------
    BadInputError
        A column is missing or an option is wrong.
    """
    table = CategoryTable(faults=[*sheet.faults, *(conditions.faults if conditions else ())])
    columns = find_columns(sheet, "--map", rules.columns, CATEGORY_COLUMNS, ("code", "name_zh"))
    for row in _rows(sheet, columns):
        try:
            category = _category(row, rules)
            first = table.categories.setdefault(category.code, category)
            if first is not category:
                raise _RefusedError("category.code_repeated", "code", value=category.code, first=first.row)
        except _RefusedError as refused:
            table.faults.append(_fault(sheet, row, refused))
            if row.plain("code") not in table.categories:
                table.refused.add(row.plain("code"))
    of: dict[str, dict[int, NewCondition]] = defaultdict(dict)
    if conditions is not None:
        _read_conditions(conditions, rules, table, of)
    if not table.categories and not table.faults:
        table.faults.append(SheetFault(file=sheet.file, row=None, code="category.table_empty"))
    parents = {category.parent for category in table.categories.values()}
    for code, category in table.categories.items():
        own = _own(category, of.get(code), has_children=code in parents, is_complete=conditions is not None)
        chosen = own if own is None else choose_default(own, rules.in_doubt)
        table.categories[code] = replace(category, conditions=chosen)
    return table


def choose_default(conditions: Mapping[int, NewCondition], in_doubt: InDoubt) -> dict[int, NewCondition]:
    """Mark the condition that applies when a report names none.

    The rule: the one that the table marks; else the only one; else, where all limits are equal, the first, because the
    clock is beyond doubt; else none, and such a report waits for the desk (`InDoubt.ASK`), or the one with the shortest
    limit (`InDoubt.STRICTEST`).
    """
    chosen = next((number for number, each in conditions.items() if each.is_default), None)
    limits = {(each.limit.value, each.limit.unit) for each in conditions.values()}
    if chosen is None and conditions:
        if len(limits) == 1:
            chosen = min(conditions)
        elif in_doubt is InDoubt.STRICTEST:
            chosen = min(conditions, key=lambda number: (conditions[number].limit.span, number))
    return {number: replace(each, is_default=number == chosen) for number, each in sorted(conditions.items())}


def _own(
    category: NewCategory, given: Mapping[int, NewCondition] | None, *, has_children: bool, is_complete: bool
) -> Mapping[int, NewCondition] | None:
    if given:
        return given
    if category.own_limit is not None and not has_children:
        zh, en = GENERAL
        return {1: NewCondition(number=1, name_zh=zh, name_en=en, limit=category.own_limit)}
    return {} if is_complete else None


def _rows(sheet: Sheet, columns: Mapping[str, int]) -> Iterator[_Row]:
    return (_Row(place, values, columns) for place, values in sheet.rows)


def _fault(sheet: Sheet, row: _Row, refused: _RefusedError) -> SheetFault:
    known = (sheet.header[row.columns[name]] for name in refused.columns if name in row.columns)
    return SheetFault(file=sheet.file, row=row.place, code=refused.code, column=next(known, ""), params=refused.params)


def _category(row: _Row, rules: ReadingRules) -> NewCategory:
    written = row.plain("code")
    if not written:
        raise _RefusedError("category.code_missing", "code")
    kind = _kind(row.plain("kind"), written)
    code, parent = _code(written, kind, "code"), row.plain("parent")
    zh, en = row.name()
    if not zh:
        raise _RefusedError("category.name_missing", "name_zh", value=code)
    limit = row.limit(rules.units)
    return NewCategory(
        row=row.place,
        code=code,
        kind=kind,
        parent=_code(parent, kind, "parent") if parent else None,
        name_zh=zh,
        name_en=en,
        code_system=rules.code_system or row.get("code_system")[:_LONGEST_NAME] or "local",
        own_limit=limit.limit if limit else None,
    )


def _kind(word: str, code: str) -> str:
    kind = _KINDS.get(word.lower()) if word else _KINDS.get(code[:1].lower())
    if kind is None:
        raise _RefusedError("category.kind_unknown", "kind", "code", value=(word or code)[:40])
    return kind


def _code(text: str, kind: str, column: str) -> str:
    """Four digits mean one thing among parts and another among events, so bare digits get the letter of their kind."""
    if not _CODE.fullmatch(text):
        raise _RefusedError("category.code_unusable", column, value=text[:40])
    if _MADE.fullmatch(text):
        raise _RefusedError("category.code_reserved", column, value=text)
    return _LETTERS[kind] + text if text.isdigit() else text


def _read_conditions(
    sheet: Sheet, rules: ReadingRules, table: CategoryTable, of: dict[str, dict[int, NewCondition]]
) -> None:
    columns = find_columns(
        sheet, "--condition-map", rules.condition_columns, CONDITION_COLUMNS, ("category", "name_zh", "limit")
    )
    for row in _rows(sheet, columns):
        try:
            if row.plain("category") in table.refused:
                continue
            code = _category_of(row.plain("category"), table)
            condition = _condition(row, rules, default_number=len(of[code]) + 1)
            if condition.number in of[code]:
                raise _RefusedError("category.condition_repeated", "number", value=code, number=condition.number)
            if condition.is_default and any(each.is_default for each in of[code].values()):
                raise _RefusedError("category.default_repeated", "is_default", value=code, number=condition.number)
            of[code][condition.number] = condition
        except _RefusedError as refused:
            table.faults.append(_fault(sheet, row, refused))


def _category_of(text: str, table: CategoryTable) -> str:
    if not text:
        raise _RefusedError("category.code_missing", "category")
    if text in table.categories:
        return text
    found = [letter + text for letter in _LETTERS.values() if letter + text in table.categories]
    if len(found) == 1 and text.isdigit():
        return found[0]
    code = "category.code_ambiguous" if len(found) > 1 else "category.code_unknown"
    raise _RefusedError(code, "category", value=text[:40])


def _condition(row: _Row, rules: ReadingRules, *, default_number: int) -> NewCondition:
    zh, en = row.name()
    text, mark = row.plain("number"), row.plain("is_default").lower()
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) <= 32767):
        raise _RefusedError("category.number_unusable", "number", value=text[:40])
    if mark not in _YES and mark not in _NO:
        raise _RefusedError("category.mark_unusable", "is_default", value=mark[:40])
    limit = row.limit(rules.units)
    if limit is None:
        raise _RefusedError("category.limit_missing", "limit", value=zh[:40])
    if not zh:
        raise _RefusedError("category.name_missing", "name_zh", value=row.get("category")[:40])
    if limit.rest:
        # Words behind the limit say what it is for ("stop it within …"); they must not get lost.
        zh, en = f"{zh}（{limit.rest}）", f"{en} ({limit.rest})"
    number = int(text) if text else default_number
    return NewCondition(number=number, name_zh=zh, name_en=en, limit=limit.limit, is_default=mark in _YES)
