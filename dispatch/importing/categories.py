"""A source's categories and ours: the same codes, a table, or classes made on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.importing.delimited import open_delimited
from dispatch.importing.placing import PlacedRow
from dispatch.importing.storage import ensure_categories, list_category_codes
from geo.errors import BadInputError
from geo.storage.uow import WriteUnit, read_unit

AUTO, CODES = "auto", "codes"


@dataclass(slots=True, kw_only=True)
class Categories:
    """Maps the source's word to our code.

    Parameters
    ----------
    made_for
        Channel for which unknown words become categories; None when they are refused.
    table
        What is known so far.
    added
        How many categories were made.
    """

    made_for: str | None
    table: dict[str, str]
    added: int = 0

    def knows(self, name: str) -> bool:
        """Whether a row with this word can be taken."""
        return self.made_for is not None or name in self.table

    async def codes(self, unit: WriteUnit, rows: Sequence[PlacedRow]) -> dict[str, str]:
        """Return the table, with every word of this batch in it; new categories belong to the batch's transaction."""
        names = list(dict.fromkeys(placed.row.category for placed in rows))
        if self.made_for is not None and any(name not in self.table for name in names):
            self.table, added = await ensure_categories(unit, self.made_for, names)
            self.added += added
        return self.table


async def open_categories(engine: AsyncEngine, how: str, channel: str) -> Categories:
    """Prepare the mapping: ``codes`` (the column holds our codes), ``auto``, or the path of a CSV ``source,code``.

    Raises
    ------
    BadInputError
        ``import.category_unknown`` when the table names a code that does not exist; faults of the table's file.
    """
    if how == AUTO:
        return Categories(made_for=channel, table={})
    async with read_unit(engine) as unit:
        codes = await list_category_codes(unit)
    if how == CODES:
        return Categories(made_for=None, table={code: code for code in codes})
    table = _read_table(Path(how))
    for code in table.values():
        if code not in codes:
            raise BadInputError("import.category_unknown", value=code[:80])
    return Categories(made_for=None, table=table)


def _read_table(path: Path) -> dict[str, str]:
    file = open_delimited(path)
    if "source" not in file.header or "code" not in file.header:
        raise BadInputError(
            "import.column_missing", column="source, code", field="--category-map", columns=", ".join(file.header)
        )
    source, code = file.header.index("source"), file.header.index("code")
    table = {}
    for record in file.records():
        if record.fault is not None:
            raise BadInputError("import.file_unreadable", reason=f"{path.name}:{record.line}")
        table[record.values[source].strip()] = record.values[code].strip()
    return table
