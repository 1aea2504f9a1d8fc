"""Rows of historic reports: delimiters, encodings, times and positions, each fault by its name."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dispatch.importing.delimited import Record, open_delimited
from dispatch.importing.instants import AmbiguousTime, Clock, TimeFault
from dispatch.importing.placing import place
from dispatch.importing.rejects import RejectFile
from dispatch.importing.rows import CheckedRow, Rejection, RowRules, check_row, parse_columns, parse_statuses
from dispatch.states import CaseState
from geo.coordinates import CoordSys
from geo.errors import BadInputError
from geo.importing.frames import declared_frame

HEADER = ("ticket", "reported_at", "category", "lon", "lat", "closed_at", "due_at", "text", "status")
GOOD = ("T1", "2024-05-01T08:00", "E0101", "113.617", "34.754", "", "", "", "")
NEW_YORK = ZoneInfo("America/New_York")


def rules(**changes: object) -> RowRules:
    given: dict[str, object] = {
        "columns": {name: index for index, name in enumerate(HEADER)},
        "clock": Clock(zone=NEW_YORK),
        "now": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return RowRules(**{**given, **changes})  # type: ignore[arg-type]


def row(**changes: str) -> Record:
    values = [changes.get(name, value) for name, value in zip(HEADER, GOOD, strict=True)]
    return Record(row=1, line=2, values=values)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ticket": " "}, "report.ticket_missing"),
        ({"ticket": "x" * 300}, "report.text_too_long"),
        ({"ticket": "a\x00b"}, "report.text_unusable"),
        ({"reported_at": ""}, "report.reported_at_missing"),
        ({"reported_at": "yesterday"}, "report.time_unreadable"),
        ({"reported_at": "2023-02-29"}, "report.time_unreadable"),
        ({"reported_at": "0001-01-01"}, "report.time_unreadable"),
        ({"reported_at": "2030-01-01"}, "report.reported_in_future"),
        ({"reported_at": "2024-03-10T02:30"}, "report.time_in_gap"),
        ({"closed_at": "2024-05-01T07:59"}, "report.closed_before_reported"),
        ({"closed_at": "2030-05-01"}, "report.closed_in_future"),
        ({"due_at": "2024-04-30"}, "report.due_before_reported"),
        ({"category": ""}, "report.category_missing"),
        ({"lon": "", "lat": ""}, "report.position_missing"),
        ({"lon": ""}, "report.position_incomplete"),
        ({"lat": "34,754"}, "report.position_unreadable"),
        ({"lon": "0", "lat": "0.0"}, "report.position_zero"),
        ({"text": "x" * 5000}, "report.text_too_long"),
    ],
)
def test_bad_row_is_rejected_by_name(changes: dict[str, str], code: str) -> None:
    found = check_row(row(**changes), rules())
    assert isinstance(found, Rejection)
    assert (found.code, found.row, found.line) == (code, 1, 2)


def test_good_row_is_closed_history_unless_its_status_says_otherwise() -> None:
    found = check_row(row(text="line\nbreak"), rules())
    assert isinstance(found, CheckedRow)
    assert (found.state, found.closed_at) == (CaseState.CLOSED, None)
    assert found.reported_at == datetime(2024, 5, 1, 12, tzinfo=UTC)
    statuses = parse_statuses("Closed=closed, In Progress=open")
    opened = check_row(row(status="In Progress"), rules(statuses=statuses))
    assert isinstance(opened, CheckedRow)
    assert opened.state is CaseState.REPORTED
    for changes, code in (
        ({"status": "Lost"}, "report.status_unknown"),
        ({"status": "In Progress", "closed_at": "2024-05-02"}, "report.open_but_closed"),
    ):
        refused = check_row(row(**changes), rules(statuses=statuses))
        assert isinstance(refused, Rejection)
        assert refused.code == code


def test_row_without_position_can_be_kept() -> None:
    found = check_row(row(lon="", lat=""), rules(keep_without_position=True))
    assert isinstance(found, CheckedRow)
    assert found.x is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (AmbiguousTime.EARLIER, datetime(2024, 11, 3, 5, 30, tzinfo=UTC)),
        (AmbiguousTime.LATER, datetime(2024, 11, 3, 6, 30, tzinfo=UTC)),
        (AmbiguousTime.REJECT, TimeFault.AMBIGUOUS),
    ],
)
def test_hour_that_occurs_twice(choice: AmbiguousTime, expected: datetime | TimeFault) -> None:
    assert Clock(zone=NEW_YORK, ambiguous=choice).read("2024-11-03T01:30:00") == expected


def test_own_offset_and_own_format() -> None:
    clock = Clock(zone=NEW_YORK, ambiguous=AmbiguousTime.REJECT)
    assert clock.read("2024-11-03T01:30:00-05:00") == datetime(2024, 11, 3, 6, 30, tzinfo=UTC)
    american = Clock(zone=NEW_YORK, time_format="%m/%d/%Y %I:%M:%S %p")
    assert american.read("05/01/2022 12:00:03 AM") == datetime(2022, 5, 1, 4, 0, 3, tzinfo=UTC)
    assert american.read("2022-05-01") is TimeFault.UNREADABLE


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_delimiter_encoding_and_compression_are_found(
    tmp_path: Path, delimiter: str, encoding: str, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    data = delimiter.join(["工单", "时间"]) + "\n" + delimiter.join(["1", '"建设路\n甲, 乙"']) + "\n"
    path.write_bytes(gzip.compress(data.encode(encoding)) if suffix.endswith("gz") else data.encode(encoding))
    file = open_delimited(path)
    assert file.header == ("工单", "时间")
    assert [(record.row, record.line, list(record.values)) for record in file.records()] == [
        (1, 3, ["1", "建设路\n甲, 乙"])
    ]


def test_broken_rows_are_counted_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n\n1,2,3\n1\n"x"y,2\n5,6\n', encoding="utf-8")
    found = [(record.row, record.fault) for record in open_delimited(path).records()]
    assert found == [
        (1, None),
        (2, "report.column_count"),
        (3, "report.column_count"),
        (4, "report.row_unreadable"),
        (5, None),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "import.no_header"), (b"a,a\n1,2\n", "import.no_header"), (b"\x1f\x8bxx", "import.file_unreadable")],
)
def test_file_that_is_none(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(BadInputError) as caught:
        open_delimited(path)
    assert caught.value.code == code


def test_wrong_byte_far_down_is_found_before_anything_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 600_000 + b"\xff\xff,2\n")
    with pytest.raises(BadInputError) as caught:
        open_delimited(path)
    assert caught.value.code == "import.encoding"


@pytest.mark.parametrize("text", ["ticket=a", "colour=a", "ticket=a,ticket=b", "ticket=zzz"])
def test_columns_that_make_no_sense(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_columns(text, ["a", "b"])


@pytest.mark.parametrize(
    ("lon", "lat", "crs", "code"),
    [
        ("34.754", "113.617", None, "report.axes_swapped"),
        ("200", "10", None, "report.longitude_out_of_range"),
        ("10", "-95", None, "report.latitude_out_of_range"),
        ("nan", "10", None, "report.coordinate_not_finite"),
        ("8.5", "47.3", "EPSG:2056", "report.position_looks_like_degrees"),
        ("inf", "47.3", "EPSG:2056", "report.coordinate_not_finite"),
        ("1e30", "1e30", "EPSG:2056", "report.position_not_transformable"),
    ],
)
def test_position_that_cannot_be(lon: str, lat: str, crs: str | None, code: str) -> None:
    checked = check_row(row(lon=lon, lat=lat), rules())
    assert isinstance(checked, CheckedRow)
    placed, rejected = place([checked], declared_frame(None if crs else CoordSys.WGS84, crs))
    assert (placed, [each.code for each in rejected]) == ([], [code])


def test_reject_file_keeps_the_original_columns(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("stale", encoding="utf-8")
    with RejectFile(path, ["a", "b"], lambda rejection: f"because {rejection.code}") as rejects:
        assert not path.exists()
        rejects.add([Rejection(row=7, line=8, code="report.x", params={}, values=["=1+1", "二"])])
    rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    assert rows == [
        ["row", "line", "reason_code", "reason", "a", "b"],
        ["7", "8", "report.x", "because report.x", "=1+1", "二"],
    ]
