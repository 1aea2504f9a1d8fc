"""A case's brief in words: one structure that the page, the files and the tests share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.ladder_texts import empty_text
from api.rendering import cell_names, event_json, instant
from dispatch.brief import Brief, FiredRung, Knower, Telling
from dispatch.escalation import DEFAULT_LADDERS
from dispatch.masking import mask_text
from maps.i18n import Locale, catalogue, translate

__all__ = ["brief_json", "brief_view"]

_LADDER = frozenset({"case.reminded.v1", "case.escalated.v1"})


def brief_json(brief: Brief, locale: Locale) -> dict[str, Any]:
    """The brief for programs."""
    case = brief.case
    english = locale == "en"
    return {
        "case": case.ref,
        "status": case.state.value,
        "category": {"code": case.category, "name": (case.category_en if english else case.category_zh)},
        "reported_at": instant(case.reported_at),
        "due_at": instant(case.due_at),
        "closed_at": instant(case.closed_at),
        "as_of": instant(brief.as_of),
        "people": [_knower_json(one) for one in brief.knowers],
        "ladder": [
            {
                "rung": one.rung,
                "leg": one.leg or None,
                "epoch": one.epoch,
                "planned_at": instant(one.planned_at),
                "fired_at": instant(one.fired_at),
                "told": one.name,
                "post": (one.title_en if english else one.title_zh),
                "empty": list(one.empty),
                "in_bulletin": one.in_bulletin,
            }
            for one in brief.fired
        ],
        "planned": [
            {
                "rung": one.rung,
                "leg": one.leg or None,
                "name": one.name_en if english else one.name_zh,
                "target": one.target,
                "at": instant(one.at),
            }
            for one in brief.planned
        ],
        "timeline": [
            {
                **event_json(event, locale, _names(brief, locale)),
                "told": [_telling_json(one) for one in brief.tellings.get(event.seq, ())],
            }
            for event in brief.events
        ],
    }


def _knower_json(one: Knower) -> dict[str, Any]:
    return {
        "person": one.person_id,
        "name": one.name,
        "told_at": instant(one.told_at),
        "medium": one.medium,
        "last_told_at": instant(one.last_told_at),
        "told": one.told,
        "failed": one.failed,
        "acted_at": instant(one.acted_at),
        "acts": list(one.acts),
    }


def _telling_json(one: Telling) -> dict[str, Any]:
    return {
        "person": str(one.person_id),
        "name": one.name,
        "medium": one.medium,
        "state": one.state,
        "queued_at": instant(one.queued_at),
        "sent_at": instant(one.sent_at),
        "attempts": one.attempts,
        "error": one.error,
    }


def brief_view(brief: Brief, locale: Locale) -> dict[str, Any]:
    """The brief for people: headings, facts and tables, every cell a text.

    Zone: the jurisdiction's, named at the top.
    """
    when = _clock(brief.time_zone)
    case, english = brief.case, locale == "en"

    def t(key: str, **facts: object) -> str:
        return translate(locale, key, **facts)

    chain = " › ".join((cell["name_en"] if english else cell["name_zh"]) or cell["code"] for cell in case.chain)
    facts = [
        (t("brief.fact.category"), f"{case.category_en if english else case.category_zh} ({case.category})"),
        (t("brief.fact.state"), t(f"state.{case.state.value}")),
        (t("brief.fact.place"), " · ".join(part for part in (chain, mask_text(case.address)) if part) or "–"),
        (t("brief.fact.channel"), f"{case.channel_en if english else case.channel_zh} {case.ticket}"),
        (t("brief.fact.text"), mask_text(case.text) or "–"),
        (t("brief.fact.reported"), when(case.reported_at)),
        (t("brief.fact.due"), when(case.due_at) + (f" ({t('brief.provisional')})" if case.due_provisional else "")),
        (t("brief.fact.handled"), when(case.handled_at)),
        (t("brief.fact.closed"), when(case.closed_at)),
    ]
    return {
        "title": t("brief.title", case=case.ref),
        "subtitle": t("brief.as_of", at=when(brief.as_of), zone=brief.time_zone),
        "facts": facts,
        "tables": [
            _people(brief, locale, when),
            _ladder(brief, locale, when),
            _timeline(brief, locale, when),
        ],
    }


def _clock(time_zone: str) -> Callable[[datetime | None], str]:
    zone = ZoneInfo(time_zone)
    return lambda at: at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at is not None else "–"


def _table(locale: Locale, name: str, columns: tuple[str, ...], rows: list[list[str]]) -> dict[str, Any]:
    return {
        "title": translate(locale, f"brief.{name}"),
        "empty": translate(locale, f"brief.{name}.none"),
        "columns": [translate(locale, f"brief.column.{column}") for column in columns],
        "rows": rows,
    }


def _people(brief: Brief, locale: Locale, when: Callable[[datetime | None], str]) -> dict[str, Any]:
    rows = [
        [
            one.name or "–",
            when(one.told_at) + (f" · {_medium(one.medium, locale)}" if one.medium else ""),
            str(one.told) + (f" (+{one.failed} ✕)" if one.failed else ""),
            when(one.acted_at),
            _moves(one.acts, locale) or "–",
        ]
        for one in brief.knowers
    ]
    return _table(locale, "people", ("person", "first_told", "times", "first_acted", "acts"), rows)


def _ladder(brief: Brief, locale: Locale, when: Callable[[datetime | None], str]) -> dict[str, Any]:
    names = {event.payload.get("rung"): event.payload for event in brief.events if event.payload.get("rung")}
    # History from before the ladder was data names no rung: the shipped name is right for it.
    shipped = {rung.code: rung.name(locale) for rung in DEFAULT_LADDERS["E05"]}
    rows = [
        [
            str(
                names.get(one.rung, {}).get("rung_en" if locale == "en" else "rung_zh")
                or shipped.get(one.rung, one.rung)
            )
            + _of_leg(one.leg, locale)
            + (f" · {translate(locale, 'brief.bulletin')}" if one.in_bulletin else ""),
            when(one.planned_at),
            when(one.fired_at),
            _told(one, locale, _names(brief, locale)),
        ]
        for one in brief.fired
    ]
    rows += [
        [
            (one.name_en if locale == "en" else one.name_zh) + _of_leg(one.leg, locale),
            when(one.at),
            translate(locale, "brief.planned"),
            translate(locale, f"ladder.target.{one.target}"),
        ]
        for one in brief.planned
    ]
    return _table(locale, "ladder", ("rung", "planned", "fired", "told"), rows)


def _of_leg(leg: int, locale: Locale) -> str:
    return f" · {translate(locale, 'brief.leg', leg=leg)}" if leg else ""


def _names(brief: Brief, locale: Locale) -> dict[str, str]:
    """Cells and departments by their names: whoever reads a brief knows no codes."""
    departments = {code: (en if locale == "en" else zh) or zh or code for code, (zh, en) in brief.departments.items()}
    return departments | cell_names(brief.case, locale)


def _told(one: FiredRung, locale: Locale, names: dict[str, str]) -> str:
    title = one.title_en if locale == "en" else one.title_zh
    told = " · ".join(part for part in (title, one.name) if part)
    if one.empty:
        vacant = translate(locale, "brief.vacant", places=empty_text(one.empty, locale, names))
        return f"{told or translate(locale, 'brief.nobody')} ({vacant})"
    return told or "–"


def _timeline(brief: Brief, locale: Locale, when: Callable[[datetime | None], str]) -> dict[str, Any]:
    rows = []
    names = _names(brief, locale)
    for event in brief.events:
        said = event_json(event, locale, names)
        # A rung's own words say it all; its move would call a reminder an escalation.
        moves = "" if event.type in _LADDER else _moves(event.moves, locale)
        text = " – ".join(part for part in (moves, str(said["text"])) if part)
        told = [_telling(one, locale, when) for one in brief.tellings.get(event.seq, ())]
        rows.append([when(event.occurred_at), str(said["actor"]), text, "\n".join(told) or "–"])
    return _table(locale, "timeline", ("when", "who", "what", "knew"), rows)


def _telling(one: Telling, locale: Locale, when: Callable[[datetime | None], str]) -> str:
    state = translate(locale, f"brief.notice.{one.state}", at=when(one.sent_at), error=one.error or "–")
    return f"{one.name} · {_medium(one.medium, locale)} · {state}"


def _medium(medium: str, locale: Locale) -> str:
    key = f"brief.medium.{medium}"
    return translate(locale, key) if key in catalogue(locale) else medium


def _moves(moves: tuple[str, ...], locale: Locale) -> str:
    texts = catalogue(locale)
    return (", " if locale == "en" else "、").join(texts.get(f"move.{move}", move) for move in moves)
