"""Every hand-made bad file gets its code, feature number and position; ``expected.json`` beside them says which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geo.coordinates import CoordSys
from geo.importing.attributes import LevelRule, parse_lengths, parse_mapping
from geo.importing.faults import FaultCode, NoteCode
from geo.importing.plan import CellImportOptions, plan_cells
from geo.importing.tree import ParentRule
from maps.i18n import LOCALES, translate

FILES = Path(__file__).parents[1] / "data" / "bad_cells"
EXPECTED: dict[str, Any] = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))


def options_of(given: dict[str, Any]) -> CellImportOptions:
    coord_sys = given.get("coord_sys", "wgs84")
    return CellImportOptions(
        mapping=parse_mapping(given.get("mapping", "code=code,name_zh=name")),
        coord_sys=CoordSys(coord_sys) if coord_sys else None,
        crs=given.get("crs"),
        levels=LevelRule(
            constant=given.get("level", 1), by_length=parse_lengths(given["by_length"]) if "by_length" in given else {}
        ),
        parents=ParentRule(given.get("parents", "none")),
        code_system=given.get("code_system", "free"),
    )


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_bad_file_is_refused_by_name(name: str) -> None:
    plan = plan_cells(FILES / name, options_of(EXPECTED[name].get("options", {})))
    expected = EXPECTED[name]["expect"]
    assert [[fault.code.value, fault.feature] for fault in plan.faults] == [each[:2] for each in expected]
    for fault, (_, _, *position) in zip(plan.faults, expected, strict=True):
        assert (fault.position is None) == (not position)
        if fault.position is not None:
            assert fault.position == pytest.approx(position[0], rel=1e-9)
    assert not plan.cells
    assert plan.coverage is None
    for fault in plan.faults:
        for locale in LOCALES:
            assert translate(locale, f"error.{fault.code}", **fault.params)


def test_every_bad_file_is_listed() -> None:
    assert len(EXPECTED) >= 200
    assert {path.name for path in FILES.iterdir()} - {"expected.json"} == set(EXPECTED)


def test_crossing_is_shown_where_it_is() -> None:
    plan = plan_cells(FILES / "bow_tie.geojson", options_of({}))
    x, y = plan.faults[0].position or (0.0, 0.0)
    assert (round(x, 9), round(y, 9)) == (113.605, 34.705)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("code", [*FaultCode, *NoteCode])
def test_every_code_has_a_text(code: FaultCode | NoteCode, locale: Any) -> None:
    from maps.i18n import catalogue

    assert f"error.{code}" in catalogue(locale)
