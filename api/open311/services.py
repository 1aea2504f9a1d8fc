"""Categories as services, their filing conditions as the one attribute of a service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from dispatch.reference import Category, Condition, Reference
from geo.errors import NotFoundError
from maps.i18n import Locale, translate

__all__ = ["CONDITION", "condition_name", "definition", "find_service", "left_out", "service_list", "services_digest"]

CONDITION: Final = "condition"
"""Code of the attribute; ``attribute[condition]`` of a report."""


def left_out(reference: Reference, setting: str) -> tuple[str, ...]:
    """Codes of the classes that this door neither offers nor shows: those named, with everything below them."""
    codes = {word.strip() for word in setting.split(",") if word.strip()}
    while more := {each.code for each in reference.categories.values() if each.parent in codes} - codes:
        codes |= more
    return tuple(sorted(codes))


def service_list(reference: Reference, hidden: tuple[str, ...], locale: Locale) -> list[dict[str, Any]]:
    """All that may be reported, by code."""
    return [_service(category, reference, locale) for category in _reportable(reference, hidden)]


def find_service(reference: Reference, hidden: tuple[str, ...], code: str) -> Category:
    """The category of a service code.

    Raises
    ------
    NotFoundError
        ``open311.unknown_service``.
    """
    for category in _reportable(reference, hidden):
        if category.code == code:
            return category
    raise NotFoundError("open311.unknown_service", service=code[:80])


def definition(category: Category, locale: Locale) -> dict[str, Any]:
    """What a client may ask the reporter besides place and words.

    Notes
    -----
    Nothing is ever required: who reports does not know the conditions under which we file, and a report without one
    waits for a person instead of being refused.
    """
    conditions = [category.conditions[number] for number in sorted(category.conditions)]
    return {"service_code": category.code, "attributes": [_attribute(conditions, locale)] if _asks(category) else []}


def services_digest(reference: Reference, hidden: tuple[str, ...]) -> str:
    """A few letters that change whenever services or their definitions do."""
    digest = hashlib.sha256()
    for category in _reportable(reference, hidden):
        digest.update(repr((category.code, category.name_zh, category.name_en, category.parent)).encode())
        for number in sorted(category.conditions):
            one = category.conditions[number]
            digest.update(repr((number, one.name_zh, one.name_en)).encode())
    return digest.hexdigest()[:12]


def condition_name(condition: Condition, locale: Locale) -> str:
    """Name of a filing condition in the caller's language."""
    return (condition.name_en if locale == "en" else condition.name_zh) or condition.name_zh or str(condition.number)


def _reportable(reference: Reference, hidden: tuple[str, ...]) -> Iterator[Category]:
    parents = {category.parent for category in reference.categories.values()}
    for code in sorted(reference.categories):
        category = reference.categories[code]
        if category.is_active and code not in parents and code not in hidden:
            yield category


def _asks(category: Category) -> bool:
    return len(category.conditions) > 1


def _service(category: Category, reference: Reference, locale: Locale) -> dict[str, Any]:
    group = reference.categories.get(category.parent or "")
    names = [category.name_zh, category.name_en, *([group.name_zh, group.name_en] if group else [])]
    return {
        "service_code": category.code,
        "service_name": category.name(locale),
        "description": _sentence(category, locale),
        "metadata": _asks(category),
        "type": "realtime",
        "keywords": ", ".join(dict.fromkeys(name.replace(",", " ") for name in names if name)),
        "group": group.name(locale) if group else category.name(locale),
    }


def _sentence(category: Category, locale: Locale) -> str:
    names = [condition_name(category.conditions[number], locale) for number in sorted(category.conditions)]
    if not names:
        return category.name(locale)
    return translate(
        locale, "open311.service", name=category.name(locale), conditions=translate(locale, "open311.comma").join(names)
    )


def _attribute(conditions: list[Condition], locale: Locale) -> dict[str, Any]:
    return {
        "variable": True,
        "code": CONDITION,
        "datatype": "singlevaluelist",
        "required": False,
        "datatype_description": translate(locale, "open311.condition_hint"),
        "order": 1,
        "description": translate(locale, "open311.condition"),
        "values": [{"key": str(one.number), "name": condition_name(one, locale)} for one in conditions],
    }
