"""Roles: what each may ask for, and which moves of a case it makes. Pure; drawn in docs/access.md.

Source: the roles of grid management (docs/glossary.md). Which post makes which move is the workflow's own table; here
stands only which post a role is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from dispatch.guards import may
from dispatch.workflow import TRANSITIONS, Line, Move

__all__ = [
    "DEFAULT_SCOPES",
    "FIELD_ROLES",
    "OFFICE_SCOPES",
    "ROLES",
    "Role",
    "Scope",
    "granted_scopes",
    "may_make",
    "moves_of",
    "scopes_of",
]


class Scope(StrEnum):
    """What a caller may ask for."""

    REPORTS_CREATE = "reports:create"
    CASES_READ = "cases:read"
    CASES_READ_ALL = "cases:read_all"
    CASES_MOVE = "cases:move"
    MAPS_READ = "maps:read"
    LOCATE = "locate"
    GRID_READ = "grid:read"
    GRID_WRITE = "grid:write"
    WEBHOOKS_MANAGE = "webhooks:manage"
    PEOPLE_MANAGE = "people:manage"
    KEYS_MANAGE = "keys:manage"
    POSTS_READ = "posts:read"
    POSTS_WRITE = "posts:write"
    FIELD_TOKENS = "field:tokens"
    WALL_READ = "wall:read"
    REPORTERS_REVEAL = "reporters:reveal"
    AUDIT_READ = "audit:read"


#: Keeping the office itself. Whoever holds one of these in an area keeps that area, at the doors that know areas; every
#: other door asks for the whole office (`api.access.require`).
OFFICE_SCOPES: Final = frozenset(
    {
        Scope.GRID_WRITE,
        Scope.WEBHOOKS_MANAGE,
        Scope.PEOPLE_MANAGE,
        Scope.KEYS_MANAGE,
        Scope.POSTS_WRITE,
        Scope.AUDIT_READ,
    }
)

DEFAULT_SCOPES: Final = (Scope.REPORTS_CREATE, Scope.CASES_READ, Scope.LOCATE)


class Role(StrEnum):
    """Who somebody is in the office."""

    ADMINISTRATOR = "administrator"
    SHIFT_LEADER = "shift_leader"
    DISPATCHER = "dispatcher"
    ACCEPTOR = "acceptor"
    GRID_HEAD = "grid_head"
    GRID_WORKER = "grid_worker"
    DEPARTMENT_HANDLER = "department_handler"
    EVALUATOR = "evaluator"
    PLANNER = "planner"
    LEADER = "leader"


#: Who works out there; their own page is the field page.
FIELD_ROLES: Final = frozenset({Role.GRID_HEAD, Role.GRID_WORKER, Role.DEPARTMENT_HANDLER})


ROLES: Final = tuple(Role)

_LOOK: Final = frozenset(
    {Scope.CASES_READ, Scope.CASES_READ_ALL, Scope.MAPS_READ, Scope.LOCATE, Scope.GRID_READ, Scope.POSTS_READ}
)
_WORK: Final = _LOOK | {Scope.CASES_MOVE}
_SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    Role.ADMINISTRATOR: _LOOK | OFFICE_SCOPES,
    # Who speaks with reporters: those who take reports in and call back. Never whoever handles the case.
    Role.SHIFT_LEADER: _WORK | {Scope.REPORTERS_REVEAL},
    Role.DISPATCHER: _WORK,
    Role.ACCEPTOR: _WORK | {Scope.REPORTERS_REVEAL},
    Role.GRID_HEAD: _WORK,
    Role.GRID_WORKER: _WORK,
    Role.DEPARTMENT_HANDLER: _WORK,
    Role.EVALUATOR: _WORK,
    # Cells and squares, never points: a planner's counts come in steps of five, and no single case is in sight.
    Role.PLANNER: frozenset({Scope.MAPS_READ, Scope.LOCATE, Scope.GRID_READ, Scope.POSTS_READ}),
    Role.LEADER: _WORK,
}


def scopes_of(roles: Iterable[Role]) -> frozenset[Scope]:
    """What these roles together may ask for."""
    return frozenset().union(*(_SCOPES[role] for role in roles))


def granted_scopes(role: Role, *, is_limited: bool) -> frozenset[Scope]:
    """What a role may ask for where it is held; the grid, classes, calendars and profiles are never of an area.

    Examples
    --------
    >>> Scope.GRID_WRITE in granted_scopes(Role.ADMINISTRATOR, is_limited=True)
    False
    """
    return _SCOPES[role] - ({Scope.GRID_WRITE} if is_limited else frozenset())


def may_make(roles: Iterable[Role], move: Move, line: Line = Line.FULL) -> bool:
    """Whether one of these roles makes a move, by the workflow's own table.

    An administrator makes no moves, and a planner only looks: the table knows no such posts.

    Examples
    --------
    >>> may_make([Role.GRID_HEAD], Move.ACKNOWLEDGE), may_make([Role.GRID_HEAD], Move.CLOSE)
    (True, False)
    """
    return may((role.value for role in roles), move, line)


def moves_of(role: Role) -> tuple[Move, ...]:
    """The moves of a role, in the order of the workflow's table."""
    return tuple(row.move for row in TRANSITIONS if row.sources and may_make([role], row.move))


def makers_of(move: Move, line: Line = Line.SHORT) -> tuple[Role, ...]:
    """The roles that make a move on a line."""
    return tuple(role for role in ROLES if may_make([role], move, line))
