"""Plain values → the JSON of the public interface, in the caller's language. The one place that names its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import orjson
from orjson import Fragment

from api.ladder_texts import rung_text
from dispatch.case_views import CaseView, EventView
from dispatch.intake import Receipt
from dispatch.masking import mask_text
from dispatch.posts import Head, Rung, find_backup, parse_ladder, why_nobody
from dispatch.routing import Route
from dispatch.standings import Standing
from dispatch.workflow import Move
from geo.cells import CellRef, LocatedHow, NearCell
from geo.uncertainty import CONFIRM_RULE, Uncertainty
from maps.i18n import Locale, translate


def name_of(thing: Mapping[str, Any], locale: Locale) -> str:
    """Name of a cell from its stored pair of names."""
    first, second = ("name_en", "name_zh") if locale == "en" else ("name_zh", "name_en")
    return str(thing.get(first) or thing.get(second) or thing["code"])


def cell_json(cell: CellRef | Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """A cell of a chain."""
    if isinstance(cell, CellRef):
        cell = {
            "level": cell.level,
            "code": cell.code,
            "name_zh": cell.name_zh,
            "name_en": cell.name_en,
            "kind": cell.kind,
        }
    return {"level": cell["level"], "code": cell["code"], "name": name_of(cell, locale), "kind": cell["kind"]}


def near_json(cell: NearCell | Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """A cell near a point outside. Units: distance_m metres."""
    if isinstance(cell, NearCell):
        cell = {
            "code": cell.code,
            "name_zh": cell.name_zh,
            "name_en": cell.name_en,
            "distance_m": cell.distance_m,
        }
    return {"code": cell["code"], "name": name_of(cell, locale), "distance_m": round(float(cell["distance_m"]), 1)}


def accuracy_json(found: Uncertainty | Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """What a position's error allows to say, found now or kept in the first event."""
    if isinstance(found, Uncertainty):
        found = asdict(found) | {"confirm_on_site": found.confirm_on_site, "rule": CONFIRM_RULE}
    return {
        "accuracy_m": found["accuracy_m"],
        "confirm_on_site": found["confirm_on_site"],
        "reason": confirm_reason(found, locale),
        "rule": found["rule"],
        "candidates": [cell_json(cell, locale) | {"share": cell["share"]} for cell in found["candidates"]],
        "outside_share": found["outside_share"],
        "boundary_m": found["boundary_m"],
    }


def confirm_reason(found: Mapping[str, Any], locale: Locale) -> str | None:
    """Why somebody has to look where it is, in a sentence; None when the place is beyond doubt."""
    if not found["confirm_on_site"]:
        return None
    facts: dict[str, object] = {"accuracy_m": f"{found['accuracy_m']:g}"}
    if not found["candidates"]:
        return translate(locale, "locating.confirm_outside", **facts)
    best = found["candidates"][0]
    facts |= {"count": len(found["candidates"]), "name": name_of(best, locale), "share": f"{100 * best['share']:.0f}"}
    return translate(locale, "locating.confirm_on_site", **facts)


def match_json(found: Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """What an address was found to mean."""
    return {
        **{name: found[name] for name in ("source", "is_sure", "precision", "score", "name", "place_id")},
        "candidates": [
            {
                "id": one["id"],
                "kind": one["kind"],
                "name": (one["name_en"] if locale == "en" else one["name_zh"]) or one["name_zh"],
                "precision": one["precision"],
                "score": one["score"],
                "location": {"lon": one["lon"], "lat": one["lat"]},
            }
            for one in found["candidates"]
        ],
    }


def rung_json(rung: Rung, locale: Locale) -> dict[str, Any]:
    """A post and its holder."""
    return {
        "post": rung.title(locale),
        "rank": rung.rank,
        "cell": rung.cell_code,
        "name": rung.person_name,
        "person": str(rung.person_id) if rung.person_id else None,
        "on_duty": rung.is_available,
    }


def local(at: datetime, zone: str) -> str:
    """An instant as people read it: wall clock of the jurisdiction, to the minute."""
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def head_json(head: Head | None, locale: Locale, zone: str) -> dict[str, Any] | None:
    """The responsible person with the reason, which speaks of the office's own clock."""
    if head is None:
        return None
    why = translate(locale, f"why.{head.why.value}")
    if head.passed is not None and head.passed.leave_until is not None:
        until = local(head.passed.leave_until, zone)
        why = translate(locale, "api.why_leave_until", why=why, name=head.passed.person_name or "–", until=until)
    return {**rung_json(head.rung, locale), "why": why, "why_code": head.why.value}


def nobody_json(ladder: Sequence[Rung], locale: Locale) -> dict[str, Any]:
    """Why a cell has no responsible person; beside a head that is null, so that it is not taken for a lost answer."""
    why = why_nobody(ladder)
    return {"why": translate(locale, f"nobody.{why.value}"), "why_code": why.value}


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return value.isoformat().replace("+00:00", "Z") if value else None


#: Standings as callers see them, by locale and zone: chain, head and backup are the same for every report of a cell.
_SHOWN: WeakKeyDictionary[Standing, dict[tuple[Locale, str], tuple[Fragment, Fragment, Fragment]]] = WeakKeyDictionary()


def _standing_json(standing: Standing, locale: Locale, zone: str) -> tuple[Fragment, Fragment, Fragment]:
    known = _SHOWN.get(standing)
    if known is None:
        known = _SHOWN[standing] = {}
    shown = known.get((locale, zone))
    if shown is None:
        shown = known[locale, zone] = (
            Fragment(orjson.dumps([cell_json(cell, locale) for cell in standing.chain])),
            Fragment(orjson.dumps(head_json(standing.head, locale, zone))),
            Fragment(orjson.dumps(rung_json(standing.backup, locale) if standing.backup else None)),
        )
    return shown


def receipt_json(receipt: Receipt, locale: Locale, zone: str) -> dict[str, Any]:
    """Answer to a report; for orjson, because parts of it are written already."""
    chain, head, backup = _standing_json(receipt.standing, locale, zone)
    body = {
        "case": receipt.ref,
        "ticket": receipt.ticket,
        "status": receipt.state.value,
        "status_url": f"/v1/cases/{receipt.ref}",
        "chain": chain,
        "head": head,
        "backup": backup,
        "due_at": instant(receipt.due_at),
        "due_provisional": receipt.due_provisional,
        "out_of_grid": receipt.how == LocatedHow.OUT_OF_GRID,
        "nearest": [near_json(cell, locale) for cell in receipt.nearest],
        "location": _location(receipt.lon, receipt.lat),
        "located": {"how": receipt.how, "grid_version": receipt.grid_version, "rule": "edge-1"},
        "department": _department(receipt.route, locale) if receipt.route is not None else None,
    }
    if receipt.accuracy is not None:
        body["accuracy"] = accuracy_json(receipt.accuracy, locale)
    if receipt.position is not None:
        body["address_match"] = match_json(receipt.position, locale)
    return body


def rehearsal_json(said: dict[str, Any], receipt: Receipt) -> dict[str, Any]:
    """What would become of a report, from what its receipt would say: no case number, because there is no case."""
    routing = {name: value for name, value in said.items() if name not in ("case", "status_url")}
    return {"dry_run": True, "known_case": receipt.ref if receipt.is_repeat else None, "routing": routing}


def _department(route: Route, locale: Locale) -> dict[str, Any]:
    return {"code": route.department.code, "name": route.department.name(locale), "mode": route.mode.value}


def case_json(case: CaseView, locale: Locale, zone: str) -> dict[str, Any]:
    """A case as lists, GeoJSON and the stream show it: numbers of telephones and identity cards in its words masked."""
    return {
        "case": case.ref,
        "version": case.version,
        "status": case.state.value,
        "light": case.light.value,
        "category": {
            "code": case.category,
            "name": (case.category_en if locale == "en" else case.category_zh) or case.category_zh,
        },
        "condition": case.condition,
        "channel": case.channel,
        "channel_name": (case.channel_en if locale == "en" else case.channel_zh) or case.channel,
        "ticket": case.ticket,
        "text": mask_text(case.text),
        "address": mask_text(case.address),
        "departments": list(case.departments),
        "ledgers": list(case.ledgers),
        "ledger_names": [name_of(ledger, locale) for ledger in case.ledger_names],
        "reported_at": instant(case.reported_at),
        "dispatched_at": instant(case.dispatched_at),
        "acknowledged_at": instant(case.acknowledged_at),
        "handled_at": instant(case.handled_at),
        "closed_at": instant(case.closed_at),
        "suspended_until": instant(case.suspended_until),
        "due_at": instant(case.due_at),
        "due_provisional": case.due_provisional,
        "limit": _limit(case),
        "warn_at": instant(case.warn_at),
        "is_on_time": case.is_on_time,
        "chain": [cell_json(cell, locale) for cell in case.chain],
        "head": head_json(case.head(), locale, zone),
        "location": _location(case.lon, case.lat),
        "coord_sys": case.coord_sys,
        "accuracy_m": case.accuracy_m,
        "confirm_on_site": case.confirm_on_site,
        "out_of_grid": case.how == LocatedHow.OUT_OF_GRID,
        "nearest": [near_json(cell, locale) for cell in case.nearest],
        "origin": case.origin,
        "clock_epoch": case.clock_epoch,
        "asked": case.asked,
        "extensions": case.extension_count,
        "returns": case.return_count,
        "supervised_until": instant(case.supervised_until),
        "follow_up": case.follow_up,
        "is_exempt": case.is_exempt,
        "stage": {"clock": case.stage_clock, "due_at": instant(case.stage_due_at)} if case.stage_clock else None,
        "follows": case.follows,
        "followers": list(case.followers),
        "status_url": f"/v1/cases/{case.ref}",
    }


def _limit(case: CaseView) -> dict[str, str] | None:
    if case.limit_value is None or case.limit_unit is None:
        return None
    return {"value": format(case.limit_value.normalize(), "f"), "unit": case.limit_unit}


def event_json(event: EventView, locale: Locale, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One act of a case's history; ``names`` are those of cells and departments, by code."""
    payload = event.payload
    told = payload.get("told_en" if locale == "en" else "told_zh")
    said = [str(payload[name]) for name in ("reason", "result") if payload.get(name)]
    if event.type == "case.reported.v1" and payload.get("accuracy"):
        said.append(confirm_reason(payload["accuracy"], locale) or "")
    if event.type in {"case.escalated.v1", "case.reminded.v1"}:
        said.append(rung_text(payload, locale, names))
    elif event.type == "case.undone.v1" and payload.get("undid"):
        said.append(translate(locale, f"move.{payload['undid']}"))
    elif event.type in _TELLING:
        said.append(translate(locale, "api.told" if told else "api.told_nobody", told=told or ""))
    return {
        "seq": event.seq,
        "type": event.type,
        "moves": list(event.moves),
        "at": instant(event.occurred_at),
        "actor": _actor(event, locale),
        "to": event.to_state,
        "text": " ".join(said).strip(),
        "leg": payload.get("leg"),
    }


#: Acts that tell somebody higher up, or find nobody there.
_TELLING = frozenset(
    {"case.escalated_at_once.v1", "case.not_acknowledged.v1", "case.settled.v1", "case.handed_over.v1"}
    | {"case.leg_redispatched.v1", "case.leg_settled.v1", "case.phase_overdue.v1"}
)


def _actor(event: EventView, locale: Locale) -> str:
    name = event.actor_name_en if locale == "en" else event.actor_name_zh
    return translate(locale, f"api.actor.{event.actor_kind}", id=name)


def cell_names(case: CaseView, locale: Locale) -> dict[str, str]:
    """The names of a case's cells, by code."""
    named = {cell["code"]: cell["name_en"] if locale == "en" else cell["name_zh"] for cell in case.chain}
    return {code: name for code, name in named.items() if name}


def detail_json(
    case: CaseView, events: tuple[EventView, ...], locale: Locale, zone: str, moves: Sequence[Move] = ()
) -> dict[str, Any]:
    """A case with its history, the moves that may be made now, and who takes over from its head."""
    head = case.head()
    backup = find_backup(parse_ladder(case.ladder), head) if head else None
    accuracy = events[0].payload.get("accuracy") if events else None
    return {
        **case_json(case, locale, zone),
        # The panel of whoever works on it shows what was said.
        "text": case.text,
        "address": case.address,
        "accuracy": accuracy_json(accuracy, locale) if accuracy else None,
        "backup": rung_json(backup, locale) if backup else None,
        "events": [event_json(event, locale, cell_names(case, locale)) for event in events],
        "moves": [move.value for move in moves],
    }


def _location(lon: float | None, lat: float | None) -> dict[str, float] | None:
    return {"lon": round(lon, 7), "lat": round(lat, 7)} if lon is not None and lat is not None else None


def feature_json(case: CaseView, locale: Locale, zone: str) -> dict[str, Any]:
    """A case as a GeoJSON feature (RFC 7946); a case without position has a null geometry, as the RFC asks."""
    properties = case_json(case, locale, zone)
    location = properties.pop("location")
    geometry = {"type": "Point", "coordinates": [location["lon"], location["lat"]]} if location else None
    return {"type": "Feature", "id": case.ref, "geometry": geometry, "properties": properties}
