"""Which department a (cell, category) belongs to: rule "route-1", pure. SQL says the same: ``dispatch.route``.

A rule written for a cell holds for its subtree, one for a class for its minor classes. The deepest cell wins, then the
deepest class; a territorial fallback owner (属地兜底) answers only where no rule does. The cell goes before the class,
because a rule of one cell is written as an exception from what holds everywhere: a mall that looks after everything
inside it needs one line, not one for each class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

__all__ = ["RULE", "Department", "Mode", "Route", "RouteTable", "RoutingRule", "parse_route", "route_json"]

RULE: Final = "route-1"
"""Name of the tie rule, kept with every decision."""
_MOST_CLASSES = 8
_MOST_ORDERS = 100_000


class Mode(StrEnum):
    """What a department has to do with a case: it leads, it assists the grid head, or it is what is left."""

    LEAD = "lead"
    ASSIST = "assist"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A line department (条)."""

    code: str
    name_zh: str
    name_en: str
    is_active: bool = True

    def name(self, locale: str) -> str:
        """Name in the caller's language."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """A line of the matrix. An empty cell means everywhere, an empty category any. Boundary: ``[since, until)``."""

    id: int
    cell_code: str
    category_code: str
    department_code: str
    mode: Mode
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The department of a (cell, category), and the line of the matrix that says so."""

    rule_id: int
    mode: Mode
    department: Department
    cell_code: str
    category_code: str

    @property
    def leading(self) -> str | None:
        """Code of the department whose handler is asked before the territory's heads."""
        return self.department.code if self.mode is Mode.LEAD else None


@dataclass(slots=True)
class RouteTable:
    """The whole matrix, ready to be asked. ``parents`` leads from a class to its major class."""

    rules: Iterable[RoutingRule]
    parents: Mapping[str, str | None]
    departments: Mapping[str, Department]
    _placed: dict[tuple[str, str, bool], list[RoutingRule]] = field(default_factory=dict)
    _orders: dict[tuple[tuple[str, ...], str], tuple[RoutingRule, ...]] = field(default_factory=dict)
    #: One object for each rule: whoever keeps what follows from it compares it by its id.
    _made: dict[int, Route] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the rules by what they are written for."""
        for rule in self.rules:
            if self.departments[rule.department_code].is_active:
                key = (rule.cell_code, rule.category_code, rule.mode is Mode.FALLBACK)
                self._placed.setdefault(key, []).append(rule)

    def find(self, path: Sequence[str], category: str, at: datetime) -> Route | None:
        """The department that a category belongs to in a cell (given by its path of codes).

        Cost: one look into a dictionary, after the first question about a cell and a category.
        """
        if not self._placed:
            return None
        key = (tuple(path), category)
        order = self._orders.get(key)
        if order is None:
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            order = self._orders[key] = tuple(self._order(key[0], category))
        for rule in order:
            if rule.since <= at < rule.until:
                return self._route(rule)
        return None

    def _order(self, path: tuple[str, ...], category: str) -> Iterator[RoutingRule]:
        """The rules that may hold, the one that wins first."""
        classes: list[str] = []
        name: str | None = category
        while name is not None and name in self.parents and len(classes) < _MOST_CLASSES:
            classes.append(name)
            name = self.parents[name]
        classes.append("")
        cells = (*reversed(path), "")
        for cell in cells:
            for kind in classes:
                yield from self._placed.get((cell, kind, False), ())
        for cell in cells:
            yield from self._placed.get((cell, "", True), ())

    def _route(self, rule: RoutingRule) -> Route:
        route = self._made.get(rule.id)
        if route is None:
            route = self._made[rule.id] = Route(
                rule_id=rule.id,
                mode=rule.mode,
                department=self.departments[rule.department_code],
                cell_code=rule.cell_code,
                category_code=rule.category_code,
            )
        return route


def route_json(route: Route | None) -> dict[str, Any] | None:
    """The decision as the case's history keeps it; names as they were on that day."""
    if route is None:
        return None
    return {
        "rule": RULE,
        "rule_id": route.rule_id,
        "mode": route.mode.value,
        "department": route.department.code,
        "name_zh": route.department.name_zh,
        "name_en": route.department.name_en,
        "cell_code": route.cell_code,
        "category_code": route.category_code,
    }


def parse_route(kept: Mapping[str, Any] | None) -> Route | None:
    """Read a decision back."""
    if not kept:
        return None
    return Route(
        rule_id=kept["rule_id"],
        mode=Mode(kept["mode"]),
        department=Department(code=kept["department"], name_zh=kept["name_zh"], name_en=kept["name_en"]),
        cell_code=kept["cell_code"],
        category_code=kept["category_code"],
    )
