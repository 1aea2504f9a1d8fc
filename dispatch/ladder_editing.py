"""Editing ladders: what a rung may be, new versions, planned versions taken back. Versions in force never change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, TypeVar

import psycopg

from dispatch.deadlines import Limit, LimitUnit
from dispatch.escalation import Basis, EndsWith, EscalationRung, LadderRung, Scope, Target
from dispatch.queries import database_now
from dispatch.storage.escalation import ladder_rows
from geo.errors import BadInputError, ConflictError, Fault, InvalidRequestError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

_Word = TypeVar("_Word", bound=StrEnum)

__all__ = ["MOST_RUNGS", "LadderDraft", "add_ladder", "get_ladder", "list_ladders", "read_rungs", "withdraw_ladder"]

MOST_RUNGS: Final = 20
#: A year and a half of working days: later than any deadline matters.
_LONGEST_AFTER: Final = Decimal(400)
_CODE: Final = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
_TRUE: Final = frozenset({"true", "yes", "1", "是", "y"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderDraft:
    """A version to be added. ``effective_from`` None means now; no rungs withdraws the scope."""

    scope: Scope
    rungs: tuple[LadderRung, ...]
    effective_from: datetime | None = None
    note: str = ""
    by: str = ""


def read_rungs(rows: Sequence[Mapping[str, Any]]) -> tuple[LadderRung, ...]:
    """Read rungs as they come from a request or a table; every value may be text.

    Raises
    ------
    InvalidRequestError
        All faults at once, each with its place: ``/rungs/2/share``.
    """
    faults: list[Fault] = []
    if len(rows) > MOST_RUNGS:
        faults.append(Fault(code="ladder.too_many", pointer="/rungs", params={"most": MOST_RUNGS}))
    found: list[LadderRung] = []
    for place, row in enumerate(rows[:MOST_RUNGS]):
        reader = _Reader(row, place, faults)
        rung = reader.read()
        if any(rung.code == other.code for other in found):
            reader.fault("code", "ladder.code_taken", code=rung.code)
        found.append(rung)
    if faults:
        raise InvalidRequestError(faults)
    return tuple(found)


class _Reader:
    """Reads one rung and collects what is wrong with it."""

    def __init__(self, row: Mapping[str, Any], place: int, faults: list[Fault]) -> None:
        self._row, self._place, self._faults = row, place, faults

    def fault(self, name: str, error: str, **params: Any) -> None:
        self._faults.append(Fault(code=error, pointer=f"/rungs/{self._place}/{name}", params=params))

    def read(self) -> LadderRung:
        code = self._text("code")
        if not _CODE.match(code) or code == EscalationRung.NOW:
            self.fault("code", "ladder.bad_code", code=code[:60])
        basis = self._one_of("basis", Basis, Basis.AFTER_DUE)
        return LadderRung(
            code=code,
            basis=basis,
            target=self._one_of("target", Target, Target.OWNER),
            share=self._share(basis),
            after=self._after(basis),
            ends_with=self._one_of("ends_with", EndsWith, EndsWith.HANDLED, default=EndsWith.HANDLED),
            in_bulletin=self._text("in_bulletin").lower() in _TRUE,
            name_zh=self._text("name_zh")[:100],
            name_en=self._text("name_en")[:100],
        )

    def _text(self, name: str) -> str:
        value = self._row.get(name)
        return "" if value is None else str(value).strip()

    def _one_of(self, name: str, kind: type[_Word], instead: _Word, default: _Word | None = None) -> _Word:
        text = self._text(name)
        if not text and default is not None:
            return default
        try:
            return kind(text)
        except ValueError:
            self.fault(name, "ladder.not_one_of", value=text[:60], known=", ".join(kind))
            return instead

    def _number(self, name: str) -> Decimal | None:
        try:
            value = Decimal(self._text(name) or "0")
        except InvalidOperation:
            return None
        return value if value.is_finite() else None

    def _share(self, basis: Basis) -> Decimal:
        share = self._number("share")
        fits = share is not None and (0 < share < 1 if basis is Basis.SHARE else share == 0)
        # As many digits as the column keeps: what is read back is what was written.
        if share is None or not fits or share != round(share, 5):
            self.fault("share", "ladder.bad_share" if basis is Basis.SHARE else "ladder.needless", basis=basis.value)
            return Decimal("0.5")
        return share

    def _after(self, basis: Basis) -> Limit:
        value = self._number("after_value")
        unit = self._one_of("after_unit", LimitUnit, LimitUnit.WORKING_DAY, default=LimitUnit.WORKING_DAY)
        is_sound = value is not None and 0 <= value <= _LONGEST_AFTER and value == round(value, 2)
        if value is None or not is_sound:
            self.fault("after_value", "ladder.bad_after", most=int(_LONGEST_AFTER))
            return Limit(value=0, unit=unit)
        if value and basis is not Basis.AFTER_DUE:
            self.fault("after_value", "ladder.needless", basis=basis.value)
        return Limit(value=value, unit=unit)


async def list_ladders(unit: Unit, jurisdiction: str, at: datetime, *, history: bool = False) -> list[dict[str, Any]]:
    """Versions of the shipped ladders and of a jurisdiction's, each with what it is at an instant.

    ``status`` is ``planned``, ``in_force`` or ``past``.

    Parameters
    ----------
    history
        Past versions too.
    """
    rows = [row for row in await ladder_rows(unit) if row["jurisdiction"] in ("", jurisdiction)]
    newest: dict[Scope, int] = {}
    for row in rows:
        if row["effective_from"] <= at:
            newest[_scope(row)] = row["id"]
    for row in rows:
        row["status"] = "planned" if row["effective_from"] > at else "past"
        if newest.get(_scope(row)) == row["id"]:
            row["status"] = "in_force"
    return [row for row in rows if history or row["status"] != "past"]


def _scope(row: Mapping[str, Any]) -> Scope:
    return Scope(jurisdiction=row["jurisdiction"], cell_code=row["cell_code"], category=row["category"])


async def get_ladder(unit: Unit, ladder_id: int, jurisdiction: str, at: datetime) -> dict[str, Any]:
    """One version.

    Raises
    ------
    NotFoundError
        ``ladder.not_found``.
    """
    for row in await list_ladders(unit, jurisdiction, at, history=True):
        if row["id"] == ladder_id:
            return row
    raise NotFoundError("ladder.not_found", id=ladder_id)


async def add_ladder(unit: WriteUnit, draft: LadderDraft) -> int:
    """Add a version; it applies to clocks that begin from its instant on, never to those that run.

    Raises
    ------
    BadInputError
        ``ladder.in_the_past``, ``ladder.unknown_category``, ``ladder.unknown_subdistrict``.
    ConflictError
        ``ladder.same_instant``.
    """
    now = await database_now(unit)
    effective_from = draft.effective_from or now
    if effective_from < now:
        raise BadInputError("ladder.in_the_past", pointer="/effective_from", at=effective_from.isoformat())
    driver = await unit.driver()
    await _check_scope(unit, draft.scope)
    scope = draft.scope
    try:
        async with driver.transaction():
            row = await (
                await driver.execute(
                    "INSERT INTO dispatch.ladder (jurisdiction, cell_code, category, effective_from, made_by, note)"
                    " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                    (scope.jurisdiction, scope.cell_code, scope.category, effective_from, draft.by, draft.note),
                )
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConflictError("ladder.same_instant", pointer="/effective_from", at=effective_from.isoformat()) from None
    assert row is not None
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO dispatch.ladder_rung (ladder_id, code, position, basis, share, after_value, after_unit,"
            " target, ends_with, in_bulletin, name_zh, name_en)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (row[0], rung.code, place, rung.basis.value, rung.share, rung.after.value, rung.after.unit.value,
                 rung.target.value, rung.ends_with.value, rung.in_bulletin, rung.name_zh, rung.name_en)
                for place, rung in enumerate(draft.rungs, start=1)
            ],
        )  # fmt: skip
    return int(row[0])


async def _check_scope(unit: Unit, scope: Scope) -> None:
    driver = await unit.driver()
    if scope.category:
        found = await driver.execute("SELECT FROM dispatch.category WHERE code = %s", (scope.category,))
        if found.rowcount == 0:
            raise BadInputError("ladder.unknown_category", pointer="/category", category=scope.category)
    if scope.cell_code:
        found = await driver.execute(
            "SELECT FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id"
            " WHERE v.jurisdiction = %s AND c.level = 1 AND c.code = %s LIMIT 1",
            (scope.jurisdiction, scope.cell_code),
        )
        if found.rowcount == 0:
            raise BadInputError("ladder.unknown_subdistrict", pointer="/subdistrict", cell=scope.cell_code)


async def withdraw_ladder(unit: WriteUnit, ladder_id: int, jurisdiction: str) -> None:
    """Take back a version that is not in force yet.

    Raises
    ------
    ConflictError
        ``ladder.in_force``: what has applied stays; add a version instead.
    NotFoundError
        ``ladder.not_found``.
    """
    row = await get_ladder(unit, ladder_id, jurisdiction, await database_now(unit))
    if row["status"] != "planned":
        raise ConflictError("ladder.in_force", id=ladder_id)
    driver = await unit.driver()
    await driver.execute("DELETE FROM dispatch.ladder WHERE id = %s", (ladder_id,))
