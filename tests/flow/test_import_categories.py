"""Import of categories into a real database: a real city's table where it lies beside the project, own ones always."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

import dispatch.catalogue
from api.cli import importing_categories
from dispatch.importing.category_changes import ChangeKind
from dispatch.importing.category_import import (
    CategoriesRefusedError,
    CategoryImport,
    CategoryImportOptions,
    import_categories,
)
from dispatch.importing.category_rows import InDoubt, ReadingRules
from dispatch.intake import Report, prepare
from dispatch.queries import load_reference
from geo.errors import InvalidRequestError
from geo.storage.uow import read_unit
from tests.builders import JURISDICTION, District, report
from tests.flow.conftest import Client

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference"
CATALOGUE = Path(dispatch.catalogue.__file__).parent


async def take(engine: AsyncEngine, path: Path, conditions: Path | None = None, **more: object) -> CategoryImport:
    rules = ReadingRules(in_doubt=more.pop("in_doubt", InDoubt.ASK))  # type: ignore[arg-type]
    return await import_categories(
        engine,
        path,
        CategoryImportOptions(conditions=conditions, rules=rules, **more),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", ["categories.csv"] if REFERENCE.is_dir() else [])
async def test_a_real_citys_table(engine: AsyncEngine, district: District, name: str) -> None:
    """215 classes and 519 conditions; a dry run says the same and writes nothing; again changes nothing."""
    del district
    conditions = REFERENCE / "category_conditions.csv"
    planned = await take(engine, REFERENCE / name, conditions, dry_run=True, deactivate_missing=True)
    async with read_unit(engine) as unit:
        assert "P0101" not in (await load_reference(unit)).categories
    found = await take(engine, REFERENCE / name, conditions, deactivate_missing=True)
    assert planned.changes == found.changes
    # Five minor classes and nine social ones have a limit of their own and no rows of conditions.
    assert (found.categories, found.conditions) == (215, 519 + 13)
    async with read_unit(engine) as unit:
        categories = (await load_reference(unit)).categories
    covers = categories["P0101"].conditions
    assert [(str(each.limit.value), each.limit.unit.value) for each in covers.values()] == [
        ("2.00", "urgent_hour"),
        ("4.00", "working_hour"),
        ("2.00", "working_day"),
        ("5.00", "working_day"),
    ]
    for code, category in categories.items():
        limits = {(each.limit.value, each.limit.unit) for each in category.conditions.values()}
        defaults = [each for each in category.conditions.values() if each.is_default]
        assert len(defaults) == (len(limits) == 1), code
        assert (code in found.in_doubt) == (len(limits) > 1), code
    again = await take(engine, REFERENCE / name, conditions, deactivate_missing=True)
    assert again.changes == ()
    assert again.untouched == 215
    strict = await take(engine, REFERENCE / name, conditions, in_doubt=InDoubt.STRICTEST)
    assert strict.in_doubt == ()
    assert set(strict.counts()) == {ChangeKind.DEFAULT_CHANGED}


async def test_the_shipped_catalogue_can_be_imported_like_any_other(engine: AsyncEngine, district: District) -> None:
    """Its own columns and marks are understood, and the second time nothing changes."""
    del district
    files = CATALOGUE / "default.csv", CATALOGUE / "default_conditions.csv"
    assert (await take(engine, *files)).is_written
    assert (await take(engine, *files)).changes == ()


async def test_one_wrong_row_and_nothing_is_written(engine: AsyncEngine, district: District, tmp_path: Path) -> None:
    del district
    table = tmp_path / "t.csv"
    table.write_text("code,name_zh,parent\nE0110,改名,E01\nE0111,新,E77\n", encoding="utf-8")
    with pytest.raises(CategoriesRefusedError) as refused:
        await take(engine, table)
    assert [(fault.row, fault.code) for fault in refused.value.faults] == [(3, "category.parent_unknown")]
    importing_categories.show_faults(refused.value)
    async with read_unit(engine) as unit:
        categories = (await load_reference(unit)).categories
    assert categories["E0110"].name_zh == "暴露垃圾"
    assert "E0111" not in categories


async def test_faults_of_a_table_are_told_by_row_and_column(client: Client) -> None:
    def file(name: str, text: str) -> dict[str, str]:
        return {"name": name, "content": b64encode(text.encode()).decode()}

    body = {
        "table": file("classes.csv", "code,name_zh,kind\nE01,市容,event\nE0110,垃圾,event\nE0110,垃圾,event\n"),
        "conditions": file("limits.csv", "编码,立案条件,时限\nE0110,零散,世纪\n"),
    }
    for door in ("check", "import"):
        answer = await client.post(f"/v1/categories:{door}", json=body)
        assert answer.status_code == 400
        assert [(one["pointer"], one["detail"]) for one in answer.json()["errors"]] == [
            ("/table/4/code", "Row 4, column “code”: Code E0110 stands already in row 3"),
            ("/conditions/2/时限", "Row 2, column “时限”: “世纪” is no limit"),
        ]
    ragged = file("limits.csv", "编码,立案条件,时限\nE0110,零散\n")
    wide = await client.post("/v1/categories:check", json=body | {"conditions": ragged})
    assert (wide.status_code, wide.json()["errors"][1]["pointer"]) == (400, "/conditions/2")
    assert "2" in wide.json()["errors"][1]["detail"]
    missing = await client.post("/v1/categories:check", json=body | {"conditions": file("limits.csv", "编码,条件\n")})
    assert [one["pointer"] for one in missing.json()["errors"]] == ["/conditions"]
    named = await client.post("/v1/categories:check", json={"table": {"name": "t.pdf", "content": ""}})
    assert (named.status_code, named.json()["code"]) == (400, "import.ending_unknown")


async def test_a_class_out_of_use_takes_no_reports_and_its_cases_go_on(
    client: Client, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The condition that a case refers to stays; the case can still be moved."""
    taken = (await client.post("/v1/reports", json=report())).json()
    table = tmp_path / "t.csv"
    table.write_text("code,name_zh,limit\nP01,公用设施,\nP0102,井盖,3工作日\n", encoding="utf-8")
    found = await take(engine, table, deactivate_missing=True)
    monkeypatch.setattr(importing_categories, "Console", lambda **_: Console(quiet=True))
    importing_categories.show_changes(found, most=50)
    assert {each.code for each in found.changes if each.kind is ChangeKind.DEACTIVATED} == {"E01", "E0110"}
    async with read_unit(engine) as unit:
        reference = await load_reference(unit)
    late = Report(channel="hotline", ticket="T-2", text="", category="E0110", address="here")
    with pytest.raises(InvalidRequestError) as refused:
        prepare(late, reference, JURISDICTION, datetime.now(UTC))
    assert [fault.code for fault in refused.value.faults] == ["dispatch.unknown_category"]
    case = (await client.get(taken["status_url"])).json()
    moved = await client.post(
        f"{taken['status_url']}/moves", json={"move": "acknowledge"}, headers={"If-Match": str(case["version"])}
    )
    assert moved.status_code == 200, moved.text
