"""The default catalogue is complete: codes, parents, both languages, one default condition for each minor class."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

from dispatch.catalogue import load_default
from dispatch.deadlines import LimitUnit

CATALOGUE = load_default()
MINOR = [c for c in CATALOGUE.categories if c.parent]


def test_major_classes_follow_the_national_scheme() -> None:
    major = [c.code for c in CATALOGUE.categories if c.parent is None]
    assert [c for c in major if c[0] != "S"] == [f"E0{n}" for n in range(1, 7)] + [f"P0{n}" for n in range(1, 6)]


def test_codes_and_parents() -> None:
    seen: set[str] = set()
    for category in CATALOGUE.categories:
        assert re.fullmatch(r"[PES]\d{2}(\d{2})?", category.code)
        assert category.kind == {"P": "part", "E": "event", "S": "social"}[category.code[0]]
        assert category.parent is None or category.parent in seen, "a parent stands before its children"
        assert category.code not in seen
        seen.add(category.code)


def test_every_name_is_there_in_both_languages() -> None:
    for entry in (*CATALOGUE.categories, *CATALOGUE.conditions):
        assert re.search(r"[一-鿿]", entry.name_zh)
        assert re.fullmatch(r"[ -~]+", entry.name_en)


def test_every_minor_class_has_one_to_four_conditions_and_one_default() -> None:
    assert 75 <= len(MINOR) <= 110
    conditions = Counter(c.category for c in CATALOGUE.conditions)
    defaults = Counter(c.category for c in CATALOGUE.conditions if c.is_default)
    for category in MINOR:
        assert 1 <= conditions[category.code] <= 4
        assert defaults[category.code] == 1
    assert set(conditions) == {c.code for c in MINOR}


def test_all_units_are_used_and_limits_are_positive() -> None:
    assert {c.limit.unit for c in CATALOGUE.conditions} == set(LimitUnit)
    assert all(c.limit.value > Decimal(0) for c in CATALOGUE.conditions)


def test_manhole_cover_is_the_textbook_case() -> None:
    limits = [(str(c.limit.value), c.limit.unit.value) for c in CATALOGUE.conditions if c.category == "P0101"]
    assert limits == [("2", "urgent_hour"), ("4", "working_hour"), ("2", "working_day"), ("5", "working_day")]
