"""Posts, people, departments and the answer to "who is responsible, and why" as JSON, in the caller's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.rendering import head_json, instant, local
from dispatch.departments import Gap
from dispatch.posts import Candidacy, Rung, candidates, find_head
from dispatch.routing import RULE, Route
from dispatch.storage.routing import Answer
from maps.i18n import Locale, translate

__all__ = [
    "answer_json",
    "candidates_json",
    "department_json",
    "gap_json",
    "person_json",
    "post_json",
    "route_text",
    "rule_json",
]


def _pick(row: Mapping[str, Any], name: str, locale: Locale) -> str | None:
    zh, en = row.get(f"{name}_zh"), row.get(f"{name}_en")
    return (en if locale == "en" else zh) or zh or en


def post_json(row: Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """A post with its holders."""
    return {
        "id": row["id"],
        "kind": row["kind"],
        "kind_name": translate(locale, f"posts.kind.{row['kind']}"),
        "rank": row["rank"],
        "title": _pick(row, "title", locale),
        "title_zh": row["title_zh"],
        "title_en": row["title_en"],
        "cell": row["cell_code"],
        "department": row["department_code"],
        "department_name": _pick(row, "department", locale),
        "is_shared": row["is_shared"],
        "valid_from": instant(row["valid_from"]),
        "valid_until": instant(row["valid_until"]),
        "holders": [_holder_json(holder) for holder in row["holders"]],
    }


def _holder_json(holder: Mapping[str, Any]) -> dict[str, Any]:
    leave_until = _read(holder["leave_until"])
    return {
        "appointment": holder["appointment"],
        "person": holder["person"],
        "name": holder["name"],
        "staff_number": holder["staff_number"],
        "valid_from": instant(_read(holder["valid_from"])),
        "valid_until": instant(_read(holder["valid_until"])),
        "leave_until": instant(leave_until),
        "is_on_shift": holder["is_on_shift"],
        "is_available": holder["is_active"] and leave_until is None and holder["is_on_shift"],
    }


def _read(value: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def person_json(row: Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """A person with the posts held; never with the phone."""
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "staff_number": row["staff_number"],
        "is_active": row["is_active"],
        "has_phone": row["has_phone"],
        "leave_until": instant(row["leave_until"]),
        "posts": [
            {
                "id": post["post"],
                "title": _pick(post, "title", locale),
                "kind": post["kind"],
                "rank": post["rank"],
                "cell": post["cell"],
                "department": post["department"],
                "appointment": post["appointment"],
                "valid_from": instant(_read(post["valid_from"])),
                "valid_until": instant(_read(post["valid_until"])),
            }
            for post in row["posts"]
        ],
    }


def department_json(row: Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """A department."""
    counts = {name: row[name] for name in ("rules", "posts") if name in row}
    return {
        "code": row["code"],
        "name": _pick(row, "name", locale),
        "name_zh": row["name_zh"],
        "name_en": row["name_en"],
        "is_active": row["is_active"],
        **counts,
    }


def rule_json(row: Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """A line of the matrix."""
    return {
        "id": row["id"],
        "cell": row["cell_code"],
        "cell_name": _pick(row, "cell", locale),
        "category": row["category_code"],
        "category_name": _pick(row, "category", locale),
        "department": row["department_code"],
        "department_name": _pick(row, "department", locale),
        "mode": row["mode"],
        "mode_name": translate(locale, f"posts.mode.{row['mode']}"),
        "note": row["note"],
        "valid_from": instant(row["valid_from"]),
        "valid_until": instant(row["valid_until"]),
    }


def gap_json(gap: Gap, locale: Locale) -> dict[str, Any]:
    """A class in a subtree that no line of the matrix speaks of."""
    return {
        "category": gap.category,
        "category_name": (gap.category_en if locale == "en" else gap.category_zh) or gap.category_zh,
        "cell": gap.cell,
        "cell_name": (gap.cell_en if locale == "en" else gap.cell_zh) or gap.cell_zh,
        "leaves": gap.leaves,
        "fallback": gap.fallback,
    }


def candidates_json(ladder: Sequence[Rung], locale: Locale, zone: str) -> list[dict[str, Any]]:
    """Everybody who was looked at, in order, each with what was found."""
    return [
        {
            "post": rung.title(locale),
            "rank": rung.rank,
            "cell": rung.cell_code,
            "department": rung.department or None,
            "name": rung.person_name,
            "standing": standing.value,
            "text": candidate_text(rung, standing, locale, zone),
            "until": instant(rung.leave_until),
        }
        for rung, standing in candidates(ladder)
    ]


def candidate_text(rung: Rung, found: Candidacy, locale: Locale, zone: str) -> str:
    """One sentence about one candidate."""
    until = local(rung.leave_until, zone) if rung.leave_until is not None else ""
    return translate(
        locale, f"posts.standing.{found.value}", post=rung.title(locale), name=rung.person_name or "–", until=until
    )


def route_text(route: Route | None, locale: Locale) -> str:
    """One sentence about the line of the matrix."""
    if route is None:
        return translate(locale, "posts.route.none")
    if route.rule_id == 0:
        return translate(locale, "posts.route.by_hand", department=route.department.name(locale))
    return translate(
        locale,
        f"posts.route.{route.mode.value}",
        department=route.department.name(locale),
        rule=RULE,
        number=route.rule_id,
        cell=route.cell_code or translate(locale, "posts.everywhere"),
        category=route.category_code or translate(locale, "posts.any_class"),
    )


def answer_json(answer: Answer, locale: Locale, zone: str) -> dict[str, Any]:
    """Who is responsible, which department has a part, and everybody who was looked at."""
    head = answer.head
    return {
        "responsible": head_json(head, locale, zone),
        "grid_head": head_json(answer.territory, locale, zone),
        "department": route_json(answer.route, answer.helpers, locale, zone),
        "candidates": candidates_json(answer.ladder, locale, zone),
        "text": translate(locale, "posts.nobody")
        if head is None
        else translate(locale, "posts.answer", post=head.rung.title(locale), name=head.rung.person_name or "–"),
    }


def route_json(route: Route | None, helpers: Sequence[Rung], locale: Locale, zone: str) -> dict[str, Any] | None:
    """The department and the line of the matrix that names it; ``handler`` only when it does not lead."""
    if route is None:
        return None
    helper = find_head(helpers)
    return {
        "code": route.department.code,
        "name": route.department.name(locale),
        "mode": route.mode.value,
        "rule": {"name": RULE, "id": route.rule_id, "cell": route.cell_code, "category": route.category_code},
        "handler": head_json(helper, locale, zone) if helper is not None else None,
        "text": route_text(route, locale),
    }
