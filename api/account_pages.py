"""What people with a browser see instead of an error that is about who they are; and what all account pages share."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.accounts.callers import Caller
from api.accounts.pages import home_of, is_page_request, sign_in_address
from api.language import locale_of
from api.templating import render
from geo.errors import GridwardError
from maps.i18n import Locale, subset, translate

__all__ = ["page_context", "page_instead"]


def page_instead(request: Request, error: GridwardError) -> Response | None:
    """The sign-in page for whoever is not known, a page in words for whoever may not; None for programs."""
    if not error.code.startswith("access.") or not is_page_request(request):
        return None
    if error.code in {"access.key_required", "access.key_unknown"}:
        return RedirectResponse(sign_in_address(request), 303, headers={"Cache-Control": "no-store"})
    root = request.scope.get("root_path", "")
    if error.code == "access.password_change_needed":
        return RedirectResponse(f"{root}/account", 303, headers={"Cache-Control": "no-store"})
    if error.code not in {"access.scope_missing", "access.person_needed"}:
        return None
    locale = locale_of(request)
    caller = request.scope.get("gridward.caller")
    context = page_context(request, locale) | {
        "home": home_of(caller) if isinstance(caller, Caller) else "/",
        "is_person": isinstance(caller, Caller) and caller.kind == "person",
        "detail": translate(locale, "account.forbidden.hint"),
    }
    return render("forbidden.html", context, locale=locale, status=403)


def page_context(request: Request, locale: Locale) -> dict[str, Any]:
    """What every page of accounts is given."""
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    texts = subset(locale, "sign_in.") | subset(locale, "account.") | subset(locale, "role.")
    texts |= subset(locale, "admin.title")
    return {
        "locale": locale,
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "root": request.scope.get("root_path", ""),
        "texts": texts | subset(locale, "console."),
    }
