"""The trace of a case as JSON and as sentences: coordinates → cell → version → rule → duty → person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.posts_json import candidate_text, candidates_json, route_json, route_text
from api.rendering import cell_json, head_json, instant, local
from dispatch.case_views import CaseView
from dispatch.posts import Candidacy, candidates
from dispatch.tracing import Decision, RuleStep
from maps.i18n import Locale, translate

__all__ = ["trace_json", "why_lines"]

Pair = tuple[float, float]


def trace_json(
    case: CaseView,
    decisions: Sequence[Decision],
    locale: Locale,
    zone: str,
    *,
    raw: Pair | None,
    versions: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
    """The whole trace.

    Parameters
    ----------
    raw
        The pair as it was sent.
    versions
        Number and name of grid versions by their id, for acts that kept only the id.
    """
    return {
        "case": case.ref,
        "position": {
            "coord_sys": case.coord_sys,
            "raw": {"x": raw[0], "y": raw[1]} if raw is not None else None,
            "wgs84": {"lon": round(case.lon, 7), "lat": round(case.lat, 7)}
            if case.lon is not None and case.lat is not None
            else None,
            "how": case.how,
            "rule": "edge-1",
        },
        "chain": [cell_json(cell, locale) for cell in case.chain],
        "decisions": [_decision_json(case, one, _version(one, versions), locale, zone, raw) for one in decisions],
    }


def _decision_json(
    case: CaseView, one: Decision, version: Mapping[str, Any] | None, locale: Locale, zone: str, raw: Pair | None
) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "type": one.type,
        "at": instant(one.at),
        "actor": translate(locale, f"api.actor.{one.actor_kind}", id=one.actor_en if locale == "en" else one.actor_zh),
        "reason": one.reason or None,
        "cells": list(one.cells),
        "grid_version": version,
        "department": route_json(one.route, (), locale, zone),
        "candidates": candidates_json(one.ladder, locale, zone),
        "responsible": head_json(one.head, locale, zone),
        "steps": _steps(case, one, version, locale, zone, raw),
    }


def why_lines(case: CaseView, decisions: Sequence[Decision], locale: Locale, zone: str) -> list[str]:
    """The last decision in sentences: why this person?"""
    if not decisions:
        return []
    return [step["text"] for step in _steps(case, decisions[-1], _version(decisions[-1], {}), locale, zone, None)]


def _version(one: Decision, versions: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
    if one.version_number is not None:
        return {"number": one.version_number, "name": one.version_name}
    known = versions.get(one.version_id or 0)
    return {"number": known["number"], "name": known["name"]} if known else None


def _rule_text(one: Decision, locale: Locale) -> str:
    if one.rule is RuleStep.SETTLED:
        return translate(locale, "posts.trace.settled")
    said = route_text(one.route, locale)
    return translate(locale, "posts.trace.kept", rule=said) if one.rule is RuleStep.KEPT else said


def _steps(
    case: CaseView, one: Decision, version: Mapping[str, Any] | None, locale: Locale, zone: str, raw: Pair | None
) -> list[dict[str, str]]:
    steps = []

    def say(step: str, key: str, **facts: Any) -> None:
        steps.append({"step": step, "text": translate(locale, f"posts.trace.{key}", **facts)})

    if case.lon is not None and case.lat is not None:
        if raw is not None:
            say("coordinates", "converted", x=f"{raw[0]:.6f}", y=f"{raw[1]:.6f}", system=case.coord_sys or "–",
                lon=f"{case.lon:.6f}", lat=f"{case.lat:.6f}")  # fmt: skip
        else:
            say("coordinates", "position", lon=f"{case.lon:.6f}", lat=f"{case.lat:.6f}")
    else:
        say("coordinates", "no_position")
    names = {cell["code"]: cell_json(cell, locale)["name"] for cell in case.chain}
    if one.cells:
        chain = " › ".join(names.get(code) or code for code in one.cells)
        say("cell", "cell", chain=chain, code=one.cells[-1])
    else:
        say("cell", "no_cell")
    if version is not None:
        key = "version" if version["name"] else "version_number"
        say("version", key, number=version["number"], name=version["name"])
    steps.append({"step": "rule", "text": _rule_text(one, locale)})
    looked_at = candidates(one.ladder)
    # Whoever only stands by below the answer was not needed.
    steps.extend(
        {"step": "duty", "text": candidate_text(rung, found, locale, zone)}
        for rung, found in looked_at
        if found is not Candidacy.STANDS_BY
    )
    head = one.head
    at = local(one.at, zone)
    if head is not None:
        why = translate(locale, f"why.{head.why.value}")
        say("person", "person", at=at, post=head.rung.title(locale), name=head.rung.person_name or "–", why=why)
    else:
        told = one.told_en if locale == "en" else one.told_zh
        say("person", "told" if told else "nobody", at=at, post=told)
    return steps
