"""Rates: percentages, worst class, printed figures, files."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import openpyxl  # type: ignore[import-untyped]
import pytest

from api.demo.published import PRINTED
from dispatch.evaluation import DEFINITIONS, Dimension, Rate
from dispatch.freezing import parse_month
from dispatch.rates import RateRow, RateTable
from geo.errors import BadInputError
from maps.findings import Period
from maps.i18n import LOCALES, catalogue
from maps.rates.published import Printed, Verdict, compare
from maps.rates.sheet import table_xlsx
from maps.rates.table import csv_rows, figure_of, view_table, word_finding

#: What the demo district holds, by subdistrict and ledger.
COUNTED = {
    ("410102001", ""): (15_758, 15_882),
    ("410102002", ""): (11_995, 12_115),
    ("410102004", ""): (5_676, 5_776),
    ("410102004", "ledger_issue"): (1_592, 1_609),
    ("410102004", "social_information"): (4_084, 4_167),
    ("410105008", ""): (133_669, 135_298),
    ("410105008", "three_illegals"): (943, 1_271),
}


def table(**rows: tuple[int, int]) -> RateTable:
    made = tuple(RateRow(key=key, counts={Rate.SOLVED: counts}) for key, counts in rows.items())
    total = (sum(c[0] for c in rows.values()), sum(c[1] for c in rows.values()))
    return RateTable(
        dimension=Dimension.LEDGER,
        rates=(Rate.SOLVED,),
        versions={Rate.SOLVED: 1},
        total=RateRow(key="", counts={Rate.SOLVED: total}),
        rows=made,
        as_of=datetime(2026, 11, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("counts", "percent"),
    [
        ((15_758, 15_882), "99.22"),
        ((1_592, 1_609), "98.94"),
        ((4_084, 4_167), "98.01"),
        ((133_669, 135_298), "98.80"),
        ((943, 1_271), "74.19"),
        ((1, 800), "0.13"),
        ((0, 7), "0.00"),
        ((7, 7), "100.00"),
        ((0, 0), None),
    ],
)
def test_percentages_are_rounded_half_up(counts: tuple[int, int], percent: str | None) -> None:
    assert figure_of(counts).percent == percent


def test_printed_figures_that_do_not_add_up_are_exposed() -> None:
    found = {(each.printed.cell, each.printed.ledger): each for each in compare(PRINTED, COUNTED)}
    assert {key: each.verdict for key, each in found.items()} == {
        ("410102002", ""): Verdict.VAGUE,
        ("410102001", ""): Verdict.AGREES,
        ("410102004", "ledger_issue"): Verdict.WRONG,
        ("410102004", "social_information"): Verdict.AGREES,
        ("410105008", ""): Verdict.HIDES,
        ("410105008", "three_illegals"): Verdict.WRONG,
    }
    assert (found["410102002", ""].low, found["410102002", ""].high) == (11_934, 12_054)
    assert (found["410102001", ""].low, found["410102001", ""].high) == (15_758, 15_758)
    assert found["410102004", "ledger_issue"].recomputed == "98.94"


def test_a_printed_figure_of_nothing_known_is_recomputed_from_itself() -> None:
    figure = Printed(cell="x", year="2000", ledger="", numerator=1, denominator=3, percent="33.3")
    (found,) = compare([figure], {})
    assert (found.verdict, found.counted_percent) == (Verdict.AGREES, None)


def test_the_worst_class_stands_beside_the_total() -> None:
    view = view_table("zh-CN", table(good=(990, 1000), bad=(943, 1271), tiny=(0, 3)), {"bad": ("三非", "Illegals")})
    assert view.worst is not None
    assert view.worst.key == "bad"
    assert [row.key for row in view.rows] == ["tiny", "bad", "good"]
    assert word_finding("zh-CN", view, period="近 30 天") == (
        "近 30 天办结率 85.00 %（1,933 / 2,274）；最低的是三非：74.19 %（943 / 1,271）"
    )
    assert view_table("en", table(one=(5, 50)), {}).worst is None
    assert "no cases" in word_finding("en", view_table("en", table(), {}), period="Today")


def test_files_hold_numbers_and_names_that_are_no_formulas() -> None:
    view = view_table("en", table(x=(943, 1271)), {"x": ("=1+1", '=HYPERLINK("http://x")')})
    period = Period(from_on=date(2026, 10, 1), to_on=date(2026, 10, 31))
    book = openpyxl.load_workbook(
        io.BytesIO(
            table_xlsx(
                "en", view, period=period, as_of=datetime(2026, 11, 1, tzinfo=UTC), zone="Asia/Shanghai", grid="1"
            )
        )
    )
    sheet = book.worksheets[0]
    line = [cell.value for cell in sheet[5]][:5]
    assert line == ['=HYPERLINK("http://x")', "x", 74.19, 943, 1271]
    assert sheet["A5"].data_type == "s"
    assert csv_rows("en", view)[2] == ['=HYPERLINK("http://x")', "x", "74.19", "943", "1271"]


def test_every_rate_has_words_in_both_languages() -> None:
    for locale in LOCALES:
        texts = catalogue(locale)
        for rate in Rate:
            assert DEFINITIONS[rate].version >= 1
            assert texts[f"rates.rate.{rate.value}"]
            assert texts[f"rates.define.{rate.value}"]
        for dimension in Dimension:
            assert texts[f"rates.by.{dimension.value}"]


def test_months_are_read_strictly() -> None:
    assert parse_month("2026-10") == date(2026, 10, 1)
    for text in ("2026-13", "2026", "x", "1066-10", "2026-10-01", "２０２６-10x"):
        with pytest.raises(BadInputError):
            parse_month(text)
