"""The monthly bulletin (通报): what rose, what comes back, who is overdue, what was closed where it arose. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from dispatch.evaluation import DEFINITIONS, Part, Rate
from maps.figures import format_change, format_count
from maps.i18n import Locale, translate
from maps.rates.table import Figure, NamedRow, RatesView
from maps.suppression import SMALL_COUNT

__all__ = ["SHOWN_RATES", "Bulletin", "BulletinData", "Rising", "Section", "Site", "make_bulletin", "rank_rising"]

Cell = str | int | float | None

#: What the bulletin gives for the whole district.
SHOWN_RATES: Final = (
    Rate.SOLVED,
    Rate.CLOSURE,
    Rate.ON_TIME_CLOSURE,
    Rate.HANDLING,
    Rate.OVERDUE,
    Rate.REWORK,
    Rate.CLOSED_AT_LEVEL,
)
_ROWS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rising:
    """A cell with more cases than in the month before. ``before`` is None when it is too small to be shown."""

    code: str
    name: str
    cases: int
    before: int | None
    more: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place where one class came back: the cell, the class, cases, on how many days, the last of them; its square."""

    category_code: str
    square: str

    code: str
    cell: str
    category: str
    cases: int
    days: int
    last_day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinData:
    """Everything that a bulletin is written from.

    Attributes
    ----------
    month
        Its first day.
    headline, before
        The district's rates of the month and of the month before. When the month is frozen, as it was frozen.
    frozen_at
        When the month was frozen; None when it is counted now.
    departments, communities, levels
        Overdue by department and by second level, closed at level by first level.
    is_over
        Whether the month has ended.
    """

    month: date
    place: str
    headline: Mapping[Rate, Figure]
    before: Mapping[Rate, Figure]
    frozen_at: datetime | None
    rising: Sequence[Rising]
    sites: Sequence[Site]
    departments: RatesView
    communities: RatesView
    levels: RatesView
    drawing: str
    is_over: bool
    as_of: datetime
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with its heading and a sentence; ``empty`` is said when there are no rows.

    ``links`` has for each row the addresses of the cases behind its numbers, beside the page, by column.
    """

    key: str
    title: str
    lead: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    links: tuple[Mapping[int, str], ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers: their values decide, and the first one names the row."""
        return tuple(k > 0 and all(_is_number(row[k]) for row in self.rows) for k in range(len(self.columns)))


def _is_number(value: Cell) -> bool:
    if not isinstance(value, str):
        return True
    plain = value.lstrip("+−<>-").replace(",", "").replace(".", "", 1)
    # A code is digits only, and longer than any count here.
    return plain.isdigit() and len(plain) < 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """A bulletin in words, ready for a page, Word, Excel or paper."""

    title: str
    subtitle: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[tuple[str, str], ...]


def rank_rising(cells: Sequence[tuple[str, str, int, int]], *, most: int = _ROWS) -> list[Rising]:
    """Return the cells with the largest increase, from (code, name, cases, cases before); small counts stay closed.

    A cell below five cases is left out; one that had fewer than five before is ranked as if it had had none or four:
    the less surprising of the two, so that nobody can tell which.

    Examples
    --------
    >>> [(each.code, each.more) for each in rank_rising([("a", "A", 30, 10), ("b", "B", 9, 2), ("c", "C", 4, 0)])]
    [('a', 20), ('b', None)]
    """
    found = []
    for code, name, cases, before in cells:
        is_small = 0 < before < SMALL_COUNT
        known = SMALL_COUNT - 1 if is_small else before
        if cases >= SMALL_COUNT and cases > known:
            shown = None if is_small else before
            more = None if is_small else cases - before
            found.append((cases - known, Rising(code=code, name=name, cases=cases, before=shown, more=more)))
    found.sort(key=lambda each: (-each[0], each[1].code))
    return [rising for _, rising in found[:most]]


def make_bulletin(locale: Locale, data: BulletinData) -> Bulletin:
    """Put a bulletin into words."""

    def say(key: str, **facts: object) -> str:
        return translate(locale, f"bulletin.{key}", **facts)

    named = translate(locale, f"planner.month.{data.month.month}")
    month = translate(locale, "planner.period.month", year=data.month.year, month=named)
    local = ZoneInfo(data.zone)
    stand = data.as_of.astimezone(local).strftime("%Y-%m-%d %H:%M")
    subtitle = say("subtitle" if data.is_over else "subtitle.running", as_of=stand)
    if data.frozen_at is not None:
        subtitle += " " + say("subtitle.frozen", at=data.frozen_at.astimezone(local).strftime("%Y-%m-%d %H:%M"))
    return Bulletin(
        title=say("title", place=data.place, month=month),
        subtitle=subtitle,
        lead=_lead(locale, data),
        sections=(
            _headline(locale, data),
            _rising(locale, data),
            _sites(locale, data),
            _overdue(locale, data, "departments", data.departments),
            _overdue(locale, data, "communities", data.communities),
            _closed_at_level(locale, data),
        ),
        notes=(
            *(
                (
                    translate(locale, f"rates.rate.{rate.value}"),
                    translate(locale, f"rates.define.{rate.value}") + f" (v{DEFINITIONS[rate].version})",
                )
                for rate in SHOWN_RATES
            ),
            (say("note.small"), say("note.small.text", small=SMALL_COUNT)),
            (say("note.grid"), data.drawing),
            (translate(locale, "rates.define.round"), say("note.round")),
        ),
    )


def _lead(locale: Locale, data: BulletinData) -> tuple[str, ...]:
    """The month in three sentences at most."""
    closure = data.headline[Rate.ON_TIME_CLOSURE]
    lines = []
    if closure.percent is None:
        lines.append(translate(locale, "bulletin.lead.nothing"))
    else:
        lines.append(
            translate(
                locale,
                "bulletin.lead.closure",
                percent=closure.percent,
                numerator=format_count(closure.numerator),
                denominator=format_count(closure.denominator),
                change=_change(locale, closure, data.before[Rate.ON_TIME_CLOSURE]),
            )
        )
    if data.rising:
        first = data.rising[0]
        lines.append(translate(locale, "bulletin.lead.rising", name=first.name, cases=format_count(first.cases)))
    late = _late(data.departments.total)
    if late:
        worst = next((row for row in _with_numbers(data.departments) if row.key), None)
        key = "bulletin.lead.overdue" if worst is None else "bulletin.lead.overdue_worst"
        count = "" if worst is None else format_count(_late(worst))
        name = "" if worst is None else worst.name
        lines.append(translate(locale, key, cases=format_count(late), name=name, worst=count))
    return tuple(lines)


def _change(locale: Locale, now: Figure, before: Figure) -> str:
    if now.percent is None or before.percent is None:
        return translate(locale, "bulletin.change.unknown")
    points = _points(now, before)
    return translate(locale, "bulletin.change.points", points=format_change(f"{points:+.2f}"))


def _points(now: Figure, before: Figure) -> float:
    return round(float((now.percent or "0").replace(",", "")) - float((before.percent or "0").replace(",", "")), 2)


def _columns(locale: Locale, *names: str) -> tuple[str, ...]:
    return tuple(translate(locale, f"bulletin.column.{name}") for name in names)


def _section(
    locale: Locale,
    key: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Cell, ...]],
    links: Sequence[Mapping[int, str]],
) -> Section:
    return Section(
        key=key,
        title=translate(locale, f"bulletin.section.{key}"),
        lead=translate(locale, f"bulletin.section.{key}.lead"),
        columns=columns,
        rows=tuple(rows),
        empty=translate(locale, f"bulletin.section.{key}.empty"),
        links=tuple(links),
    )


def _days(data: BulletinData, *, before: int = 0) -> dict[str, str]:
    """Return first and last day of the month, or of one before, as an address writes them."""
    first = data.month
    for _ in range(before):
        first = (first - timedelta(days=1)).replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return {"from": first.isoformat(), "to": (following - timedelta(days=1)).isoformat()}


def _rate_cases(data: BulletinData, by: str, rate: Rate, part: Part, key: str | None = None) -> str:
    words = _days(data) | {"by": by, "rate": rate.value, "part": part.value}
    return "rates/cases?" + urlencode(words if key is None else words | {"key": key})


def _map_cases(days: Mapping[str, str], **more: str) -> str:
    return "cases?" + urlencode({**days, **more})


def _headline(locale: Locale, data: BulletinData) -> Section:
    links = [
        {1: _rate_cases(data, "total", rate, Part.NUMERATOR), 2: _rate_cases(data, "total", rate, Part.DENOMINATOR)}
        for rate in SHOWN_RATES
    ]
    rows: list[tuple[Cell, ...]] = []
    for rate in SHOWN_RATES:
        now, before = data.headline[rate], data.before[rate]
        both = now.percent is not None and before.percent is not None
        rows.append(
            (
                translate(locale, f"rates.rate.{rate.value}"),
                now.numerator,
                now.denominator,
                now.percent,
                before.percent,
                format_change(f"{_points(now, before):+.2f}") if both else None,
            )
        )
    columns = _columns(locale, "rate", "numerator", "denominator", "percent", "percent_before", "points")
    return _section(locale, "headline", columns, rows, links)


def _rising(locale: Locale, data: BulletinData) -> Section:
    small = f"<{SMALL_COUNT}"
    rows = [
        (each.name, each.code, each.cases, small if each.before is None else each.before, _more(each))
        for each in data.rising
    ]
    now, then = _days(data), _days(data, before=1)
    links = [{2: _map_cases(now, cell=each.code), 3: _map_cases(then, cell=each.code)} for each in data.rising]
    return _section(locale, "rising", _columns(locale, "cell", "code", "cases", "before", "more"), rows, links)


def _more(each: Rising) -> Cell:
    return f">{each.cases - SMALL_COUNT}" if each.more is None else each.more


def _sites(locale: Locale, data: BulletinData) -> Section:
    rows = [
        (each.cell, each.code, each.category, each.cases, each.days, each.last_day.isoformat())
        for each in data.sites[:_ROWS]
    ]
    links = [
        {3: _map_cases(_days(data), category=each.category_code, square=each.square)} for each in data.sites[:_ROWS]
    ]
    columns = _columns(locale, "cell", "code", "category", "cases", "days", "last")
    return _section(locale, "sites", columns, rows, links)


def _late(row: NamedRow) -> int:
    """Cases handled too late, and cases overdue until now."""
    late = row.figures[Rate.HANDLING].numerator - row.figures[Rate.ON_TIME_HANDLING].numerator
    return late + row.figures[Rate.OVERDUE].numerator


def _with_numbers(view: RatesView) -> list[NamedRow]:
    """Rows with late cases, most first."""
    return sorted((row for row in view.rows if _late(row)), key=lambda row: (-_late(row), row.key))


def _overdue(locale: Locale, data: BulletinData, key: str, view: RatesView) -> Section:
    shown, by = _with_numbers(view)[: 2 * _ROWS], view.dimension.value
    rows: list[tuple[Cell, ...]] = [
        (
            row.name,
            _late(row),
            row.figures[Rate.OVERDUE].numerator,
            row.figures[Rate.HANDLING].denominator,
            row.figures[Rate.ON_TIME_HANDLING].percent,
        )
        for row in shown
    ]
    links = [
        {
            # Handled late, and not handled: while the month runs, also what is not due yet.
            **({1: _rate_cases(data, by, Rate.ON_TIME_HANDLING, Part.MISSING, row.key)} if data.is_over else {}),
            2: _rate_cases(data, by, Rate.OVERDUE, Part.NUMERATOR, row.key),
            3: _rate_cases(data, by, Rate.HANDLING, Part.DENOMINATOR, row.key),
        }
        for row in shown
    ]
    columns = _columns(locale, "unit", "late", "overdue", "due", "on_time_percent")
    return _section(locale, key, columns, rows, links)


def _closed_at_level(locale: Locale, data: BulletinData) -> Section:
    rate, view = Rate.CLOSED_AT_LEVEL, data.levels
    by, total = view.dimension.value, view.total
    chosen = [row for row in (total, *view.rows) if row.figures[rate].denominator]
    rows: list[tuple[Cell, ...]] = [
        (row.name, row.figures[rate].numerator, row.figures[rate].denominator, row.figures[rate].percent)
        for row in chosen
    ]
    parts = {1: Part.NUMERATOR, 2: Part.DENOMINATOR}
    links = [
        {k: _rate_cases(data, by, rate, part, None if row is total else row.key) for k, part in parts.items()}
        for row in chosen
    ]
    return _section(locale, "level", _columns(locale, "unit", "at_level", "closed", "share"), rows, links)
