"""The links to frozen maps that work: as a page for people, as data for programs, and ending one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from api.accounts.callers import Caller
from api.accounts.doorkeeper import is_own_origin
from api.accounts.pages import is_page_request
from api.accounts.roles import Scope
from api.answers import json_answer
from api.container import Container, Wired
from api.language import locale_of
from api.map_shares import Share, end_share, list_shares, maker_of
from api.rendering import instant
from api.routes.planner import Planner
from api.routes.signing_in import go
from api.templating import render
from geo.errors import ForbiddenError, NotFoundError
from geo.storage.uow import read_unit, write_unit
from maps.i18n import Locale, subset, translate

router = APIRouter(include_in_schema=False)


@router.get("/maps/shares")
async def read_shares(request: Request, container: Wired, caller: Planner) -> Response:
    """The links that work: one's own, and for administrators all."""
    async with read_unit(container.control) as unit:
        shares = await list_shares(unit, container.settings.jurisdiction, created_by=_owner(caller))
    if is_page_request(request):
        return await _page(request, container, caller, shares)
    body = [
        {
            "id": str(share.id),
            "kind": share.kind,
            "title": share.title,
            "query": share.query,
            "scope": share.scope.value,
            "created_by": share.created_by,
            "created_at": instant(share.created_at),
            "expires_at": instant(share.expires_at),
        }
        for share in shares
    ]
    return json_answer({"shares": body}, locale=locale_of(request), Cache_Control="no-store")


async def _page(request: Request, container: Container, caller: Caller, shares: Any) -> Response:
    locale = locale_of(request)
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    zone = ZoneInfo(jurisdiction.time_zone if jurisdiction else "Asia/Shanghai")
    context = {
        "locale": locale,
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "other_query": f"lang={other}",
        "root": request.scope.get("root_path", ""),
        "texts": subset(locale, "planner.")
        | subset(locale, "console.")
        | {key: translate(locale, key) for key in ("measures.heading", "rates.heading")},
        "title": translate(locale, "planner.shares.title"),
        "place": jurisdiction.name(locale) if jurisdiction else "",
        "here": "shares",
        "sees_cases": Scope.CASES_READ_ALL in caller.scopes,
        "is_done": request.query_params.get("done") == "ended",
        "rows": [_row(share, locale, zone, caller) for share in shares],
    }
    return render("shares.html", context, locale=locale)


def _row(share: Share, locale: Locale, zone: ZoneInfo, caller: Caller) -> dict[str, Any]:
    made_by = "mine" if share.created_by == maker_of(caller) else "other"
    return {
        "id": str(share.id),
        "title": share.title,
        "now": f"/maps/{share.kind}?{share.query}",
        "scope": translate(locale, f"planner.share.{share.scope.value}"),
        "made": share.created_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        "by": translate(locale, f"planner.shares.{made_by}"),
        "until": share.expires_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
    }


@router.post("/maps/shares/{share}/end")
async def end_from_page(request: Request, container: Wired, caller: Planner, share: UUID) -> Response:
    """End a link by the button of its row; one that has ended meanwhile has ended."""
    with suppress(NotFoundError):
        await _end(request, container, caller, share)
    return go(request, "/maps/shares?done=ended")


@router.delete("/maps/shares/{share}")
async def delete_share(request: Request, container: Wired, caller: Planner, share: UUID) -> Response:
    """End a link now."""
    await _end(request, container, caller, share)
    return Response(status_code=204)


async def _end(request: Request, container: Container, caller: Caller, share: UUID) -> None:
    if not is_own_origin(request, container.settings.public_url):
        raise ForbiddenError("access.foreign_origin")
    async with write_unit(container.control) as unit:
        await end_share(unit, container.settings.jurisdiction, share, created_by=_owner(caller))


def _owner(caller: Caller) -> str | None:
    return None if Scope.PEOPLE_MANAGE in caller.scopes and caller.office.is_everything else maker_of(caller)
