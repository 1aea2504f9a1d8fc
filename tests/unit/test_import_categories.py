"""Tables of categories: limits as cities write them, rows and their faults, what would change."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from dispatch.deadlines import Limit, LimitUnit
from dispatch.importing.category_changes import Change, ChangeKind, StoredCategory, check_tree, find_changes
from dispatch.importing.category_rows import (
    CategoryTable,
    InDoubt,
    NewCategory,
    NewCondition,
    ReadingRules,
    choose_default,
    read_categories,
)
from dispatch.importing.limits import LimitFault, LimitText, parse_units, read_limit
from dispatch.importing.sheets import Sheet, read_sheet
from geo.errors import BadInputError

DAYS = {"天": LimitUnit.WORKING_DAY}


@pytest.mark.parametrize(
    ("amount", "unit", "value", "meant", "rest"),
    [
        ("2紧急工作时", "", "2", "urgent_hour", ""),
        ("2", "紧急工作时", "2", "urgent_hour", ""),
        ("1紧急工作时制止", "", "1", "urgent_hour", "制止"),
        ("4工作时", "", "4", "working_hour", ""),
        ("5个工作日", "", "5", "working_day", ""),
        ("十五个工作日内", "", "15", "working_day", "内"),
        ("二十工作日", "", "20", "working_day", ""),
        ("两自然日", "", "2", "natural_day", ""),
        ("半个工作日", "", "0.5", "working_day", ""),
        ("1紧急工作日", "", "1", "natural_day", ""),
        ("３天", "", "3", "working_day", ""),
        ("3 working days", "", "3", "working_day", ""),
        ("2", "work_day", "2", "working_day", ""),
        ("1.5 Urgent Hours", "", "1.5", "urgent_hour", ""),
    ],
)
def test_a_limit_is_read_as_it_is_written(amount: str, unit: str, value: str, meant: str, rest: str) -> None:
    expected = LimitText(limit=Limit(value=Decimal(value), unit=LimitUnit(meant)), rest=rest)
    assert read_limit(amount, unit, DAYS) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("4小时", LimitFault.UNIT_UNCLEAR),
        ("4 hours", LimitFault.UNIT_UNCLEAR),
        ("2日", LimitFault.UNIT_UNCLEAR),
        ("3旬", LimitFault.UNIT_UNKNOWN),
        ("3", LimitFault.UNIT_UNKNOWN),
        ("尽快", LimitFault.UNREADABLE),
        ("0工作日", LimitFault.UNREADABLE),
        ("-1工作日", LimitFault.UNREADABLE),
        ("二三工作日", LimitFault.UNREADABLE),
        ("999999工作日", LimitFault.UNREADABLE),
    ],
)
def test_what_is_no_limit_is_named(text: str, fault: LimitFault) -> None:
    """A deadline hangs on the word, so a plain day or hour is never guessed."""
    assert read_limit(text, "", DAYS) is fault


def test_units_are_declared_by_word() -> None:
    assert parse_units("天=working_day, 小时 = working_hour") == DAYS | {"小时": LimitUnit.WORKING_HOUR}
    for wrong in ("天", "天=day", "=working_day"):
        with pytest.raises(BadInputError):
            parse_units(wrong)


def sheet(header: str, *rows: str, file: str = "classes.csv") -> Sheet:
    return Sheet(
        file=file,
        header=tuple(header.split(",")),
        rows=tuple((place, row.split(",")) for place, row in enumerate(rows, start=2)),
    )


def read(*rows: str, conditions: tuple[str, ...] | None = None, **rules: object) -> CategoryTable:
    head = "code,parent,kind,name_zh,name_en,limit"
    given = None
    if conditions is not None:
        given = sheet("category,number,name_zh,limit,is_default", *conditions, file="conditions.csv")
    return read_categories(sheet(head, *rows), given, ReadingRules(**rules))  # type: ignore[arg-type]


def test_bare_digits_get_the_letter_of_their_kind() -> None:
    table = read("01,,部件,公用设施,,", "0101,01,部件,井盖,,", "0101,,事件,垃圾,,")
    assert {code: each.parent for code, each in table.categories.items()} == {
        "P01": None,
        "P0101": "P01",
        "E0101": None,
    }
    assert not table.faults


@pytest.mark.parametrize(
    ("rows", "conditions", "code", "row"),
    [
        (("E01,,,,,",), None, "category.name_missing", 2),
        (("E 1,,event,a,,",), None, "category.code_unusable", 2),
        (("X0001,,event,a,,",), None, "category.code_reserved", 2),
        (("Z1,,,a,,",), None, "category.kind_unknown", 2),
        (("E01,,,a,,", "E01,,,b,,"), None, "category.code_repeated", 3),
        (("E01,,,a,,3天",), None, "category.unit_unclear", 2),
        (("E01,,,a\x07,,",), None, "category.name_unusable", 2),
        (("E01,,,a,,",), ("E02,1,c,1工作日,",), "category.code_unknown", 2),
        (("P01,,,a,,", "E01,,,b,,"), ("01,1,c,1工作日,",), "category.code_ambiguous", 2),
        (("E01,,,a,,",), ("E01,1,c,1工作日,", "E01,1,d,1工作日,"), "category.condition_repeated", 3),
        (("E01,,,a,,",), ("E01,1,c,1工作日,是", "E01,2,d,1工作日,是"), "category.default_repeated", 3),
        (("E01,,,a,,",), ("E01,1,c,,",), "category.limit_missing", 2),
        (("E01,,,a,,",), ("E01,0,c,1工作日,",), "category.number_unusable", 2),
        (("E01,,,a,,",), ("E01,1,c,1工作日,maybe",), "category.mark_unusable", 2),
        ((), None, "category.table_empty", None),
    ],
)
def test_faults_have_a_name_and_a_row(
    rows: tuple[str, ...], conditions: tuple[str, ...] | None, code: str, row: int | None
) -> None:
    faults = read(*rows, conditions=conditions).faults
    assert [(fault.code, fault.row) for fault in faults] == [(code, row)]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(BadInputError, match="column_missing"):
        read_categories(sheet("编码,说明", "E01,a"), None, ReadingRules())
    table = read_categories(sheet("编码,说明", "E01,a"), None, ReadingRules(columns="name_zh=说明"))
    assert table.categories["E01"].name_en == "a"


def test_a_class_with_a_limit_and_no_conditions_gets_one() -> None:
    table = read("E01,,,a,,2工作日", "E0101,E01,,b,,2工作日", "E0102,E01,,c,,", conditions=())
    assert table.categories["E01"].conditions == {}
    own = table.categories["E0101"].conditions
    assert own is not None
    assert [(each.number, each.limit.value, each.is_default) for each in own.values()] == [(1, 2, True)]
    assert table.categories["E0102"].conditions == {}


def condition(number: int, value: int, unit: str = "working_day", *, default: bool = False) -> NewCondition:
    limit = Limit(value=Decimal(value), unit=LimitUnit(unit))
    return NewCondition(number=number, name_zh=f"c{number}", name_en=f"c{number}", limit=limit, is_default=default)


@pytest.mark.parametrize(
    ("conditions", "asked", "strictest"),
    [
        ([condition(1, 5)], 1, 1),
        ([condition(1, 5), condition(2, 2, default=True)], 2, 2),
        ([condition(2, 5), condition(3, 5)], 2, 2),
        ([condition(1, 5), condition(2, 2)], None, 2),
        ([condition(1, 1), condition(2, 7, "urgent_hour")], None, 2),
        ([], None, None),
    ],
)
def test_the_default_follows_the_written_rule(
    conditions: list[NewCondition], asked: int | None, strictest: int | None
) -> None:
    given = {each.number: each for each in conditions}
    for rule, expected in ((InDoubt.ASK, asked), (InDoubt.STRICTEST, strictest)):
        chosen = [number for number, each in choose_default(given, rule).items() if each.is_default]
        assert chosen == ([] if expected is None else [expected])


def stored(code: str, *conditions: NewCondition, used: tuple[int, ...] = (), **changes: object) -> StoredCategory:
    given: dict[str, object] = {
        "code": code,
        "kind": "event",
        "parent": None,
        "name_zh": "a",
        "name_en": "a",
        "code_system": "local",
        "is_active": True,
        "conditions": {each.number: each for each in conditions},
        "used": frozenset(used),
    }
    return StoredCategory(**{**given, **changes})  # type: ignore[arg-type]


def changes_of(table: CategoryTable, *there: StoredCategory, deactivate: bool = False) -> list[Change]:
    return find_changes(table.categories, {each.code: each for each in there}, deactivate_missing=deactivate)


def test_every_kind_of_change_is_told_with_old_and_new() -> None:
    table = read("E01,,,新,a,", conditions=("E01,1,c1,3工作日,是", "E01,4,c4,1工作日,"))
    there = stored(
        "E01", condition(1, 2), condition(2, 1, default=True), condition(3, 1), used=(3,), is_active=False, kind="part"
    )
    found = changes_of(table, there, stored("E09"), stored("X0001", code_system="zurich"), deactivate=True)
    assert [(each.kind, each.code, each.number) for each in found] == [
        (ChangeKind.REACTIVATED, "E01", None),
        (ChangeKind.RENAMED, "E01", None),
        (ChangeKind.MOVED, "E01", None),
        (ChangeKind.LIMIT_CHANGED, "E01", 1),
        (ChangeKind.CONDITION_ADDED, "E01", 4),
        (ChangeKind.CONDITION_REMOVED, "E01", 2),
        (ChangeKind.CONDITION_KEPT, "E01", 3),
        (ChangeKind.DEFAULT_CHANGED, "E01", None),
        (ChangeKind.DEACTIVATED, "E09", None),
    ]
    assert (found[1].old, found[1].new) == ("a", "新")
    assert (found[3].old, found[3].new) == (condition(1, 2).limit, condition(1, 3).limit)


def test_the_same_table_again_changes_nothing() -> None:
    table = read("E01,,,a,a,", conditions=("E01,1,c1,3工作日,是",))
    assert changes_of(table, stored("E01", condition(1, 3, default=True)), deactivate=True) == []


def test_parents_must_exist_and_form_a_tree() -> None:
    table = read("E01,E09,,a,,", "E02,E03,,b,,", "E03,E02,,c,,", "E04,E02,,d,,", "E05,E08,,e,,")
    faults = check_tree("classes.csv", table.categories, {"E09": stored("E09")})
    assert [(fault.code, fault.row) for fault in faults] == [
        ("category.own_ancestor", 3),
        ("category.own_ancestor", 4),
        ("category.parent_unknown", 6),
    ]


def write_workbook(path: Path, rows: list[list[str]], merged: Sequence[str] = ()) -> None:
    """The smallest workbook that a spreadsheet opens: one sheet with texts in the cells themselves."""
    body = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{value}</t></is></c>' for value in row) + "</row>" for row in rows
    )
    spans = "".join(f'<mergeCell ref="{span}"/>' for span in merged)
    spans = f"<mergeCells>{spans}</mergeCells>" if spans else ""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}">'
        '<sheets><sheet name="1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData>{spans}</worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')


def test_a_workbook_reads_like_the_same_table_as_text(tmp_path: Path) -> None:
    rows = [["编码", "名称", "时限"], ["E0101", "暴露垃圾", "2紧急工作时"], ["0102", "道路不洁", "3天"]]
    write_workbook(tmp_path / "t.xlsx", rows)
    (tmp_path / "t.csv").write_text("\n".join(",".join(row) for row in rows), encoding="gb18030")
    book, plain = read_sheet(tmp_path / "t.xlsx"), read_sheet(tmp_path / "t.csv")
    assert (book.header, [(place, list(row)) for place, row in book.rows]) == (
        plain.header,
        [(place, list(row)) for place, row in plain.rows],
    )
    faults = read_categories(book, None, ReadingRules()).faults
    assert [(fault.code, fault.row) for fault in faults] == [("category.kind_unknown", 3)]


def test_a_word_written_once_for_several_rows_holds_for_all_of_them(tmp_path: Path) -> None:
    """Merged downwards it is the same word; sideways, and what is only empty, stays empty and is a fault."""
    rows = [
        ["编码", "立案条件", "时限"],
        ["E0101", "零散", "2紧急工作时"],
        ["", "成堆", "4紧急工作时"],
        ["", "其他", "5紧急工作时"],
        ["E0102", "", "1工作日"],
        ["", "污渍", "1工作日"],
    ]
    write_workbook(tmp_path / "c.xlsx", rows, ["A2:A4", "B5:C5"])
    classes = sheet("code,name_zh", "E0101,a", "E0102,b")
    table = read_categories(classes, read_sheet(tmp_path / "c.xlsx"), ReadingRules())
    assert [(one.code, one.row, one.column) for one in table.faults] == [
        ("category.name_missing", 5, "立案条件"),
        ("category.code_missing", 6, "编码"),
    ]
    own = table.categories["E0101"].conditions
    assert own is not None
    assert [each.name_zh for each in own.values()] == ["零散", "成堆", "其他"]


def test_full_width_letters_and_digits_are_the_same_code() -> None:
    conditions = sheet("编码,序号,立案条件,时限", "Ｅ０１０１,１,零散,２紧急工作时", file="conditions.csv")
    table = read_categories(
        sheet("code,name_zh,kind", "Ｅ０１０１,暴露垃圾，散落,ｅｖｅｎｔ"), conditions, ReadingRules()
    )
    assert not table.faults
    assert table.categories["E0101"].name_zh == "暴露垃圾，散落"
    with pytest.raises(BadInputError, match="full_width_commas"):
        read_categories(sheet("code，name_zh，kind"), None, ReadingRules())


def test_what_hangs_on_a_refused_row_is_not_told_once_more() -> None:
    conditions = sheet("编码,立案条件,时限", "E0101,零散,2紧急工作时", file="conditions.csv")
    faults = read_categories(sheet("code,name_zh", "E0101,"), conditions, ReadingRules()).faults
    assert [(one.code, one.row, one.column) for one in faults] == [("category.name_missing", 2, "name_zh")]


def test_unicode_text_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("编码\t名称\nE01\t市容环境\n", encoding="utf-16")
    assert read_sheet(tmp_path / "t.txt").rows == ((2, ["E01", "市容环境"]),)


def test_a_broken_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(BadInputError, match="not_a_workbook"):
        read_sheet(tmp_path / "t.xlsx")
    with pytest.raises(BadInputError, match="missing"):
        read_sheet(tmp_path / "none.csv")


def test_a_row_of_a_wrong_width_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("code,name_zh\nE01,a\nE02\n", encoding="utf-8")
    table = read_categories(read_sheet(tmp_path / "t.csv"), None, ReadingRules())
    assert [(fault.code, fault.row) for fault in table.faults] == [("report.column_count", 3)]
    assert isinstance(table.categories["E01"], NewCategory)
