"""The audit trail: search, is the chain whole, and its head to be written down elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter

from api.accounts.roles import Scope
from api.admin.desk import Desk
from api.admin.forms import Choice, Form
from api.admin.forms import Kind as Looks
from api.admin.frame import add_page
from api.admin.parts import Cell, Facts, Note, Page, Search, Section, Table
from api.audit.trail import Kind

__all__ = ["router"]

router = APIRouter()

_ASKED: Final = ("kind", "actor", "subject", "from", "to")
_PER_PAGE: Final = 50
_MOST_LETTERS: Final = 300


async def _audit(desk: Desk) -> Page:
    given = {name: desk.asked(name) for name in _ASKED}
    query = {**given, "from": _instant(desk, given["from"]), "to": _instant(desk, given["to"])}
    found = await desk.find("/v1/audit", query={**query, "before": desk.asked("before"), "limit": _PER_PAGE})
    body = found.body if found.is_good else {"records": [], "next_before": None}
    kept = desk.kept(*_ASKED)
    following = f"?{urlencode({**kept, 'before': body['next_before']})}" if body["next_before"] else ""
    head = await desk.get("/v1/audit/head")
    faults = "; ".join(found.faults.values()) or found.detail
    return Page(
        key="audit",
        title=desk.t("admin.audit.title"),
        lead=desk.t("admin.audit.lead"),
        sections=(
            _chain(desk, head),
            Section(
                id="records",
                title=desk.t("admin.audit.records"),
                search=Search(form=_search(desk, given), is_narrowed=any(given.values())),
                note=None if found.is_good else Note(text=faults, tone="warn"),
                table=_table(desk, body["records"], is_narrowed=any(given.values())),
                following=following,
                first=f"?{urlencode(kept)}" if desk.asked("before") else "",
            ),
        ),
    )


def _chain(desk: Desk, head: dict[str, Any]) -> Section:
    def told(body: dict[str, Any]) -> tuple[str, str]:
        if body["is_whole"]:
            return desk.t("admin.audit.whole", count=f"{body['sound']:,}"), str(head["head"])
        return desk.t("admin.audit.broken", count=f"{body['sound']:,}"), str(body["why"])

    check = Form(
        name="check",
        legend="",
        button=desk.t("admin.audit.check"),
        method="GET",
        path="/v1/audit/check",
        is_plain=True,
        shows=told,
    )
    facts = Facts(
        items=(
            (desk.t("admin.audit.count"), Cell(text=f"{head['number']:,}", is_number=True, is_typed=False)),
            (desk.t("admin.audit.head"), Cell(text=head["head"], is_typed=False)),
        )
    )
    return Section(
        id="chain",
        title=desk.t("admin.audit.chain"),
        hint=desk.t("admin.audit.chain.hint"),
        facts=facts,
        forms=(check,),
    )


def _search(desk: Desk, given: dict[str, str]) -> Form:
    groups = dict.fromkeys(kind.value.partition(".")[0] for kind in Kind)
    several = [group for group in groups if sum(kind.value.startswith(f"{group}.") for kind in Kind) > 1]
    kinds = (
        Choice(value="", text=desk.t("admin.any")),
        *(Choice(value=group, text=desk.t(f"admin.audit.group.{group}")) for group in several),
        *(Choice(value=kind.value, text=desk.t(f"audit.kind.{kind.value}")) for kind in Kind),
    )
    return desk.search(
        desk.field("kind", "admin.audit.kind", Looks.CHOICE, value=given["kind"], choices=kinds),
        desk.field("actor", "admin.audit.actor", value=given["actor"], most=200),
        desk.field("subject", "admin.audit.subject", value=given["subject"], most=200),
        desk.field("from", "admin.audit.from", Looks.INSTANT, value=given["from"], is_short=True),
        desk.field("to", "admin.audit.to", Looks.INSTANT, value=given["to"], is_short=True),
    )


def _table(desk: Desk, records: list[dict[str, Any]], *, is_narrowed: bool) -> Table:
    head = tuple(desk.t(f"admin.audit.{key}") for key in ("number", "when", "kind", "actor", "subject", "detail"))
    rows = tuple(
        (
            Cell(text=str(one["number"]), under=one["digest"][:8], is_number=True, is_typed=False),
            Cell(text=desk.local(one["recorded_at"]), is_number=True, is_typed=False),
            Cell(text=one["what"], is_typed=False),
            Cell(text=one["actor"] or "–", under=desk.named("admin.audit.by.", one["actor_kind"])),
            Cell(text=one["subject"] or "–"),
            Cell(text=_detail(one["detail"])),
        )
        for one in records
    )
    return Table(head=head, rows=rows, empty=desk.t("admin.audit.none_found" if is_narrowed else "admin.audit.none"))


def _detail(detail: dict[str, Any]) -> str:
    said = "; ".join(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in sorted(detail.items())
        if value not in (None, "", [], {})
    )
    return said if len(said) <= _MOST_LETTERS else f"{said[: _MOST_LETTERS - 1]}…"


def _instant(desk: Desk, text: str) -> str:
    """What the field shows is the jurisdiction's wall clock; what cannot be read the interface refuses."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (read if read.tzinfo else read.replace(tzinfo=desk.zone)).isoformat()


add_page(router, "/admin/audit", Scope.AUDIT_READ, _audit)
