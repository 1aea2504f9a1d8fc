"""Rungs in words: what fired, who was told, which places were empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maps.i18n import Locale, catalogue, translate

__all__ = ["empty_text", "of_leg", "rung_text"]


def rung_text(payload: Mapping[str, Any], locale: Locale, names: Mapping[str, str] | None = None) -> str:
    """What an event of the ladder says; ``names`` are those of cells and departments, by code."""
    english = locale == "en"
    told = payload.get("told_en" if english else "told_zh") or payload.get("told_zh") or ""
    rung = payload.get("rung_en" if english else "rung_zh")
    if not rung:
        # History from before the ladder was data knows one rung only.
        return translate(locale, "api.escalated" if told else "api.escalated_nobody", told=told)
    empty = empty_text(payload.get("empty") or (), locale, names)
    key = "ladder.event" if not empty else "ladder.event_instead" if payload.get("told_person_id") else "ladder.nobody"
    return of_leg(payload, translate(locale, key, rung=rung, told=told or "–", empty=empty), locale)


def of_leg(payload: Mapping[str, Any], text: str, locale: Locale) -> str:
    """A text about a rung, saying of which leg of joint work it is, if it is one's."""
    if not payload.get("leg"):
        return text
    department = payload.get("department_en" if locale == "en" else "department_zh") or payload.get("department") or "–"
    return translate(locale, "ladder.of_leg", leg=payload["leg"], department=department, text=text)


def empty_text(places: Sequence[str], locale: Locale, names: Mapping[str, str] | None = None) -> str:
    """Places without anybody, in words: ``head:410102001`` is "the head of 410102001", or of its name if known."""
    words = []
    for place in places:
        kind, _, of = place.partition(":")
        key = f"ladder.place.{kind}"
        words.append(translate(locale, key, of=(names or {}).get(of, of)) if key in catalogue(locale) else place)
    return (", " if locale == "en" else "、").join(words)
