"""Channels and keys: who may send and read from outside, with which rights, and when a key was last used."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from api.accounts.roles import DEFAULT_SCOPES, Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Form, Kind
from api.admin.frame import add_page
from api.admin.inside import path_of
from api.admin.parts import Cell, Facts, Link, Note, Page, Section, Table

__all__ = ["router"]

router = APIRouter()

_MARKS: Final = {"live": "good", "expired": "off", "revoked": "off"}
#: How long the old key goes on beside the new one. Units: seconds.
_OVERLAPS: Final = ("3600", "86400", "604800", "0")
#: Ended keys that are still listed; the audit trail has the others.
_MOST_ENDED: Final = 20


async def _channels(desk: Desk) -> Page:
    channels = (await desk.get("/v1/channels"))["channels"]
    keys = (await desk.get("/v1/keys"))["keys"]
    rows = tuple(_channel_row(desk, one, [key for key in keys if key["channel"] == one["code"]]) for one in channels)
    head = tuple(desk.t(f"admin.keys.{key}") for key in ("channel", "start", "live", "last_use"))
    table = Table(head=head, rows=rows, empty=desk.t("admin.keys.no_channel"))
    return Page(
        key="keys",
        title=desk.t("admin.keys.title"),
        lead=desk.t("admin.keys.lead"),
        sections=(
            Section(id="channels", title=desk.t("admin.keys.channels"), table=table),
            Section(id="new", forms=(_make(desk, tuple(one["code"] for one in channels)),)),
        ),
    )


def _channel_row(desk: Desk, one: dict[str, Any], keys: list[dict[str, Any]]) -> tuple[Cell, ...]:
    used = [key["last_used_at"] for key in keys if key["last_used_at"]]
    live = sum(key["status"] == "live" for key in keys)
    return (
        Cell(text=one["name"], under=one["code"], to=path_of("/admin/channels/{code}", code=one["code"])),
        Cell(text=desk.t(f"admin.start_rules.{one['start_rule']}"), is_typed=False),
        Cell(text=str(live), is_number=True, is_typed=False),
        Cell(text=desk.local(max(used)) if used else desk.t("admin.keys.never"), is_number=True, is_typed=False),
    )


def _make(desk: Desk, channels: tuple[str, ...], *, channel: str = "") -> Form:
    return Form(
        name="make",
        legend=desk.t("admin.keys.make"),
        button=desk.t("admin.keys.make"),
        hint=desk.t("admin.keys.make.hint"),
        method="POST",
        path="/v1/keys",
        is_open=False,
        fields=(
            desk.field(
                "channel",
                "admin.keys.channel_code",
                value=channel,
                is_required=True,
                most=40,
                choices=tuple(Choice(value=code, text=code) for code in channels),
            ),
            desk.field("label", "admin.keys.label", most=80),
            desk.field(
                "scopes",
                "admin.keys.scopes",
                Kind.BOXES,
                values=tuple(scope.value for scope in DEFAULT_SCOPES),
                choices=tuple(Choice(value=scope.value, text=_scope(desk, scope.value)) for scope in Scope),
            ),
            desk.field("cells", "admin.keys.cells", Kind.LINES),
            desk.field("departments", "admin.keys.departments", Kind.LINES),
            desk.field("rate", "admin.keys.rate", most=40, is_short=True),
            desk.field("expires_at", "admin.keys.expires", Kind.INSTANT, is_short=True),
            desk.field("sandbox", "admin.keys.sandbox", Kind.CHECK),
        ),
        shows=lambda body: (desk.t("admin.keys.once", channel=body["channel"]), str(body["key"])),
    )


def _scope(desk: Desk, scope: str) -> str:
    named = desk.t(f"admin.scope.{scope.replace(':', '.')}")
    return f"{named} ({scope})"


async def _channel(desk: Desk) -> Page:
    code = desk.at("code")
    channels = (await desk.get("/v1/channels"))["channels"]
    one = next((each for each in channels if each["code"] == code), None)
    if one is None:
        # The interface says it in its own words.
        await desk.get("/v1/channels/{code}/datum-check", code=code)
        one = {"code": code, "name": code, "name_zh": code, "name_en": "", "start_rule": "dispatch"}
    keys = (await desk.get("/v1/keys", query={"channel": code}))["keys"]
    tried = await desk.find("/v1/keys", query={"channel": code, "sandbox": "true"})
    check = await desk.find("/v1/channels/{code}/datum-check", code=code, query={"limit": 300})
    return Page(
        key="keys",
        title=one["name"],
        back=Link(text=desk.t("admin.keys.title"), to="/admin/keys"),
        sections=(
            Section(id="facts", facts=_facts(desk, one), note=_datum(check.body if check.is_good else None)),
            _keys(desk, "keys", keys),
            *((_keys(desk, "sandbox", tried.body["keys"]),) if tried.is_good and tried.body["keys"] else ()),
            Section(id="new", forms=(_make(desk, (), channel=code), _change(desk, one))),
        ),
    )


def _facts(desk: Desk, one: dict[str, Any]) -> Facts:
    return Facts(
        items=(
            (desk.t("admin.keys.channel_code"), Cell(text=one["code"])),
            (desk.t("admin.keys.start"), Cell(text=desk.t(f"admin.start_rules.{one['start_rule']}"), is_typed=False)),
        )
    )


def _datum(check: dict[str, Any] | None) -> Note | None:
    """Whether its positions are what it declares, in the words of the check."""
    if check is None or not check["declared"]:
        return None
    text = " ".join(each["advice"] for each in check["declared"] if each["advice"])
    return Note(text=text, tone="warn" if check["suspect"] else "plain") if text else None


def _keys(desk: Desk, kind: str, keys: list[dict[str, Any]]) -> Section:
    live = [one for one in keys if one["status"] == "live"]
    ended = [one for one in keys if one["status"] != "live"]
    rows = tuple(_key_row(desk, one, kind) for one in [*live, *ended[:_MOST_ENDED]])
    head = (*(desk.t(f"admin.keys.{key}") for key in ("key", "rights", "limits", "state", "last_use")), "")
    return Section(
        id=kind,
        title=desk.t(f"admin.keys.of.{kind}"),
        hint=desk.t(f"admin.keys.of.{kind}.hint"),
        table=Table(head=head, rows=rows, empty=desk.t("admin.keys.none")),
    )


def _key_row(desk: Desk, one: dict[str, Any], kind: str) -> tuple[Cell, ...]:
    limits = [*one["cells"], *one["departments"], *([one["rate"]] if one["rate"] else [])]
    ends = one["revoked_at"] or one["expires_at"]
    word = "ended" if one["status"] != "live" else "until"
    letters = "gwt" if kind == "sandbox" else "gw"
    return (
        Cell(text=f"{letters}_{one['prefix']}", under=one["label"]),
        Cell(text=", ".join(one["scopes"]), is_typed=False),
        Cell(text=", ".join(limits) or desk.t("admin.keys.no_limit"), is_typed=bool(limits)),
        Cell(
            text=desk.t(f"admin.keys.state.{one['status']}"),
            mark=_MARKS[one["status"]],
            under=desk.t(f"admin.keys.{word}", at=desk.local(ends)) if ends else "",
            is_typed=False,
        ),
        Cell(
            text=desk.local(one["last_used_at"]) if one["last_used_at"] else desk.t("admin.keys.never"),
            under=desk.t("admin.keys.made", at=desk.local(one["created_at"]), by=one["created_by"]),
            is_typed=False,
        ),
        Cell(forms=_acts(desk, one, kind) if one["status"] == "live" else ()),
    )


def _acts(desk: Desk, one: dict[str, Any], kind: str) -> tuple[Form, ...]:
    prefix = one["prefix"]
    query = {"sandbox": "true"} if kind == "sandbox" else {}
    overlap = desk.field(
        "old_valid_s",
        "admin.keys.overlap",
        Kind.CHOICE,
        value="86400",
        choices=tuple(Choice(value=word, text=desk.t(f"admin.keys.overlap.{word}")) for word in _OVERLAPS),
    )
    rotate = Form(
        name=f"rotate-{prefix}",
        legend="",
        button=desk.t("admin.keys.rotate"),
        method="POST",
        path=path_of("/v1/keys/{prefix}:rotate", prefix=prefix),
        query=query,
        fields=(overlap,),
        is_plain=True,
        shows=lambda body: (desk.t("admin.keys.once", channel=body["channel"]), str(body["key"])),
    )
    revoke = Form(
        name=f"revoke-{prefix}",
        legend="",
        button=desk.t("admin.keys.revoke"),
        method="DELETE",
        path=path_of("/v1/keys/{prefix}", prefix=prefix),
        query=query,
        is_plain=True,
        done="admin.done.ended",
    )
    return rotate, revoke


def _change(desk: Desk, one: dict[str, Any]) -> Form:
    return Form(
        name="change",
        legend=desk.t("admin.keys.change"),
        button=desk.t("admin.save"),
        method="PATCH",
        path=path_of("/v1/channels/{code}", code=one["code"]),
        is_open=False,
        fields=(
            desk.field("name_zh", "admin.keys.name_zh", value=one["name_zh"], is_required=True, most=80),
            desk.field("name_en", "admin.keys.name_en", value=one["name_en"], most=80),
        ),
    )


add_page(router, "/admin/keys", Scope.KEYS_MANAGE, _channels)
add_page(router, "/admin/channels/{code}", Scope.KEYS_MANAGE, _channel)
