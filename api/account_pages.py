"""What people with a browser see instead of a problem document; and what all account pages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.accounts.callers import Caller
from api.accounts.pages import home_of, is_page_request, sign_in_address
from api.language import locale_of
from api.templating import render
from geo.errors import GridwardError
from maps.i18n import Locale, catalogue, subset, translate

__all__ = ["error_page", "page_context", "page_instead"]

#: Statuses that have a heading and a way out of their own; the others share those of their hundred.
_NAMED: Final = frozenset({403, 404, 413, 429, 503})
#: Doors for programs that a curious person may open in a browser: the answer stays what the door's standard says.
_DATA: Final = ("/ogc", "/open311", "/metrics")


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
    return error_page(request, 403, translate(locale_of(request), "account.forbidden.hint"))


def error_page(request: Request, status: int, detail: str | None, faults: Sequence[str] = ()) -> Response | None:
    """Say to somebody with a browser what happened, what is kept and where to go; None for programs.

    Nothing is read from the database: it may be what has failed.

    Parameters
    ----------
    detail
        What happened, if more is known than the status.
    """
    # As the routes see it: a proxy may or may not leave the root in front.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if not is_page_request(request) or path.startswith(_DATA):
        return None
    locale = locale_of(request)
    caller = request.scope.get("gridward.caller")
    name = str(status) if status in _NAMED else ("5xx" if status >= 500 else "4xx")
    known = catalogue(locale)
    context = page_context(request, locale) | {
        "status": status,
        "heading": known[f"account.error.{name}"] if status != 403 else known["account.forbidden.title"],
        "detail": detail or known.get(f"account.error.{name}.hint", ""),
        "faults": faults,
        "home": home_of(caller) if isinstance(caller, Caller) else "/",
        "again": f"?{request.url.query}" if status in {413, 429} or status >= 500 else None,
        "is_person": status == 403 and isinstance(caller, Caller) and caller.kind == "person",
    }
    return render("error.html", context, locale=locale, status=status)


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
