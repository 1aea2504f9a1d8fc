"""The administration pages, one module per matter; `/admin` leads to the first that somebody may open."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import require_person
from api.admin.frame import first_page_of
from api.container import Wired
from api.routes.admin import (
    accounts,
    audit,
    calendars,
    categories,
    category_import,
    departments,
    keys,
    ladders,
    matrix,
    office,
    people,
    person,
    post,
    posts,
    shifts,
    webhooks,
)
from api.routes.signing_in import go
from geo.errors import ForbiddenError, GridwardError

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/admin")
async def read_start(request: Request, container: Wired) -> Response:
    """Lead somebody to their first page."""
    found = await container.doorkeeper.identify(request)
    if isinstance(found, GridwardError):
        raise found
    first = None if found.must_change else first_page_of(found)
    if first is None:
        await require_person(request, container)
        raise ForbiddenError("access.scope_missing", scope="posts:write")
    return go(request, first)


_PEOPLE = (people, person, posts, post, shifts, departments, matrix, accounts)
_OFFICE = (categories, category_import, calendars, ladders, office)
for module in (*_PEOPLE, *_OFFICE, keys, webhooks, audit):
    router.include_router(module.router)
