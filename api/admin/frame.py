"""The frame of the administration pages: who sees which page, drawing one, and carrying out what its forms ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from api.access import require
from api.accounts.callers import Caller
from api.accounts.pages import home_of
from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import ACT, SEEN, Field, Form, Kind, body_of, fault_places, filled
from api.admin.inside import Answer, InsideError, ask, path_of
from api.admin.parts import Note, Page, Section, Table
from api.container import Container, Wired
from api.language import COOKIE, locale_of
from api.templating import render
from maps.i18n import LOCALES, Locale, catalogue, subset, translate

__all__ = ["MENU", "Builder", "add_page", "first_page_of"]

#: What the interface says when a version that was looked at is not the newest any more.
_CHANGED: Final = frozenset({"calendar.changed", "dispatch.version_conflict", "geo.draft_changed"})

Builder = Callable[[Desk], Awaitable[Page]]


#: What has no area: it is read by every administrator and changed by those of the whole office.
_WHOLE: Final = frozenset({Scope.GRID_WRITE})
_READS_RULES: Final = Scope.POSTS_WRITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A line of the side navigation; its text is ``admin.<key>.title``."""

    key: str
    path: str
    scope: Scope

    def is_for(self, caller: Caller) -> bool:
        """Whether somebody finds it there; what is of the whole office whoever keeps a part of it may read."""
        return self.scope in caller.scopes or (self.scope in _WHOLE and _READS_RULES in caller.scopes)


#: Groups of the side navigation, in the order in which an office is set up.
MENU: Final[tuple[tuple[str, tuple[Item, ...]], ...]] = (
    (
        "admin.menu.people",
        (
            Item(key="people", path="/admin/people", scope=Scope.POSTS_WRITE),
            Item(key="posts", path="/admin/posts", scope=Scope.POSTS_WRITE),
            Item(key="departments", path="/admin/departments", scope=Scope.POSTS_WRITE),
            Item(key="matrix", path="/admin/matrix", scope=Scope.POSTS_WRITE),
            Item(key="accounts", path="/admin/accounts", scope=Scope.PEOPLE_MANAGE),
        ),
    ),
    (
        "admin.menu.clocks",
        (
            Item(key="categories", path="/admin/categories", scope=Scope.GRID_WRITE),
            Item(key="calendars", path="/admin/calendars", scope=Scope.GRID_WRITE),
            Item(key="ladders", path="/admin/ladders", scope=Scope.POSTS_WRITE),
        ),
    ),
    (
        "admin.menu.office",
        (
            Item(key="profiles", path="/admin/profiles", scope=Scope.GRID_WRITE),
            Item(key="start_rules", path="/admin/start-rules", scope=Scope.GRID_WRITE),
            Item(key="repeat_rules", path="/admin/repeat-rules", scope=Scope.GRID_WRITE),
            Item(key="ledgers", path="/admin/ledgers", scope=Scope.GRID_WRITE),
        ),
    ),
    (
        "admin.menu.doors",
        (
            Item(key="keys", path="/admin/keys", scope=Scope.KEYS_MANAGE),
            Item(key="webhooks", path="/admin/webhooks", scope=Scope.WEBHOOKS_MANAGE),
        ),
    ),
    ("admin.menu.trail", (Item(key="audit", path="/admin/audit", scope=Scope.AUDIT_READ),)),
)


def first_page_of(caller: Caller) -> str | None:
    """Where the administration begins for somebody; None for whoever has nothing to do there."""
    return next((item.path for _, items in MENU for item in items if item.is_for(caller)), None)


def add_page(router: APIRouter, path: str, scope: Scope, build: Builder, *, is_whole: bool = False) -> None:
    """Serve a page: drawn on GET; on POST one of its forms is carried out and somebody led on.

    Parameters
    ----------
    is_whole
        What it shows has no area: administrators of an area read it, without its forms.
    """
    is_whole = is_whole or scope in _WHOLE

    async def serve(request: Request, container: Wired) -> Response:
        desk = await _desk(request, container)
        if is_whole and not desk.caller.office.is_everything:
            return await _show(desk, partial(_reading, build))
        return await (_carry_out(desk, build) if request.method == "POST" else _show(desk, build))

    router.add_api_route(
        path,
        serve,
        methods=["GET", "POST"],
        include_in_schema=False,
        dependencies=[Depends(require(scope, *((_READS_RULES,) if is_whole else ()), in_area=True))],
        name=f"admin:{path}",
    )


async def _reading(build: Builder, desk: Desk) -> Page:
    """A page of the whole office for whoever keeps a part of it: everything to read and nothing to change."""
    if desk.request.method == "POST":
        answer = Answer(status=403, code="access.whole_office_only", detail=desk.t("error.access.whole_office_only"))
        raise InsideError(answer)
    page = await build(desk)

    def section(one: Section) -> Section:
        table = one.table
        if table is not None:
            rows = tuple(tuple(replace(cell, forms=_shown(cell.forms)) for cell in row) for row in table.rows)
            table = replace(table, rows=rows)
        return replace(one, forms=_shown(one.forms), table=table)

    kept = tuple(
        each
        for each in map(section, page.sections)
        if any((each.forms, each.note, each.facts, each.table, each.links, each.search))
    )
    note = Section(id="whole", note=Note(text=desk.t("admin.whole_office", area=desk.area)))
    return replace(page, sections=(note, *kept))


def _shown(forms: tuple[Form, ...]) -> tuple[Form, ...]:
    """Forms that say what holds, to be read; those that add or take away have nothing to say."""
    return tuple(
        replace(
            form,
            is_only_read=True,
            fields=tuple(one for one in form.fields if _says_something(one)),
            rows=tuple(row for row in form.rows if any(map(_says_something, row))),
        )
        for form in forms
        if form.method in {"PUT", "PATCH"} and form.every_field() and not any(one.in_path for one in form.fields)
    )


def _says_something(one: Field) -> bool:
    return bool(one.value or one.values) or one.kind is Kind.CHECK


async def _desk(request: Request, container: Container) -> Desk:
    locale = locale_of(request)
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    caller = request.scope["gridward.caller"]
    assert isinstance(caller, Caller)  # `require` has let it pass
    return Desk(
        request=request,
        container=container,
        caller=caller,
        locale=locale,
        zone=ZoneInfo(jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"),
        place=jurisdiction.name(locale) if jurisdiction else "",
    )


async def _show(desk: Desk, build: Builder) -> Response:
    try:
        return _draw(desk, await build(desk))
    except InsideError as error:
        return _refuse(desk, error.answer)


async def _carry_out(desk: Desk, build: Builder) -> Response:
    # Left open, files that were sent would lie in the temporary folder until somebody collects them.
    async with desk.request.form() as typed:
        return await _answer(replace(desk, typed=typed), build, typed)


async def _answer(desk: Desk, build: Builder, typed: FormData) -> Response:
    try:
        page = await build(desk)
        form = next((one for one in page.forms() if one.name == typed.get(ACT)), None)
        if form is None:
            # The thing that the form was about is gone, or somebody else has done the same before.
            return _draw(desk, replace(page, problem=desk.t("admin.gone"), status=409))
        if form.seen and not form.is_versioned and typed.get(SEEN) != form.seen:
            return _draw(desk, _conflict(desk, page, form, typed))
        asked = filled(form, typed)
        answer, sent = await _send(desk, asked, typed)
        if answer.is_good:
            if form.draws is not None:
                return _draw(desk, replace(page, sections=(*form.draws(answer.body, sent), *page.sections)))
            once = form.shows(answer.body) if form.shows is not None else None
            if once is not None:
                # Shown once and nowhere else: a page that cannot be read again, because a password ended this very
                # session, must not swallow it.
                with suppress(InsideError):
                    page = await build(desk)
                return _draw(desk, replace(page, once=once))
            return _lead_on(desk, form, answer.body)
        if answer.code in _CHANGED:
            return _draw(desk, _conflict(desk, page, form, typed))
        return _draw(desk, _faulty(desk, page, asked, answer))
    except InsideError as error:
        return _refuse(desk, error.answer)


async def _send(desk: Desk, form: Form, typed: FormData) -> tuple[Answer, bytes]:
    parts = {one.name: one.value.strip() for one in form.fields if one.in_path}
    missing = {name: desk.t("error.request.missing", field=name) for name, text in parts.items() if not text}
    if missing:
        return Answer(status=422, code="request.missing", detail=next(iter(missing.values())), faults=missing), b""
    twice = {name: desk.t("admin.taken", code=text) for name, text in parts.items() if text in form.taken}
    if twice:
        return Answer(status=409, code="admin.taken", detail=next(iter(twice.values())), faults=twice), b""
    content = await form.reads(typed) if form.reads is not None else None
    if isinstance(content, Answer):
        return content, b""
    answer = await ask(
        desk.request,
        desk.locale,
        form.method,
        path_of(form.path, **parts) if parts else form.path,
        query=_query_of(form),
        body=body_of(form, desk.zone) if content is None and form.method not in {"GET", "DELETE"} else None,
        content=content,
        seen=str(typed.get(SEEN) or "") or None if form.is_versioned else None,
    )
    return answer, content[1] if content else b""


def _query_of(form: Form) -> dict[str, str]:
    said = {one.name: one for one in form.fields if one.in_query}
    ticked = {name: "true" if one.value else "false" for name, one in said.items() if one.kind is Kind.CHECK}
    return {**form.query, **{name: one.value.strip() for name, one in said.items()}, **ticked}


def _faulty(desk: Desk, page: Page, form: Form, answer: Answer) -> Page:
    """The page as it was typed, each fault beside its field."""
    places: dict[str, str] = {}
    if form.lists_faults is not None:
        others = tuple(form.lists_faults(pointer, text) for pointer, text in answer.faults.items())
    else:
        places, others = fault_places(form, answer.faults)
    problem = desk.wall_times(answer.detail) if not places or answer.code != "request.invalid" else ""
    others = tuple(map(desk.wall_times, others))

    def marked(one: Field) -> Field:
        text = desk.wall_times(places.get(one.name, ""))
        return replace(one, fault=one.in_words(text) if answer.code.startswith("request.") else text)

    again = replace(
        form,
        fields=tuple(map(marked, form.fields)),
        rows=tuple(tuple(map(marked, row)) for row in form.rows),
        problem=problem if problem not in map(desk.wall_times, places.values()) else "",
        others=tuple(text for text in others if text != problem),
        is_open=True,
    )
    return replace(_with(page, again), status=answer.status)


def _conflict(desk: Desk, page: Page, form: Form, typed: FormData) -> Page:
    """What was typed stays; beside each field that differs stands what somebody else has written meanwhile."""
    asked = filled(form, typed)

    def compared(mine: Field, theirs: Field) -> Field:
        if mine.value == theirs.value and mine.values == theirs.values:
            return mine
        return replace(mine, now=_said(theirs) or desk.t("admin.nothing"))

    again = replace(
        asked,
        fields=tuple(map(compared, asked.fields, form.fields)),
        rows=tuple(tuple(map(compared, mine, theirs)) for mine, theirs in _beside(asked.rows, form.rows)),
        problem=desk.t("admin.conflict"),
        is_open=True,
    )
    return replace(_with(page, again), status=409)


def _beside(
    mine: tuple[tuple[Field, ...], ...], theirs: tuple[tuple[Field, ...], ...]
) -> list[tuple[tuple[Field, ...], tuple[Field, ...]]]:
    """Each row with the one of the same place; with itself where there is none any more."""
    places = {row[0].name: row for row in theirs}
    return [(row, places.get(row[0].name, row)) for row in mine]


def _said(one: Field) -> str:
    named = {choice.value: choice.text for choice in one.choices}
    if one.kind is Kind.BOXES:
        return ", ".join(named.get(value, value) for value in one.values)
    return named.get(one.value, one.value)


def _with(page: Page, form: Form) -> Page:
    """The page with one of its forms exchanged."""

    def change(one: Form) -> Form:
        return form if one.name == form.name else one

    def section(one: Section) -> Section:
        table = one.table
        if table is not None:
            rows = tuple(
                tuple(replace(cell, forms=tuple(map(change, cell.forms))) for cell in row) for row in table.rows
            )
            table = Table(head=table.head, rows=rows, empty=table.empty)
        return replace(one, forms=tuple(map(change, one.forms)), table=table)

    return replace(page, sections=tuple(map(section, page.sections)))


def _lead_on(desk: Desk, form: Form, body: Any) -> Response:
    """Redirect after POST: going back and loading again sends nothing twice."""
    root = desk.request.scope.get("root_path", "")
    if form.leads_to is not None:
        to = form.leads_to(body)
    else:
        path = str(desk.request.scope["path"])
        to = path.removeprefix(root) if root and path.startswith(root) else path
    mark = "&" if "?" in to else "?"
    address, _, fragment = to.partition("#")
    done = f"{mark}{urlencode({'done': form.done.removeprefix('admin.done.')})}"
    return RedirectResponse(
        f"{root}{address}{done}" + (f"#{fragment}" if fragment else ""), 303, headers={"Cache-Control": "no-store"}
    )


def _refuse(desk: Desk, answer: Answer) -> Response:
    """A page for what cannot be read: it is not there, or not for this person."""
    status = 404 if answer.status == 422 else answer.status  # an address that can be no thing's
    missing = status == 404
    page = Page(
        key="",
        title=desk.t("admin.not_found" if missing else "admin.refused"),
        lead=desk.t("admin.not_found.hint") if missing else answer.detail,
        status=status,
    )
    return _draw(desk, page)


def _draw(desk: Desk, page: Page) -> Response:
    locale, request = desk.locale, desk.request
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    root = request.scope.get("root_path", "")
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in {"lang", "done"}]
    done = f"admin.done.{request.query_params.get('done', '')}"
    context = {
        "locale": locale,
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "other_query": urlencode([*kept, ("lang", other)]),
        "root": root,
        "here": request.scope["path"].removeprefix(root) if root else request.scope["path"],
        "place": desk.place,
        "person": desk.caller.name,
        "area": desk.area,
        "home": home_of(desk.caller),
        "menu": [
            (translate(locale, title), shown)
            for title, items in MENU
            if (
                shown := [
                    (item, translate(locale, f"admin.{item.key}.title")) for item in items if item.is_for(desk.caller)
                ]
            )
        ],
        "page": page,
        "done": translate(locale, done) if page.status == 200 and done in catalogue(locale) else "",
        "texts": subset(locale, "admin.") | subset(locale, "console."),
        "act": ACT,
        "seen": SEEN,
    }
    response = render("admin_page.html", context, locale=locale, status=page.status)
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
    return response
