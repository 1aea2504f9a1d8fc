"""Which changes over HTTP leave a record, decided in one place: a route that is added later is not forgotten.

The record is written in the request's own transaction, after the handler and before the commit. Of the body nothing is
kept: it may hold what does not belong into a trail, and the thing itself keeps its versions.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request

from api.accounts.callers import Caller
from api.accounts.roles import Role
from api.audit.trail import Kind, record
from geo.storage.uow import WriteUnit

__all__ = ["kind_of", "note_change"]

#: Drawing a draft changes nothing for anybody; what it becomes is recorded when it is activated.
_DRAWING: Final = ("/operations", "/undo", "/redo")
_CASES: Final = ("/v1/cases/", "/v1/reports", "/v1/field/")


def kind_of(path: str, *, by_administrator: bool) -> Kind | None:
    """What a change under a path is recorded as; None for what is not.

    Examples
    --------
    >>> kind_of("/v1/ladders/3", by_administrator=True), kind_of("/v1/grid/versions/2/activate", by_administrator=True)
    (<Kind.SETTINGS_CHANGED: 'settings.changed'>, <Kind.GRID_ACTIVATED: 'grid.activated'>)
    >>> kind_of("/v1/cases/20260301-0000001/moves", by_administrator=False) is None
    True
    """
    if not path.startswith("/v1/"):
        return None
    if path.startswith(_CASES):
        # Everybody's moves stand in the case's own history; an administrator has no business there, so it is told.
        return Kind.CASE_MOVED if by_administrator else None
    if path.startswith("/v1/grid/"):
        if path.endswith("/activate"):
            return Kind.GRID_ACTIVATED
        return None if path.endswith(_DRAWING) else Kind.GRID_CHANGED
    return Kind.SETTINGS_CHANGED


async def note_change(request: Request, unit: WriteUnit, caller: Caller | None) -> None:
    """Record what a request has changed, if that is to be recorded."""
    if caller is None:
        return
    path = request.url.path
    kind = kind_of(path, by_administrator=Role.ADMINISTRATOR in caller.roles)
    if kind is not None:
        await record(unit, kind, path.removeprefix("/v1/"), actor=caller.actor, method=request.method)
