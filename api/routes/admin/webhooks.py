"""Webhooks: where events are sent to, with which secrets, what came of it, and doing it again."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Blank, Choice, Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Facts, Link, Note, Page, Search, Section, Table

__all__ = ["router"]

router = APIRouter()

_MARKS: Final = {"active": "good", "paused": "off", "parked": "late", "gone": "late"}
_RESULTS: Final = {"delivered": "good", "waiting": "soon", "failed": "late"}
_PER_PAGE: Final = 50


async def _webhooks(desk: Desk) -> Page:
    hooks = (await desk.get("/v1/webhooks"))["webhooks"]
    channels = (await desk.get("/v1/channels"))["channels"]
    head = tuple(desk.t(f"admin.webhooks.{key}") for key in ("url", "channel", "types", "state", "last_success"))
    rows = tuple(
        (
            Cell(text=one["url"], under=one["description"], to=path_of("/admin/webhooks/{webhook}", webhook=one["id"])),
            Cell(text=one["channel"] or desk.t("admin.webhooks.every_channel"), is_typed=bool(one["channel"])),
            Cell(text=", ".join(one["types"]) or desk.t("admin.webhooks.every_type"), is_typed=False),
            _state(desk, one),
            Cell(text=desk.local(one["last_success_at"]) or "–", is_number=True, is_typed=False),
        )
        for one in hooks
    )
    new = Form(
        name="make",
        legend=desk.t("admin.webhooks.make"),
        button=desk.t("admin.webhooks.make"),
        hint=desk.t("admin.webhooks.make.hint"),
        method="POST",
        path="/v1/webhooks",
        is_open=False,
        fields=(
            *_asked(desk, {"url": "", "description": "", "types": []}),
            desk.field(
                "channel",
                "admin.webhooks.channel",
                Kind.CHOICE,
                choices=(
                    Choice(value="", text=desk.t("admin.webhooks.every_channel")),
                    *(Choice(value=one["code"], text=f"{one['name']} ({one['code']})") for one in channels),
                ),
            ),
        ),
        shows=lambda body: (desk.t("admin.webhooks.once"), str(body["secret"])),
    )
    return Page(
        key="webhooks",
        title=desk.t("admin.webhooks.title"),
        lead=desk.t("admin.webhooks.lead"),
        sections=(
            Section(id="webhooks", table=Table(head=head, rows=rows, empty=desk.t("admin.webhooks.none"))),
            Section(id="new", forms=(new,)),
        ),
    )


def _asked(desk: Desk, one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        desk.field("url", "admin.webhooks.url", value=one["url"], is_required=True, most=2000),
        desk.field("description", "admin.webhooks.description", value=one["description"], most=200, blank=Blank.KEEP),
        desk.field("types", "admin.webhooks.types", Kind.LINES, value="\n".join(one["types"])),
    )


def _state(desk: Desk, one: dict[str, Any]) -> Cell:
    """Whether it is sent to, in shape and word; and why not."""
    under = desk.t("admin.webhooks.failures", count=one["failures"]) if one["failures"] else ""
    text = desk.t(f"admin.webhooks.state.{one['status']}")
    return Cell(text=text, mark="soon" if under and one["status"] == "active" else _MARKS[one["status"]], under=under)


async def _webhook(desk: Desk) -> Page:
    number = desk.at("webhook")
    one = await desk.get("/v1/webhooks/{webhook}", webhook=number)
    url = path_of("/v1/webhooks/{webhook}", webhook=number)
    state = one["status"]
    return Page(
        key="webhooks",
        title=one["description"] or one["url"],
        back=Link(text=desk.t("admin.webhooks.title"), to="/admin/webhooks"),
        sections=(
            Section(
                id="facts",
                facts=_facts(desk, one),
                note=None if state == "active" else Note(text=desk.t(f"admin.webhooks.why.{state}"), tone="warn"),
                forms=_acts(desk, one, url),
            ),
            await _log(desk, url),
            Section(id="change", forms=(_change(desk, one, url), _secret(desk, one, url), _remove(desk, url))),
        ),
    )


def _facts(desk: Desk, one: dict[str, Any]) -> Facts:
    channel = Cell(text=one["channel"] or desk.t("admin.webhooks.every_channel"), is_typed=bool(one["channel"]))
    items = [
        (desk.t("admin.webhooks.url"), Cell(text=one["url"])),
        (desk.t("admin.webhooks.channel"), channel),
        (
            desk.t("admin.webhooks.types"),
            Cell(text=", ".join(one["types"]) or desk.t("admin.webhooks.every_type"), is_typed=False),
        ),
        (desk.t("admin.webhooks.state"), _state(desk, one)),
        (desk.t("admin.webhooks.secrets"), Cell(text=str(one["secrets"]), is_typed=False)),
    ]
    items += [
        (desk.t(f"admin.webhooks.{name.removesuffix('_at')}"), Cell(text=desk.local(one[name]), is_typed=False))
        for name in ("last_success_at", "next_attempt_at", "stopped_at")
        if one[name]
    ]
    return Facts(items=tuple(items))


def _acts(desk: Desk, one: dict[str, Any], url: str) -> tuple[Form, ...]:
    def plain(name: str, method: str, path: str, **base: str) -> Form:
        return Form(
            name=name,
            legend="",
            button=desk.t(f"admin.webhooks.{name}"),
            method=method,
            path=path,
            base=base,
            is_plain=True,
            done=f"admin.done.webhook_{name}",
        )

    test = plain("test", "POST", f"{url}:test")
    if one["status"] != "active":
        return test, plain("resume", "PATCH", url, status="active")
    pause = plain("pause", "PATCH", url, status="paused")
    return (test, pause, plain("skip", "POST", f"{url}:skip")) if one["failures"] else (test, pause)


async def _log(desk: Desk, url: str) -> Section:
    status, before = desk.asked("status"), desk.asked("before")
    found = await desk.find(f"{url}/deliveries", query={"status": status, "before": before, "limit": _PER_PAGE})
    body = found.body if found.is_good else {"deliveries": [], "next": None}
    head = (*(desk.t(f"admin.webhooks.{key}") for key in ("when", "what", "result", "answer", "took")), "")
    kept = desk.kept("status")
    return Section(
        id="log",
        title=desk.t("admin.webhooks.log"),
        hint=desk.t("admin.webhooks.log.hint"),
        search=Search(
            form=desk.search(
                desk.field(
                    "status",
                    "admin.webhooks.result",
                    Kind.CHOICE,
                    value=status,
                    choices=desk.choices("admin.webhooks.result.", tuple(_RESULTS), none="admin.any"),
                )
            ),
            is_narrowed=bool(status),
        ),
        note=None if found.is_good else Note(text=found.detail, tone="warn"),
        table=Table(
            head=head,
            rows=tuple(_delivery(desk, row, url) for row in body["deliveries"]),
            empty=desk.t("admin.webhooks.log.none"),
        ),
        following=f"?{urlencode({**kept, 'before': body['next']})}" if body["next"] else "",
        first=f"?{urlencode(kept)}" if before else "",
    )


def _delivery(desk: Desk, row: dict[str, Any], url: str) -> tuple[Cell, ...]:
    again = Form(
        name=f"replay-{row['id']}",
        legend="",
        button=desk.t("admin.webhooks.replay"),
        method="POST",
        path=path_of(url + "/deliveries/{delivery}:replay", delivery=row["id"]),
        is_plain=True,
        done="admin.done.webhook_replay",
    )
    can_replay = row["kind"] != "test" and row["status"] != "waiting"
    answer = str(row["http_status"]) if row["http_status"] else ""
    return (
        Cell(text=desk.local(row["created_at"]), is_number=True, is_typed=False),
        Cell(text=row["type"], under=desk.t(f"admin.webhooks.kind.{row['kind']}"), is_typed=False),
        Cell(
            text=desk.t(f"admin.webhooks.result.{row['status']}"),
            mark=_RESULTS[row["status"]],
            under=desk.t("admin.webhooks.attempt", number=row["attempt"]) if row["attempt"] else "",
            is_typed=False,
        ),
        Cell(text=answer or ("–" if not row["error"] else ""), under=row["error"] or ""),
        Cell(text=f"{row['duration_ms']} ms" if row["duration_ms"] is not None else "–", is_number=True),
        Cell(forms=(again,) if can_replay else ()),
    )


def _change(desk: Desk, one: dict[str, Any], url: str) -> Form:
    return Form(
        name="change",
        legend=desk.t("admin.webhooks.change"),
        button=desk.t("admin.save"),
        method="PATCH",
        path=url,
        is_open=False,
        fields=_asked(desk, one),
    )


def _secret(desk: Desk, one: dict[str, Any], url: str) -> Form:
    return Form(
        name="secret",
        legend=desk.t("admin.webhooks.rotate"),
        button=desk.t("admin.webhooks.rotate"),
        hint=desk.t("admin.webhooks.rotate.hint", count=one["secrets"]),
        method="POST",
        path=f"{url}/secrets",
        is_open=False,
        fields=(desk.field("old_valid_s", "admin.webhooks.old_valid", Kind.WHOLE, value="86400", is_short=True),),
        shows=lambda body: (desk.t("admin.webhooks.once"), str(body["secret"])),
    )


def _remove(desk: Desk, url: str) -> Form:
    return Form(
        name="remove",
        legend=desk.t("admin.webhooks.remove"),
        button=desk.t("admin.webhooks.remove"),
        hint=desk.t("admin.webhooks.remove.hint"),
        method="DELETE",
        path=url,
        is_open=False,
        leads_to=lambda _: "/admin/webhooks",
        done="admin.done.removed",
    )


add_page(router, "/admin/webhooks", Scope.WEBHOOKS_MANAGE, _webhooks)
add_page(router, "/admin/webhooks/{webhook}", Scope.WEBHOOKS_MANAGE, _webhook)
