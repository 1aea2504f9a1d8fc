"""What importing a table of categories would change: the difference between what is there and what shall be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dispatch.deadlines import Limit
from dispatch.importing.category_rows import NewCategory, NewCondition
from dispatch.importing.sheets import SheetFault

SHIPPED = "gridward"


class ChangeKind(StrEnum):
    """Kinds of change, in the order of the report."""

    ADDED = "added"
    REACTIVATED = "reactivated"
    RENAMED = "renamed"
    MOVED = "moved"
    CONDITION_ADDED = "condition_added"
    CONDITION_RENAMED = "condition_renamed"
    LIMIT_CHANGED = "limit_changed"
    DEFAULT_CHANGED = "default_changed"
    CONDITION_REMOVED = "condition_removed"
    CONDITION_KEPT = "condition_kept"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCategory:
    """A class as the database has it; ``used`` are the numbers of conditions that cases refer to."""

    code: str
    kind: str
    parent: str | None
    name_zh: str
    name_en: str
    code_system: str
    is_active: bool
    conditions: Mapping[int, NewCondition]
    used: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change. ``old`` and ``new`` are names, codes, condition numbers or limits, whatever the kind speaks of."""

    kind: ChangeKind
    code: str
    number: int | None = None
    old: str | Limit | None = None
    new: str | Limit | None = None


def find_changes(
    new: Mapping[str, NewCategory], stored: Mapping[str, StoredCategory], *, deactivate_missing: bool
) -> list[Change]:
    """Return all changes in order of the codes.

    A class that the table does not have is deactivated on request only, and only when it belongs to one of the table's
    code systems or to the shipped catalogue: what an import of reports has made stays.
    """
    changes: list[Change] = []
    for code, category in sorted(new.items()):
        changes += _of_category(category, stored.get(code))
    if deactivate_missing:
        systems = {category.code_system for category in new.values()} | {SHIPPED}
        changes += (
            Change(kind=ChangeKind.DEACTIVATED, code=code, old=each.name_zh)
            for code, each in sorted(stored.items())
            if code not in new and each.is_active and each.code_system in systems
        )
    return changes


def check_tree(file: str, new: Mapping[str, NewCategory], stored: Mapping[str, StoredCategory]) -> list[SheetFault]:
    """Find parents that nobody has, and classes that are their own ancestor."""
    parents = {code: each.parent for code, each in stored.items()} | {code: each.parent for code, each in new.items()}
    faults = []
    for code, category in new.items():
        if category.parent is None:
            continue
        if category.parent not in parents:
            params = {"value": code, "parent": category.parent}
            faults.append(SheetFault(file=file, row=category.row, code="category.parent_unknown", params=params))
        elif _is_own_ancestor(code, parents):
            faults.append(SheetFault(file=file, row=category.row, code="category.own_ancestor", params={"value": code}))
    return faults


def _is_own_ancestor(code: str, parents: Mapping[str, str | None]) -> bool:
    seen: set[str] = set()
    step = parents.get(code)
    while step is not None and step not in seen:
        if step == code:
            return True
        seen.add(step)
        step = parents.get(step)
    return False


def _of_category(new: NewCategory, old: StoredCategory | None) -> Iterator[Change]:
    if old is None:
        yield Change(kind=ChangeKind.ADDED, code=new.code, new=new.name_zh)
        return
    if not old.is_active:
        yield Change(kind=ChangeKind.REACTIVATED, code=new.code, new=new.name_zh)
    if (old.name_zh, old.name_en) != (new.name_zh, new.name_en):
        is_chinese = old.name_zh != new.name_zh
        before, after = (old.name_zh, new.name_zh) if is_chinese else (old.name_en, new.name_en)
        yield Change(kind=ChangeKind.RENAMED, code=new.code, old=before, new=after)
    if (old.kind, old.parent, old.code_system) != (new.kind, new.parent, new.code_system):
        yield Change(
            kind=ChangeKind.MOVED,
            code=new.code,
            old=f"{old.kind} {old.parent or '–'} {old.code_system}",
            new=f"{new.kind} {new.parent or '–'} {new.code_system}",
        )
    if new.conditions is not None:
        yield from _of_conditions(new.code, new.conditions, old)


def _of_conditions(code: str, new: Mapping[int, NewCondition], old: StoredCategory) -> Iterator[Change]:
    for number, condition in new.items():
        before = old.conditions.get(number)
        if before is None:
            yield Change(kind=ChangeKind.CONDITION_ADDED, code=code, number=number, new=condition.name_zh)
            continue
        if (before.name_zh, before.name_en) != (condition.name_zh, condition.name_en):
            yield Change(
                kind=ChangeKind.CONDITION_RENAMED, code=code, number=number, old=before.name_zh, new=condition.name_zh
            )
        if before.limit != condition.limit:
            yield Change(kind=ChangeKind.LIMIT_CHANGED, code=code, number=number, old=before.limit, new=condition.limit)
    for number in sorted(old.conditions.keys() - new.keys()):
        # A condition that cases refer to stays readable; it is only no default any more.
        kind = ChangeKind.CONDITION_KEPT if number in old.used else ChangeKind.CONDITION_REMOVED
        yield Change(kind=kind, code=code, number=number, old=old.conditions[number].name_zh)
    before_default, after_default = _default(old.conditions), _default(new)
    if before_default != after_default:
        yield Change(
            kind=ChangeKind.DEFAULT_CHANGED,
            code=code,
            old=str(before_default or "–"),
            new=str(after_default or "–"),
        )


def _default(conditions: Mapping[int, NewCondition]) -> int | None:
    return next((number for number, each in conditions.items() if each.is_default), None)
