"""What a notice says, in the language of the person who is told; from the catalogues (``notice.*``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from api.ladder_texts import of_leg
from dispatch.notices import Message
from maps.i18n import LOCALES, Locale, catalogue, translate

__all__ = ["Notice", "render"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice in words: ``text`` is one sentence for small screens, ``body`` the whole."""

    locale: Locale
    subject: str
    text: str
    body: str


def render(message: Message) -> Notice:
    """Put a message into words.

    Zone: instants are shown in the jurisdiction's zone.
    """
    locale: Locale = next((one for one in LOCALES if one == message.contact.locale), LOCALES[0])
    english = locale == "en"
    params = message.params

    def named(name: str) -> str:
        return str(params.get(f"{name}_en" if english else f"{name}_zh") or params.get(f"{name}_zh") or "–")

    facts = {
        "case": params["case"],
        "category": named("category"),
        "address": params.get("address") or "–",
        "due": _instant(params.get("due_at"), params.get("time_zone"), english),
        "until": _instant(params.get("until"), params.get("time_zone"), english),
        "rung": of_leg(params, named("rung"), locale),
        "told": named("told"),
        "reason": params.get("reason") or "–",
        "name": message.contact.name,
    }
    # An event of a later version may have no sentence yet: the general one is better than none.
    key = message.key if message.key in catalogue(locale) else "notice.other"
    text = translate(locale, key, **facts)
    facts["text"] = text
    subject = " ".join(translate(locale, "notice.subject", **facts).split())
    return Notice(locale=locale, subject=subject, text=text, body=translate(locale, "notice.body", **facts))


def _instant(value: object, zone: object, english: bool) -> str:
    if not value:
        return "–"
    at = datetime.fromisoformat(str(value)).astimezone(ZoneInfo(str(zone or "UTC")))
    return at.strftime("%d %b %Y %H:%M") if english else at.strftime("%Y-%m-%d %H:%M")
