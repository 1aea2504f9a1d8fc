"""Rates: what each one means, in versions, and the SQL that follows from it. The only place that defines them.

A rate is two conditions on a case: who counts below the line, and who of these counts above it. Map, table, export,
bulletin, wall and API ask for numerator and denominator of the same conditions, so they cannot differ; the division and
its rounding (half up, two decimals) are made once, in `maps.figures`. A changed definition gets a new version; frozen
months keep the version that they were made with.

Pure: text in, text out; `dispatch.rates` runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dispatch.states import CaseState

__all__ = ["DEFINITIONS", "HEADLINE", "Cells", "Definition", "Dimension", "Part", "Rate", "case_query", "table_query"]


class Rate(StrEnum):
    """The rates there are."""

    SOLVED = "solved"
    CLOSURE = "closure"
    ON_TIME_CLOSURE = "on_time_closure"
    HANDLING = "handling"
    ON_TIME_HANDLING = "on_time_handling"
    REWORK = "rework"
    EXTENSION = "extension"
    OVERDUE = "overdue"
    ON_TIME_DISPATCH = "on_time_dispatch"
    RIGHT_DISPATCH = "right_dispatch"
    FILING = "filing"
    SATISFACTION = "satisfaction"
    REDO = "redo"
    PUBLIC = "public"
    CLOSED_AT_LEVEL = "closed_at_level"


class Part(StrEnum):
    """Which cases of a rate are meant."""

    NUMERATOR = "numerator"
    DENOMINATOR = "denominator"
    MISSING = "missing"
    """Below the line and not above it: mostly the ones to look at."""


class Dimension(StrEnum):
    """What a table has a row for."""

    TOTAL = "total"
    LEVEL_1 = "level_1"
    LEVEL_2 = "level_2"
    LEVEL_3 = "level_3"
    DEPARTMENT = "department"
    HEAD = "head"
    MAJOR = "major"
    CATEGORY = "category"
    CHANNEL = "channel"
    LEDGER = "ledger"


class Cells(StrEnum):
    """In which cells cases are counted; never in those of two drawings at once."""

    AS_PUT = "as_put"
    """By code, whatever drawing they were put into: right where there is only one, or no cell is asked for."""
    OWN_DAY = "own_day"
    """Of one drawing, and only cases that were put into it on their day; the others have no cell."""
    RECUT = "recut"
    """Of one drawing, every case by its position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a rate means.

    Attributes
    ----------
    version
        Grows when the meaning changes.
    numerator, denominator
        Conditions on a case ``c``; the numerator is always asked of the denominator's cases.
    more_is_better
        Which end of a table is the worst one.
    """

    version: int
    numerator: str
    denominator: str
    more_is_better: bool = True


def _within(column: str) -> str:
    """Return the condition that an instant lies in the period. Boundary: start included, end excluded."""
    return f"({column} >= %(from)s AND {column} < %(until)s)"


_HANDLED = "c.handled_at IS NOT NULL"
_CLOSED = "c.state = 'closed'"
# An appeal that was upheld changes no fact; in statistics the case counts as on time.
_ON_TIME = "(coalesce(c.is_on_time, false) OR c.is_exempt)"
# Somebody's mistake is no task; a merged case is told by the one it follows.
_REAL = "c.state NOT IN ('voided', 'merged')"
# Suspended by approval for the whole period: nobody could do anything in it.
# IN rather than EXISTS: the few such cases are looked up once and kept in a hash.
_NOT_PAUSED = """c.id NOT IN (SELECT p.case_id FROM dispatch.case_pause AS p
                WHERE p.starts_at <= %(from)s AND p.ends_at >= %(until)s)"""


def _due_to(stamp: str) -> str:
    """Return who is due: the final deadline lies in the period, or it was done in the period ahead of the deadline."""
    ahead = f"{_within(stamp)} AND {stamp} < c.due_at"
    return f"({_REAL} AND ({_within('c.due_at')} OR ({ahead})) AND {_NOT_PAUSED})"


_DUE_TO_CLOSE = _due_to("c.closed_at")
_DUE_TO_HANDLE = _due_to("c.handled_at")
_EPOCH_CLOSED = f"c.id IN (SELECT e.case_id FROM dispatch.case_epoch AS e WHERE {_within('e.closed_at')})"  # noqa: S608
_CLOSED_ONCE = f"({_REAL} AND ({_within('c.closed_at')} OR {_EPOCH_CLOSED}))"
# Minutes day and night, of the subdistrict's profile or else of the jurisdiction's; without any, fifteen.
_DISPATCH_MINUTES = """coalesce(
  (SELECT r.dispatch_minutes FROM dispatch.profile AS r WHERE r.jurisdiction = c.jurisdiction
      AND r.cell_code IN (coalesce(c.cell_path[1], ''), '') ORDER BY r.cell_code DESC LIMIT 1), 15)"""
_PUBLIC = """coalesce((SELECT f.found_by = 'citizen' FROM dispatch.channel_finder AS f
  WHERE f.channel_code = c.channel_code), c.channel_code NOT IN ('patrol', 'camera'))"""
_FILED = f"({_REAL} AND {_within('c.filed_at')})"

DEFINITIONS: Final[dict[Rate, Definition]] = {
    Rate.SOLVED: Definition(
        version=1, numerator=_CLOSED, denominator=f"({_REAL} AND c.state <> 'declined' AND {_within('c.reported_at')})"
    ),
    Rate.CLOSURE: Definition(version=1, numerator=_CLOSED, denominator=_DUE_TO_CLOSE),
    Rate.ON_TIME_CLOSURE: Definition(version=1, numerator=f"{_CLOSED} AND {_ON_TIME}", denominator=_DUE_TO_CLOSE),
    Rate.HANDLING: Definition(version=1, numerator=_HANDLED, denominator=_DUE_TO_HANDLE),
    Rate.ON_TIME_HANDLING: Definition(version=1, numerator=f"{_HANDLED} AND {_ON_TIME}", denominator=_DUE_TO_HANDLE),
    Rate.REWORK: Definition(version=1, numerator="c.rework_count > 0", denominator=_DUE_TO_CLOSE, more_is_better=False),
    Rate.EXTENSION: Definition(
        version=1, numerator="c.extension_count > 0", denominator=_DUE_TO_HANDLE, more_is_better=False
    ),
    Rate.OVERDUE: Definition(
        version=1,
        numerator="c.handled_at IS NULL AND c.due_at < %(as_of)s AND c.state NOT IN ('closed', 'suspended')",
        denominator=_DUE_TO_HANDLE,
        more_is_better=False,
    ),
    Rate.ON_TIME_DISPATCH: Definition(
        version=1,
        numerator=f"c.dispatched_at <= c.filed_at + make_interval(mins => {_DISPATCH_MINUTES})",
        denominator=_FILED,
    ),
    Rate.RIGHT_DISPATCH: Definition(
        version=1, numerator="c.dispatched_at IS NOT NULL AND c.return_count = 0", denominator=_FILED
    ),
    Rate.FILING: Definition(
        version=1, numerator="c.filed_at IS NOT NULL", denominator=f"({_REAL} AND {_within('c.accepted_at')})"
    ),
    Rate.SATISFACTION: Definition(
        version=1,
        numerator="c.follow_up = 'satisfied'",
        denominator=f"({_CLOSED_ONCE} AND c.follow_up IN ('satisfied', 'dissatisfied'))",
    ),
    Rate.REDO: Definition(version=1, numerator=_EPOCH_CLOSED, denominator=_CLOSED_ONCE, more_is_better=False),
    Rate.PUBLIC: Definition(version=1, numerator=_PUBLIC, denominator=_FILED),
    Rate.CLOSED_AT_LEVEL: Definition(
        version=1,
        numerator="c.closed_level = cardinality(c.cell_path)",
        denominator=f"({_CLOSED} AND {_within('c.closed_at')} AND c.closed_level > 0 AND c.cell_id IS NOT NULL)",
    ),
}
#: What a page shows when nobody chose.
HEADLINE: Final = (Rate.SOLVED, Rate.CLOSURE, Rate.ON_TIME_CLOSURE, Rate.CLOSED_AT_LEVEL)

_KEYS: Final = {
    Dimension.TOTAL: "''",
    Dimension.LEVEL_1: "coalesce(drawn.path[1], '')",
    Dimension.LEVEL_2: "coalesce(drawn.path[2], '')",
    Dimension.LEVEL_3: "coalesce(drawn.path[3], '')",
    Dimension.DEPARTMENT: "coalesce(c.department_code, '')",
    Dimension.HEAD: "coalesce(c.owner_person_id::text, '')",
    Dimension.MAJOR: "(SELECT coalesce(k.parent, k.code) FROM dispatch.category AS k WHERE k.code = c.category_code)",
    Dimension.CATEGORY: "c.category_code",
    Dimension.CHANNEL: "c.channel_code",
    Dimension.LEDGER: "tag.ledger",
}
_PATHS: Final = {
    Cells.AS_PUT: "c.cell_path",
    Cells.OWN_DAY: "CASE WHEN c.grid_version_id = %(drawing)s THEN c.cell_path ELSE '{}'::text[] END",
    # What lies in a cell that the redraw left alone keeps its path; only the rest is looked for by position.
    Cells.RECUT: """CASE WHEN c.grid_version_id = %(drawing)s
           OR c.cell_id IN (SELECT s.id FROM geo.settled_cells(%(drawing)s) AS s) THEN c.cell_path
         WHEN c.location IS NULL THEN '{}'::text[]
         ELSE coalesce((SELECT g.path FROM geo.covering_cell(%(drawing)s, c.location) AS g), '{}'::text[]) END""",
}
_FROM: Final = "dispatch.dispatch_case AS c"
_TAGS: Final = " CROSS JOIN LATERAL (SELECT DISTINCT l.ledger FROM unnest(c.ledgers) AS l (ledger)) AS tag"
_FILTER: Final = """c.jurisdiction = %(jurisdiction)s
   AND (%(origin)s::text IS NULL OR c.origin = %(origin)s)
   AND (%(categories)s::text[] IS NULL OR c.category_code = ANY (%(categories)s::text[]))
   AND (%(channels)s::text[] IS NULL OR c.channel_code = ANY (%(channels)s::text[]))
   AND (%(ledgers)s::text[] IS NULL OR c.ledgers && %(ledgers)s::text[])
   AND (%(departments)s::text[] IS NULL OR c.department_code = ANY (%(departments)s::text[]))
   AND (%(area)s::text[] IS NULL OR drawn.path && %(area)s::text[])"""


def _source(dimension: Dimension, cells: Cells) -> str:
    # Pulled up, a plain path is the column itself, with its index; a search by position is made once for each case.
    once = " OFFSET 0" if cells is Cells.RECUT else ""
    tags = _TAGS if dimension is Dimension.LEDGER else ""
    return f"{_FROM}{tags} CROSS JOIN LATERAL (SELECT {_PATHS[cells]} AS path{once}) AS drawn"


def table_query(dimension: Dimension, rates: tuple[Rate, ...], cells: Cells = Cells.AS_PUT) -> str:
    """Return the statement that counts numerator and denominator of some rates by one dimension, in one pass."""
    below = list(dict.fromkeys(DEFINITIONS[rate].denominator for rate in rates))
    columns = []
    for rate in rates:
        defined = DEFINITIONS[rate]
        is_below = f"b.b{below.index(defined.denominator)}"
        columns.append(f"count(*) FILTER (WHERE {is_below} AND ({defined.numerator})) AS n_{rate}")
        columns.append(f"count(*) FILTER (WHERE {is_below}) AS d_{rate}")
    # OFFSET 0 keeps the planner from asking each condition again wherever it is used.
    asked = ", ".join(f"{condition} AS b{k}" for k, condition in enumerate(below))
    wanted = " OR ".join(f"b.b{k}" for k in range(len(below)))
    return (
        f"SELECT {_KEYS[dimension]} AS key, {', '.join(columns)} FROM {_source(dimension, cells)}"  # noqa: S608 - constants
        f" CROSS JOIN LATERAL (SELECT {asked} OFFSET 0) AS b WHERE {_FILTER} AND ({wanted}) GROUP BY 1"
    )


def case_query(dimension: Dimension, rate: Rate, part: Part, cells: Cells = Cells.AS_PUT) -> str:
    """Return the statement that lists the cases behind one number, newest first."""
    defined = DEFINITIONS[rate]
    chosen = {
        Part.NUMERATOR: f"({defined.numerator})",
        Part.DENOMINATOR: "true",
        # Not "NOT (…)": a condition that is unknown is not met either.
        Part.MISSING: f"({defined.numerator}) IS NOT TRUE",
    }[part]
    key = "true" if dimension is Dimension.TOTAL else f"{_KEYS[dimension]} = %(key)s"
    return (
        "SELECT c.id, c.ref, c.state, c.category_code, c.channel_code, c.reported_at, c.due_at,"  # noqa: S608 - as above
        " c.handled_at,"
        f" c.closed_at, c.is_on_time FROM {_source(dimension, cells)}"
        f" WHERE {_FILTER} AND {defined.denominator} AND {chosen} AND {key}"
        " AND (%(after_at)s::timestamptz IS NULL OR (c.reported_at, c.id) < (%(after_at)s, %(after_id)s::uuid))"
        " ORDER BY c.reported_at DESC, c.id DESC LIMIT %(limit)s"
    )


assert set(DEFINITIONS) == set(Rate)
assert all(CaseState(word) for word in ("closed", "voided", "merged", "declined", "suspended"))
