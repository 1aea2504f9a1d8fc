"""What an office decides about its own work: profiles, repeat rules, start rules of channels, ledgers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Field, Form, Kind, state_of
from api.admin.frame import add_page
from api.admin.inside import Answer, InsideError, path_of
from api.admin.parts import Cell, Facts, Link, Page, Section, Table

__all__ = ["router"]

router = APIRouter()
_ALL = "all"
_STAGES = ("accept", "verify", "dispatch", "acknowledge", "check", "supervision")
_REPEAT = ("radius_m", "window_hours", "site_count", "site_days", "look_back_days")


def _missing() -> InsideError:
    return InsideError(Answer(status=404, code="http.404"))


async def _profiles(desk: Desk) -> Page:
    body = await desk.get("/v1/profiles")
    written = {one["subdistrict"] or _ALL: one for one in body["profiles"]}
    rows = [
        (
            Cell(
                text=_whom(desk, code),
                to=path_of("/admin/profiles/{code}", code=code),
                under="" if code == _ALL else code,
            ),
            Cell(text=one["line_name"], is_typed=False),
            Cell(text=desk.t("admin.yes" if one["dispatches_itself"] else "admin.no"), is_typed=False),
            *(Cell(text=str(one[f"{stage}_minutes"]), is_number=True) for stage in _STAGES),
        )
        for code, one in written.items()
    ]
    if _ALL not in written:
        default = body["default"]
        rows.insert(
            0,
            (
                Cell(text=desk.t("admin.profiles.shipped"), to=f"/admin/profiles/{_ALL}", is_typed=False),
                Cell(text=default["line_name"], is_typed=False),
                Cell(text=desk.t("admin.yes" if default["dispatches_itself"] else "admin.no"), is_typed=False),
                *(Cell(text=str(default[f"{stage}_minutes"]), is_number=True) for stage in _STAGES),
            ),
        )
    head = (
        *(desk.t(f"admin.profiles.{key}") for key in ("for", "line", "itself")),
        *(desk.t(f"admin.profiles.{stage}.short") for stage in _STAGES),
    )
    where = desk.field("subdistrict", "admin.profiles.subdistrict", is_required=True, most=40, in_path=True)
    new = Form(
        name="add",
        legend=desk.t("admin.profiles.add"),
        button=desk.t("admin.save"),
        method="PUT",
        path="/v1/profiles/{subdistrict}",
        is_open=False,
        fields=(where, *_profile_fields(desk, body["default"])),
        taken=frozenset(written),
        leads_to=lambda _: "/admin/profiles",
    )
    return Page(
        key="profiles",
        title=desk.t("admin.profiles.title"),
        lead=desk.t("admin.profiles.lead"),
        sections=(
            Section(id="new", forms=(new,)),
            Section(id="profiles", table=Table(head=head, rows=tuple(rows), empty="")),
        ),
    )


def _whom(desk: Desk, code: str) -> str:
    return desk.t("admin.everywhere") if code == _ALL else code


def _profile_fields(desk: Desk, profile: dict[str, Any]) -> tuple[Field, ...]:
    lines = desk.choices("line.", ("full", "short"))
    itself = "true" if profile["dispatches_itself"] else ""
    return (
        desk.field("line", "admin.profiles.line", Kind.CHOICE, value=profile["line"], choices=lines),
        desk.field("dispatches_itself", "admin.profiles.itself", Kind.CHECK, value=itself),
        *(
            desk.field(
                f"{stage}_minutes",
                f"admin.profiles.{stage}",
                Kind.WHOLE,
                value=str(profile[f"{stage}_minutes"]),
                is_required=True,
                is_short=True,
            )
            for stage in _STAGES
        ),
    )


async def _profile(desk: Desk) -> Page:
    code = desk.at("subdistrict")
    body = await desk.get("/v1/profiles")
    own = next((one for one in body["profiles"] if (one["subdistrict"] or _ALL) == code), None)
    if own is None and code != _ALL:
        raise _missing()
    url = path_of("/v1/profiles/{code}", code=code)
    change = Form(
        name="change",
        legend=desk.t("admin.profiles.change"),
        button=desk.t("admin.save"),
        method="PUT",
        path=url,
        hint=desk.t("admin.profiles.hint"),
        fields=_profile_fields(desk, own or body["default"]),
        seen=state_of(own),
        leads_to=lambda _: "/admin/profiles",
    )
    drop = _drop(desk, url, "admin.profiles", "/admin/profiles")
    return Page(
        key="profiles",
        title=desk.t("admin.profiles.of", place=_whom(desk, code)),
        back=Link(text=desk.t("admin.profiles.title"), to="/admin/profiles"),
        sections=(Section(id="profile", forms=(change, *((drop,) if own else ()))),),
    )


def _drop(desk: Desk, url: str, key: str, to: str) -> Form:
    return Form(
        name="drop",
        legend=desk.t("admin.remove"),
        button=desk.t("admin.remove"),
        method="DELETE",
        path=url,
        hint=desk.t(f"{key}.drop.hint"),
        is_open=False,
        leads_to=lambda _: to,
        done="admin.done.removed",
    )


async def _repeat_rules(desk: Desk) -> Page:
    rules = (await desk.get("/v1/repeat-rules"))["rules"]
    rows = tuple(
        (
            Cell(
                text=one["name"] if one["category"] else desk.t("admin.every_class"),
                to=path_of("/admin/repeat-rules/{code}", code=one["category"] or _ALL),
                under=one["category"] or "",
            ),
            *(Cell(text=str(one[name]), is_number=True) for name in _REPEAT),
            Cell(text=desk.t("admin.yes" if one["with_siblings"] else "admin.no"), is_typed=False),
        )
        for one in rules
    )
    head = tuple(desk.t(f"admin.repeat_rules.{name}") for name in ("category", *_REPEAT, "with_siblings"))
    general = next((one for one in rules if not one["category"]), None)
    which = desk.field("category", "admin.category_code", is_required=True, most=40, in_path=True)
    new = Form(
        name="add",
        legend=desk.t("admin.repeat_rules.add"),
        button=desk.t("admin.save"),
        method="PUT",
        path="/v1/repeat-rules/{category}",
        is_open=False,
        fields=(which, *_repeat_fields(desk, general)),
        taken=frozenset(one["category"] for one in rules if one["category"]),
        leads_to=lambda _: "/admin/repeat-rules",
    )
    return Page(
        key="repeat_rules",
        title=desk.t("admin.repeat_rules.title"),
        lead=desk.t("admin.repeat_rules.lead"),
        sections=(
            Section(id="new", forms=(new,)),
            Section(id="rules", table=Table(head=head, rows=rows, empty=desk.t("admin.repeat_rules.none"))),
        ),
    )


def _repeat_fields(desk: Desk, rule: dict[str, Any] | None) -> tuple[Field, ...]:
    with_siblings = "true" if rule is None or rule["with_siblings"] else ""
    return (
        *(
            desk.field(
                name,
                f"admin.repeat_rules.{name}",
                Kind.WHOLE,
                value=str(rule[name]) if rule else "",
                is_short=True,
            )
            for name in _REPEAT
        ),
        desk.field("with_siblings", "admin.repeat_rules.with_siblings", Kind.CHECK, value=with_siblings),
    )


async def _repeat_rule(desk: Desk) -> Page:
    code = desk.at("category")
    rules = (await desk.get("/v1/repeat-rules"))["rules"]
    own = next((one for one in rules if (one["category"] or _ALL) == code), None)
    if own is None:
        raise _missing()
    url = path_of("/v1/repeat-rules/{code}", code=code)
    change = Form(
        name="change",
        legend=desk.t("admin.repeat_rules.change"),
        button=desk.t("admin.save"),
        method="PUT",
        path=url,
        hint=desk.t("admin.repeat_rules.hint"),
        fields=_repeat_fields(desk, own),
        seen=state_of(own),
        leads_to=lambda _: "/admin/repeat-rules",
    )
    drop = _drop(desk, url, "admin.repeat_rules", "/admin/repeat-rules")
    return Page(
        key="repeat_rules",
        title=desk.t("admin.repeat_rules.of", name=own["name"] if own["category"] else desk.t("admin.every_class")),
        back=Link(text=desk.t("admin.repeat_rules.title"), to="/admin/repeat-rules"),
        sections=(Section(id="rule", forms=(change, *(() if code == _ALL else (drop,)))),),
    )


async def _start_rules(desk: Desk) -> Page:
    channels = (await desk.get("/v1/channels"))["channels"]
    rules = desk.choices("admin.start_rules.", ("dispatch", "next_day"))

    def row(one: dict[str, Any]) -> tuple[Cell, ...]:
        change = Form(
            name=f"channel-{one['code']}",
            legend="",
            button=desk.t("admin.save"),
            method="PATCH",
            path=path_of("/v1/channels/{code}", code=one["code"]),
            fields=(
                desk.field("name_zh", "admin.name_zh", value=one["name_zh"], most=80, is_required=True),
                desk.field("name_en", "admin.name_en", value=one["name_en"], most=80),
                desk.field("start_rule", "admin.start_rules.rule", Kind.CHOICE, value=one["start_rule"], choices=rules),
            ),
            seen=state_of(one),
            is_plain=True,
        )
        return Cell(text=one["name"], under=one["code"]), Cell(forms=(change,))

    head = (desk.t("admin.start_rules.channel"), desk.t("admin.start_rules.rule"))
    rows = tuple(row(one) for one in channels)
    return Page(
        key="start_rules",
        title=desk.t("admin.start_rules.title"),
        lead=desk.t("admin.start_rules.lead"),
        sections=(Section(id="channels", table=Table(head=head, rows=rows, empty=desk.t("admin.start_rules.none"))),),
    )


async def _ledgers(desk: Desk) -> Page:
    ledgers = (await desk.get("/v1/ledgers"))["ledgers"]
    rows = tuple(
        (
            Cell(text=one["name_zh"], to=path_of("/admin/ledgers/{code}", code=one["code"])),
            Cell(text=one["name_en"] or "–"),
            Cell(text=one["code"], is_number=True),
            _use(desk, one),
        )
        for one in ledgers
    )
    head = (desk.t("admin.name_zh"), desk.t("admin.name_en"), desk.t("admin.ledgers.code"), desk.t("admin.state"))
    code = desk.field("code", "admin.ledgers.code", is_required=True, most=40, in_path=True)
    new = Form(
        name="add",
        legend=desk.t("admin.ledgers.add"),
        button=desk.t("admin.ledgers.add"),
        method="PUT",
        path="/v1/ledgers/{code}",
        is_open=False,
        fields=(code, *_ledger_fields(desk, None)),
        taken=frozenset(one["code"] for one in ledgers),
        done="admin.done.added",
    )
    return Page(
        key="ledgers",
        title=desk.t("admin.ledgers.title"),
        lead=desk.t("admin.ledgers.lead"),
        sections=(
            Section(id="new", forms=(new,)),
            Section(id="ledgers", table=Table(head=head, rows=rows, empty=desk.t("admin.ledgers.none"))),
        ),
    )


def _use(desk: Desk, one: dict[str, Any]) -> Cell:
    is_active = one["is_active"]
    return Cell(
        text=desk.t("admin.in_use" if is_active else "admin.out_of_use"),
        mark="good" if is_active else "off",
        is_typed=False,
    )


def _ledger_fields(desk: Desk, one: dict[str, Any] | None) -> tuple[Field, ...]:
    named = one or {"name_zh": "", "name_en": "", "is_active": True}
    in_use = "true" if named["is_active"] else ""
    return (
        desk.field("name_zh", "admin.name_zh", value=named["name_zh"], is_required=True, most=80),
        desk.field("name_en", "admin.name_en", value=named["name_en"], most=80),
        desk.field("is_active", "admin.ledgers.is_active", Kind.CHECK, value=in_use),
    )


async def _ledger(desk: Desk) -> Page:
    code = desk.at("code")
    ledgers = (await desk.get("/v1/ledgers"))["ledgers"]
    own = next((one for one in ledgers if one["code"] == code), None)
    if own is None:
        raise _missing()
    change = Form(
        name="change",
        legend=desk.t("admin.ledgers.change"),
        button=desk.t("admin.save"),
        method="PUT",
        path=path_of("/v1/ledgers/{code}", code=code),
        fields=_ledger_fields(desk, own),
        seen=state_of(own),
        leads_to=lambda _: "/admin/ledgers",
    )
    facts = Facts(items=((desk.t("admin.ledgers.code"), Cell(text=code)), (desk.t("admin.state"), _use(desk, own))))
    return Page(
        key="ledgers",
        title=own["name_zh"],
        back=Link(text=desk.t("admin.ledgers.title"), to="/admin/ledgers"),
        sections=(Section(id="ledger", facts=facts, forms=(change,)),),
    )


add_page(router, "/admin/profiles", Scope.GRID_WRITE, _profiles)
add_page(router, "/admin/profiles/{subdistrict}", Scope.GRID_WRITE, _profile)
add_page(router, "/admin/repeat-rules", Scope.GRID_WRITE, _repeat_rules)
add_page(router, "/admin/repeat-rules/{category}", Scope.GRID_WRITE, _repeat_rule)
add_page(router, "/admin/start-rules", Scope.GRID_WRITE, _start_rules)
add_page(router, "/admin/ledgers", Scope.GRID_WRITE, _ledgers)
add_page(router, "/admin/ledgers/{code}", Scope.GRID_WRITE, _ledger)
