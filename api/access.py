"""Who may pass: a dependency per scope, and which moves somebody makes on which cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request

from api.accounts.callers import Caller
from api.accounts.doorkeeper import is_local
from api.accounts.roles import OFFICE_SCOPES, ROLES, Role, Scope, makers_of
from api.container import Container, container_of
from dispatch.belonging import Belonging, find_belongings, find_leg_department
from dispatch.joint import LegMove, may_leg
from dispatch.workflow import Line, Move
from geo.errors import BadInputError, ForbiddenError, GridwardError, NotFoundError
from geo.storage.uow import WriteUnit, act_as_service

__all__ = ["allow_leg_move", "allow_move", "allow_moves", "is_local", "possible_for", "require", "require_person"]


def require(
    scope: Scope, *others: Scope, again: bool = False, in_area: bool = False
) -> Callable[..., Awaitable[Caller]]:
    """Make a dependency that lets callers with a scope pass.

    Parameters
    ----------
    others
        Each of these is enough as well.
    again
        Look the caller up anew each time it is called: for requests that wait.
    in_area
        Of the scopes that keep the office: whoever holds one in an area passes as well, because what is behind this
        door looks at the area itself. Left out, only those without a limit pass.
    """

    async def _caller(request: Request, container: Annotated[Container, Depends(container_of)]) -> Caller:
        if again:
            container.doorkeeper.forget(request)
        caller = await _known(request, container)
        held = caller.scopes & {scope, *others}
        if not held:
            if caller.kind == "operator":
                # Nobody in particular has asked: a key, or signing in, may do what this machine alone may not.
                raise BadInputError("access.key_required")
            raise ForbiddenError("access.scope_missing", scope=scope.value)
        if held <= OFFICE_SCOPES and not in_area and not caller.office.is_everything:
            raise ForbiddenError("access.whole_office_only")
        return caller

    return _caller


async def require_person(request: Request, container: Annotated[Container, Depends(container_of)]) -> Caller:
    """Let somebody who is signed in pass, whatever they may do; a dependency."""
    found = await container.doorkeeper.identify(request)
    if isinstance(found, GridwardError):
        raise found
    if found.kind != "person":
        raise ForbiddenError("access.person_needed")
    return found


async def _known(request: Request, container: Container) -> Caller:
    found = await container.doorkeeper.identify(request)
    if isinstance(found, GridwardError):
        raise found
    if found.must_change:
        raise ForbiddenError("access.password_change_needed")
    return found


async def allow_move(
    unit: WriteUnit, container: Container, caller: Caller, move: Move, ref: str, into: str | None = None
) -> None:
    """Let a caller make a move, or say why not; from here on the transaction has the service's rights.

    Parameters
    ----------
    into
        Another case that the move concerns; it must be in sight as well.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``: there is no such case, or not for this caller.
    BadInputError
        ``dispatch.into_unknown``: the same of the other case.
    ForbiddenError
        ``access.move_not_yours``, naming whose move it is.
    """
    refused = await allow_moves(unit, container, caller, move, [ref, *([into] if into else [])])
    if ref in refused:
        raise refused[ref]
    for other, error in refused.items():
        if isinstance(error, NotFoundError):
            raise BadInputError("dispatch.into_unknown", pointer="/into", case=other[:80])
        raise error


async def allow_moves(
    unit: WriteUnit, container: Container, caller: Caller, move: Move, refs: Sequence[str]
) -> Mapping[str, NotFoundError | ForbiddenError]:
    """Which of these cases a caller may not move, and why; the transaction has the service's rights afterwards."""
    seen = await find_belongings(unit, refs)
    reference = await container.reference.get()
    refused: dict[str, NotFoundError | ForbiddenError] = {}
    for ref in refs:
        if ref not in seen or caller.sees_channel not in {None, seen[ref].channel}:
            refused[ref] = NotFoundError("dispatch.case_not_found", case=ref[:80])
            continue
        line = reference.profile(container.settings.jurisdiction, seen[ref].cells).line
        if not caller.may_move(seen[ref], move, line):
            refused[ref] = _not_yours(move.value, makers_of(move, line))
    await act_as_service(unit)
    return refused


async def allow_leg_move(unit: WriteUnit, caller: Caller, move: LegMove, ref: str, number: int) -> None:
    """Let a caller move a leg of a joint case: a department's people only their own; otherwise as `allow_move`.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``.
    ForbiddenError
        ``access.move_not_yours``.
    """
    seen = (await find_belongings(unit, [ref])).get(ref)
    if seen is None or caller.sees_channel not in {None, seen.channel}:
        raise NotFoundError("dispatch.case_not_found", case=ref[:80])
    if caller.kind == "person":
        department = await find_leg_department(unit, ref, number)
        # A leg that is not there is told by the move itself.
        of_leg = replace(seen, departments=(department,) if department else seen.departments)
        held = [role.value for role in caller.roles_for(of_leg)]
        if not may_leg(held, move):
            raise _not_yours(move.value, [role for role in ROLES if may_leg([role.value], move)])
    await act_as_service(unit)


def _not_yours(move: str, roles: Sequence[Role]) -> ForbiddenError:
    return ForbiddenError("access.move_not_yours", move=move, roles=[role.value for role in roles])


def possible_for(caller: Caller, case: Belonging, moves: Sequence[Move], line: Line) -> tuple[Move, ...]:
    """Those of these moves that the caller makes on a case."""
    return tuple(move for move in moves if caller.may_move(case, move, line))
