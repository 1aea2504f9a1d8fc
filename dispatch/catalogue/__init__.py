"""Gridward's own default catalogue of categories, filing conditions and limits.

A city that has its own table imports that; this one lets an office start on the first day. Major classes of parts
(P) and events (E) follow the national scheme; minor classes, conditions and limits are this project's defaults, and
local minor classes count down from 99. Social-governance classes (S) stand beside them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

from dispatch.deadlines import Limit, LimitUnit

CODE_SYSTEM = "gridward"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueCategory:
    """A major class (no parent) or a minor class; only minor classes are reported."""

    code: str
    parent: str | None
    kind: str
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueCondition:
    """A filing condition of a minor class; the limit belongs to the pair."""

    category: str
    number: int
    name_zh: str
    name_en: str
    limit: Limit
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Categories with parents before their children, and their conditions."""

    code_system: str
    categories: tuple[CatalogueCategory, ...]
    conditions: tuple[CatalogueCondition, ...]


@lru_cache(maxsize=1)
def load_default() -> Catalogue:
    """Return the default catalogue.

    Examples
    --------
    The limit belongs to the condition, not to the category alone:

    >>> covers = [c for c in load_default().conditions if c.category == "P0101"]
    >>> [(c.name_en, str(c.limit.value), c.limit.unit.value) for c in covers][:2]
    [('Missing or displaced', '2', 'urgent_hour'), ('Broken', '4', 'working_hour')]
    """
    categories = tuple(
        CatalogueCategory(
            code=row["code"],
            parent=row["parent"] or None,
            kind=row["kind"],
            name_zh=row["name_zh"],
            name_en=row["name_en"],
        )
        for row in _rows("default.csv")
    )
    conditions = tuple(
        CatalogueCondition(
            category=row["category"],
            number=int(row["number"]),
            name_zh=row["name_zh"],
            name_en=row["name_en"],
            limit=Limit(value=Decimal(row["limit_value"]), unit=LimitUnit(row["limit_unit"])),
            is_default=row["is_default"] == "yes",
        )
        for row in _rows("default_conditions.csv")
    )
    return Catalogue(code_system=CODE_SYSTEM, categories=categories, conditions=conditions)


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader((files(__name__) / name).read_text(encoding="utf-8").splitlines())
