"""Import historic reports: read, check, place, store; one transaction per batch, safe to run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.importing.categories import CODES, Categories, open_categories
from dispatch.importing.delimited import DelimitedFile, Record, open_delimited
from dispatch.importing.instants import AmbiguousTime, Clock
from dispatch.importing.placing import PlacedRow, place
from dispatch.importing.rejects import Describe, RejectFile
from dispatch.importing.rows import CheckedRow, Rejection, RowRules, check_row, parse_columns, parse_statuses
from dispatch.importing.storage import (
    BatchSource,
    ensure_channel,
    find_time_zone,
    write_batch,
)
from geo.coordinates import CoordSys
from geo.errors import BadInputError, NotFoundError
from geo.importing.frames import Frame, declared_frame
from geo.storage.grid_versions import find_active, get_version
from geo.storage.uow import read_unit, write_unit

DEFAULT_BATCH = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImportOptions:
    """What the user declares about a file of reports.

    Parameters
    ----------
    columns
        ``ticket=row,reported_at=date,…``
    categories
        ``codes`` (the column holds our codes), ``auto`` (make one per name) or the path of a CSV ``source,code``.
    time_zone
        Zone of times without an offset; the jurisdiction's own if left out.
    version_number
        Grid version to locate against; the active one if left out.
    """

    columns: str
    jurisdiction: str
    channel: str
    coord_sys: CoordSys | None = None
    crs: str | None = None
    categories: str = CODES
    statuses: str = ""
    time_zone: str | None = None
    time_format: str | None = None
    ambiguous: AmbiguousTime = AmbiguousTime.EARLIER
    keep_without_position: bool = False
    version_number: int | None = None
    encoding: str | None = None
    delimiter: str | None = None
    batch: int = DEFAULT_BATCH
    rejects: Path | None = None


@dataclass(slots=True, kw_only=True)
class ReportImport:
    """What became of an import; grows batch by batch. ``rejected`` counts by reason code."""

    file: str
    rows: int = 0
    added: int = 0
    already_there: int = 0
    located: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    categories_added: int = 0
    rejects: Path | None = None


Progress = Callable[[ReportImport], None]


async def import_reports(
    engine: AsyncEngine,
    path: Path,
    options: ReportImportOptions,
    describe: Describe,
    *,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> ReportImport:
    """Import a CSV of historic reports.

    Every row is either added, counted as already there, or written to the reject file with its reason. A batch is
    stored whole or not at all; after a crash, running again continues where it stopped, because (channel, ticket) is
    unique.

    Parameters
    ----------
    describe
        Sentence for the reject file.
    now
        Rows later than this are rejected; the present instant if left out.

    Raises
    ------
    BadInputError
        The file or an option is no good; nothing was written.
    NotFoundError
        ``geo.jurisdiction_unknown``, ``geo.version_unknown``, ``geo.no_active_version``.
    """
    frame = declared_frame(options.coord_sys, options.crs)
    file = open_delimited(path, encoding=options.encoding, delimiter=options.delimiter)
    columns = parse_columns(options.columns, file.header)
    source, zone = await _source(engine, file, frame, options)
    rules = RowRules(
        columns=columns,
        clock=Clock(zone=zone, ambiguous=options.ambiguous, time_format=options.time_format),
        now=now or datetime.now(UTC),
        statuses=parse_statuses(options.statuses),
        keep_without_position=options.keep_without_position,
    )
    categories = await open_categories(engine, options.categories, options.channel)
    outcome = ReportImport(file=path.name)
    target = options.rejects or Path(f"{path.name.split('.')[0]}.rejects.csv")
    with RejectFile(target, file.header, describe) as rejects:
        records = file.records()
        while batch := list(islice(records, options.batch)):
            rejected = await _store(engine, batch, rules, frame, source, categories, outcome)
            rejects.add(rejected)
            outcome.rows += len(batch)
            outcome.rejected.update(each.code for each in rejected)
            if progress is not None:
                progress(outcome)
        outcome.rejects = target if rejects.count else None
    outcome.categories_added = categories.added
    return outcome


async def _store(
    engine: AsyncEngine,
    batch: Sequence[Record],
    rules: RowRules,
    frame: Frame,
    source: BatchSource,
    categories: Categories,
    outcome: ReportImport,
) -> list[Rejection]:
    rejected: list[Rejection] = []
    placed, unplaced = place(list(_sound(batch, rules, rejected)), frame)
    rejected += unplaced
    known = []
    for each in placed:
        if categories.knows(each.row.category):
            known.append(each)
        else:
            rejected.append(_reject(each.row, "report.category_unknown", value=each.row.category[:80]))
    known, twice = _first_of_each_ticket(known)
    rejected += twice
    if not known:
        return rejected
    async with write_unit(engine) as unit:
        await ensure_channel(unit, source.channel)
        codes = await categories.codes(unit, known)
        stored = await write_batch(unit, source, known, codes)
    by_row = {each.row.row: each.row for each in known}
    rejected += [
        _reject(by_row[row], "report.ticket_repeated", value=by_row[row].ticket[:80], first=first)
        for row, first in stored.repeated.items()
    ]
    outcome.located.update(stored.located)
    outcome.added += sum(stored.located.values())
    outcome.already_there += stored.already_there
    return rejected


def _sound(batch: Sequence[Record], rules: RowRules, rejected: list[Rejection]) -> Iterator[CheckedRow]:
    for record in batch:
        found = check_row(record, rules)
        if isinstance(found, Rejection):
            rejected.append(found)
        else:
            yield found


def _first_of_each_ticket(rows: Sequence[PlacedRow]) -> tuple[list[PlacedRow], list[Rejection]]:
    """Within a batch the earlier row of a ticket wins; between batches the database finds the repetition."""
    first_of: dict[str, PlacedRow] = {}
    twice = []
    for each in sorted(rows, key=lambda placed: placed.row.row):
        first = first_of.setdefault(each.row.ticket, each)
        if first is not each:
            twice.append(_reject(each.row, "report.ticket_repeated", value=each.row.ticket[:80], first=first.row.row))
    return list(first_of.values()), twice


def _reject(row: CheckedRow, code: str, **params: str | int | float) -> Rejection:
    return Rejection(row=row.row, line=row.line, code=code, params=params, values=row.values)


async def _source(
    engine: AsyncEngine, file: DelimitedFile, frame: Frame, options: ReportImportOptions
) -> tuple[BatchSource, ZoneInfo]:
    async with read_unit(engine) as unit:
        own_zone = await find_time_zone(unit, options.jurisdiction)
        if own_zone is None:
            raise NotFoundError("geo.jurisdiction_unknown", jurisdiction=options.jurisdiction)
        if options.version_number is not None:
            version = await get_version(unit, options.jurisdiction, options.version_number)
        else:
            active = await find_active(unit, options.jurisdiction)
            if active is None:
                raise NotFoundError("geo.no_active_version", jurisdiction=options.jurisdiction)
            version = active
    name = options.time_zone or own_zone
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as unknown:
        raise BadInputError("import.time_zone_unknown", time_zone=name[:80]) from unknown
    source = BatchSource(
        jurisdiction=options.jurisdiction,
        time_zone=own_zone,
        channel=options.channel,
        coord_sys=frame.name,
        version=version.id,
        file=file.path.name,
        digest=file.digest,
    )
    return source, zone
